"""What a client demands of an item before it changes it: `If-Match` and `If-None-Match` of RFC 9110, and the ETag."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from app.core.http_errors import PreconditionFailed
from app.items.schemas import ItemRead

ANY = "*"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def revision_of(updated_at: datetime) -> str:
    """Names what clients have said of an item last."""
    return f"{(updated_at - _EPOCH) // timedelta(microseconds=1):x}"


def etag_of(item: ItemRead) -> str:
    """Strong: `"<revision>.<digest of what is shown>"`, so it also changes with the item's state."""
    return f'"{revision_of(item.updated_at)}.{sha256(item.model_dump_json().encode()).hexdigest()[:16]}"'


@dataclass(frozen=True)
class Precondition:
    """When a change may be made.

    Of a tag given in `If-Match` only the revision counts: an item that has been encoded meanwhile is still the item
    that the client has seen, while one that another client has changed is not.

    Attributes:
        if_match: tags of which one must be the item's; None demands nothing.
        must_be_new: whether the item must not exist (`If-None-Match: *`).
    """

    if_match: tuple[str, ...] | None = None
    must_be_new: bool = False

    @property
    def demands_nothing(self) -> bool:
        """Whether every item will do."""
        return self.if_match is None and not self.must_be_new

    def check(self, updated_at: datetime | None) -> None:
        """Raise PreconditionFailed unless the item (None: there is none) is as demanded."""
        if self.must_be_new and updated_at is not None:
            raise PreconditionFailed("The item exists already, and 'If-None-Match: *' demands a new one.")
        if self.if_match is None:
            return
        if updated_at is None:
            raise PreconditionFailed("There is no such item, and 'If-Match' demands one.")
        revision = revision_of(updated_at)
        if not any(tag == ANY or tag.strip('"').partition(".")[0] == revision for tag in self.if_match):
            raise PreconditionFailed("The item has been changed since; read it again.")


NO_PRECONDITION = Precondition()

"""What clients do with users: write, read, list, look back, merge, take along."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import BinaryIO

import structlog
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from redis.exceptions import RedisError

from app.core.cursor import decode_cursor, encode_cursor
from app.core.errors import InvalidRequest, UserNotFound, message_of
from app.core.text import Attributes
from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import EventRow
from app.events.repository import microseconds
from app.stores.sequence_cache import SequenceWriter
from app.users.holdings import forget_requests, other_tables, personal_tables, rename_others
from app.users.repository import KnownUser, UserRepository
from app.users.schemas import History, Merged, PastEvent, UserPage, UserPatch, UserRead

log = structlog.get_logger(__name__)

_ATTRIBUTES: TypeAdapter[Attributes] = TypeAdapter(Attributes)
_EVENTS = EventRow.__tablename__


class UserService:
    """Users of one project in one transaction."""

    def __init__(self, transaction: Transaction, project: ProjectId, *, sequences: SequenceWriter) -> None:
        self._transaction = transaction
        self._project = project
        self._sequences = sequences
        self._users = UserRepository(transaction, project)

    def put(self, user_id: str, attributes: Attributes) -> tuple[UserRead, bool]:
        """Replace a user's attributes; the user, and whether there was nothing known of them before."""
        (known,) = self._users.known([user_id])
        self._users.upsert(user_id, attributes)
        return self.get(user_id), not known.exists

    def patch(self, user_id: str, patch: UserPatch) -> UserRead:
        """Change some attributes; raises UserNotFound, and InvalidRequest when they become too many."""
        self._users.hold(user_id)
        known = self._known(user_id)
        changed = {**(known.row.attributes if known.row else {}), **patch.attributes}
        kept = {name: value for name, value in changed.items() if value is not None}
        self._users.upsert(user_id, _checked(kept, field="attributes"))
        return self.get(user_id)

    def get(self, user_id: str) -> UserRead:
        """One user; raises UserNotFound."""
        return read_user(self._known(user_id))

    def _known(self, user_id: str) -> KnownUser:
        (known,) = self._users.known([user_id])
        if not known.exists:
            raise UserNotFound(user_id)
        return known

    def page(self, *, limit: int, cursor: str | None) -> UserPage:
        """Some users in the order of their ids."""
        after = decode_cursor(cursor, str)[0] if cursor else ""
        ids = self._users.ids_after(after, limit=limit + 1)
        shown = ids[:limit]
        return UserPage(
            users=[read_user(known) for known in self._users.known(shown)],
            next_cursor=encode_cursor(shown[-1]) if len(ids) > limit else None,
        )

    def history(self, user_id: str, *, types: Sequence[str], limit: int, cursor: str | None) -> History:
        """Some events, newest first; raises UserNotFound."""
        self._known(user_id)
        rows = self._users.history(user_id, types=types, before=_position(cursor), limit=limit + 1)
        shown = rows[:limit]
        last = shown[-1] if len(rows) > limit else None
        return History(
            events=[read_event(row) for row in shown],
            next_cursor=encode_cursor(microseconds(last.timestamp), last.id) if last else None,
        )

    def export(self, user_id: str, file: BinaryIO) -> None:
        """Write all that is held of a user as one JSON document, every digit of its numbers; raises UserNotFound."""
        user = self._known(user_id)
        head = {**read_user(user).model_dump(mode="json"), "exported_at": datetime.now(UTC).isoformat()}
        file.write(to_json(head)[:-1])
        events = [table for table in personal_tables() if table.name == _EVENTS]
        for table in (*events, *other_tables()):
            file.write(b"," + to_json(table.name) + b":[")
            file.writelines(_separated(map(to_json, self._users.rows_of(table, user_id))))
            file.write(b"]")
        file.write(b"}")

    def merge(self, user_id: str, source: str) -> Merged:
        """Make everything of an anonymous id the user's; nothing happens when there is none. Raises InvalidRequest.

        Sequence states of both are dropped before the commit and after it: the next read fills them.
        """
        if source == user_id:
            raise InvalidRequest.of("from", "is the user itself")
        self._users.hold(user_id, source)
        theirs, own = self._users.known([source, user_id])
        if theirs.row:
            merged = {**theirs.row.attributes, **(own.row.attributes if own.row else {})}
            self._users.upsert(user_id, _checked(merged, field="from"))
            self._users.delete(source)
        duplicates = self._users.drop_repeated(source, of=user_id)
        moved = self._users.move_events(source, to=user_id)
        rename_others(self._transaction.session, self._project, old=source, new=user_id)
        forget_requests(self._transaction.session, self._project, source)
        self._transaction.before_commit(lambda: self._forget(source, user_id))
        self._transaction.after_commit(lambda: forget_again(self._sequences, self._project, (source, user_id)))
        (known,) = self._users.known([user_id])
        return Merged(user=read_user(known), moved_events=moved, duplicates=duplicates)

    def _forget(self, *users: str) -> None:
        self._sequences.forget(self._project, users)


def forget_again(sequences: SequenceWriter, project: ProjectId, users: Sequence[str]) -> None:
    """After the commit: states filled meanwhile go too; if the cache is away they end by themselves, soon."""
    try:
        sequences.forget(project, users)
    except RedisError as error:
        log.warning("sequence cache not told", error=str(error))


def _checked(attributes: Attributes, *, field: str) -> Attributes:
    try:
        return _ATTRIBUTES.validate_python(attributes)
    except ValidationError as error:
        raise InvalidRequest.of(field, f"attributes together: {message_of(error.errors()[0])}") from error


def _position(cursor: str | None) -> tuple[datetime, int] | None:
    if cursor is None:
        return None
    time_us, number = decode_cursor(cursor, int, int)
    try:
        return datetime.fromtimestamp(time_us // 1_000_000, UTC).replace(microsecond=time_us % 1_000_000), number
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidRequest.of("cursor", "is not one that this service gave out") from error


def _separated(values: Iterator[bytes]) -> Iterator[bytes]:
    for position, value in enumerate(values):
        if position:
            yield b","
        yield value


def read_user(known: KnownUser) -> UserRead:
    """A user as clients may see them."""
    row = known.row
    return UserRead(
        user_id=known.user_id,
        attributes=row.attributes if row else {},
        last_event_at=known.last_event_at,
        created_at=row.created_at if row else None,
        updated_at=row.updated_at if row else None,
    )


def read_event(row: EventRow) -> PastEvent:
    """An event as clients may see it."""
    return PastEvent(
        event_id=row.event_id,
        item_id=row.item_id,
        type=row.type,
        value=row.value,
        timestamp=row.timestamp,
        recommendation_id=row.recommendation_id,
    )

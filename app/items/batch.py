"""Takes many items at a time, each with its own answer; one that is wrong harms no other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.core.errors import CrossanError, message_of
from app.core.jobs import JobKind
from app.core.types import ProjectId
from app.db.session import Transaction
from app.items.batch_repository import ItemBatchRepository, NewMedium, PresentMedium, WrittenItem
from app.items.encoding_repository import EncodingRepository
from app.items.fetches import MediaFetchRepository, WantedMedium
from app.items.intake import MediaIntake, StoredMedia
from app.items.media_probe import MediaInfo
from app.items.schemas import ItemCreate, ItemFields
from app.items.service import METADATA, TEXT, UPLOAD, compose_text
from app.jobs.service import JobService
from app.stores.changes import ChangeFeed

MAX_MEDIA = 32
PARALLEL_BLOBS = 8
"""Each waits for a disk or a bucket."""


class LineMedium(BaseModel):
    """A medium as one line can hold it: a text, or the address to fetch it from."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1)] | None = None
    url: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> "LineMedium":
        if (self.text is None) == (self.url is None):
            raise ValueError("must have either text or url")
        return self


class ItemLine(ItemCreate):
    """An item of a batch: what is said of it, its texts, and addresses of its other media. Media it has stay."""

    media: Annotated[dict[str, LineMedium], Field(max_length=MAX_MEDIA)] = Field(default_factory=dict)


class ItemStatus(StrEnum):
    """What became of one item."""

    CREATED = "created"
    UPDATED = "updated"
    REJECTED = "rejected"


@dataclass(frozen=True)
class ItemOutcome:
    """The answer to one item."""

    status: ItemStatus
    item_id: str | None = None
    errors: Sequence[Mapping[str, Any]] = ()


@dataclass
class _Item:
    """What the lines of one item say together: the last one's fields, and every medium's last word."""

    fields: dict[str, Any]
    text: str
    """Made of the fields."""
    texts: dict[str, tuple[bytes, MediaInfo]] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)


class ItemBatchService:
    """Many items of one project in one transaction."""

    def __init__(
        self,
        transaction: Transaction,
        project: ProjectId,
        *,
        jobs: JobService,
        intake: MediaIntake,
        changes: ChangeFeed,
    ) -> None:
        self._transaction = transaction
        self._project = project
        self._jobs = jobs
        self._intake = intake
        self._changes = changes
        self._items = ItemBatchRepository(transaction, project)
        self._fetches = MediaFetchRepository(transaction, project)

    def write(self, raw_items: Sequence[Any]) -> list[ItemOutcome]:
        """Create or replace what is valid; an answer for each, in order.

        Args:
            raw_items: JSON values. Of an item named twice the last word counts, as if they had come one by one.
        """
        parsed = [self._parse(raw) for raw in raw_items]
        items: dict[str, _Item] = {}
        for line in parsed:
            if isinstance(line, ItemLine):
                self._add(items, line)
        written = self._write(items) if items else {}
        created = {item_id for item_id, item in written.items() if item.created}
        outcomes = []
        for line in parsed:
            if isinstance(line, ItemOutcome):
                outcomes.append(line)
                continue
            is_new = line.item_id in created
            created.discard(line.item_id)
            outcomes.append(ItemOutcome(ItemStatus.CREATED if is_new else ItemStatus.UPDATED, line.item_id))
        return outcomes

    def _parse(self, raw: Any) -> ItemLine | ItemOutcome:
        try:
            line = ItemLine.model_validate(raw)
        except ValidationError as error:
            return _rejected(
                {"field": ".".join(map(str, one["loc"])) or "item", "message": message_of(one)}
                for one in error.errors()
            )
        try:
            for modality, medium in line.media.items():
                self._intake.check_modality(modality)
                if medium.text is not None:
                    self._intake.check(modality, BytesIO(medium.text.encode()))
                else:
                    self._intake.check_url(modality, medium.url or "")
        except UnicodeEncodeError:
            return _rejected([{"field": f"media.{modality}.text", "message": "is not Unicode text"}])
        except CrossanError as error:
            named = error.errors[0] if error.errors else {"message": error.detail}
            return _rejected([{**named, "field": f"media.{modality}"}])
        return self._check_fields(line)

    def _check_fields(self, line: ItemLine) -> ItemLine | ItemOutcome:
        """The line, unless what its fields say is more than a text may be."""
        text = compose_text(line)
        if text and TEXT not in line.media and self._intake.takes(TEXT):
            try:
                self._intake.check(TEXT, BytesIO(text.encode()))
            except CrossanError as error:
                return _rejected([{**error.errors[0], "field": "description"}])
        return line

    def _add(self, items: dict[str, _Item], line: ItemLine) -> None:
        fields = ItemFields(**line.model_dump(exclude={"item_id", "media"}))
        before = items.get(line.item_id)
        item = _Item(fields.model_dump(), compose_text(fields))
        if before is not None:
            item.texts, item.urls = before.texts, before.urls
        for modality, medium in line.media.items():
            if medium.text is not None:
                item.urls.pop(modality, None)
                data = medium.text.encode()
                item.texts[modality] = (data, self._intake.check(modality, BytesIO(data)))
            elif medium.url is not None:
                item.urls[modality] = medium.url
        items[line.item_id] = item

    def _write(self, items: Mapping[str, _Item]) -> Mapping[str, WrittenItem]:
        # Bytes are kept before any row is locked: disks and buckets are slow.
        kept = self._keep(items, self._items.media(items))
        written = self._items.upsert({item_id: item.fields for item_id, item in items.items()})
        present = self._items.media(items)
        media, texts_gone = self._contents(items, kept, written, present)
        changed = self._items.set_media(media) | texts_gone
        self._items.drop_media(texts_gone, TEXT)
        self._items.drop_vectors_without_media(texts_gone)
        self._fetches.forget([(medium.item_pk, medium.modality) for medium in media if medium.source == UPLOAD])
        self._order(
            changed,
            [
                WantedMedium(written[item_id].pk, modality, url)
                for item_id, item in items.items()
                for modality, url in item.urls.items()
            ],
        )
        return written

    def _keep(self, items: Mapping[str, _Item], present: Sequence[PresentMedium]) -> dict[bytes, StoredMedia]:
        """Put the texts that the items do not have yet into the store, by their bytes."""
        uploaded = {one.item_id for one in present if one.modality == TEXT and one.source == UPLOAD}
        wanted = {data: info for item in items.values() for data, info in item.texts.values()}
        if self._intake.takes(TEXT):
            for item_id, item in items.items():
                data = item.text.encode()
                if data and data not in wanted and item_id not in uploaded and TEXT not in item.texts:
                    wanted[data] = self._intake.check(TEXT, BytesIO(data))
        known = {one.content_hash for one in present}
        return self._intake.keep_all(self._project, wanted, known=known, parallel=PARALLEL_BLOBS)

    def _contents(
        self,
        items: Mapping[str, _Item],
        kept: dict[bytes, StoredMedia],
        written: Mapping[str, WrittenItem],
        present: Sequence[PresentMedium],
    ) -> tuple[list[NewMedium], set[int]]:
        """The contents that items get, and the items whose text goes because nothing is said of them any more."""
        source_of = {one.item_id: one.source for one in present if one.modality == TEXT}
        media: list[NewMedium] = []
        texts_gone: set[int] = set()
        for item_id, item in items.items():
            pk = written[item_id].pk
            media += [NewMedium(pk, modality, UPLOAD, kept[data]) for modality, (data, _) in item.texts.items()]
            if TEXT in item.texts or source_of.get(item_id) == UPLOAD or not self._intake.takes(TEXT):
                continue
            if item.text:
                data = item.text.encode()
                # An upload that went between the two looks has left the text to be kept here.
                stored = kept.get(data) or self._intake.accept_text(self._project, item.text)
                media.append(NewMedium(pk, TEXT, METADATA, stored))
            elif item_id in source_of:
                texts_gone.add(pk)
        return media, texts_gone

    def _order(self, changed: set[int], wanted: Sequence[WantedMedium]) -> None:
        """Have encoders look at what is new, and workers fetch what is wanted."""
        if changed:
            EncodingRepository(self._transaction, self._project).refresh(sorted(changed))
            self._jobs.ensure_waiting(self._project, JobKind.ENCODE)
        if self._fetches.want(wanted):
            self._jobs.ensure_waiting(self._project, JobKind.FETCH)
        self._transaction.after_commit(lambda: self._changes.announce(self._project))


def _rejected(errors: Iterable[Mapping[str, Any]]) -> ItemOutcome:
    return ItemOutcome(ItemStatus.REJECTED, errors=list(errors))

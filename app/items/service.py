"""What clients do with items: write, attach media, read, list, delete."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func

from app.core.cursor import decode_cursor, encode_cursor
from app.core.errors import ItemNotFound
from app.core.jobs import JobKind
from app.core.types import FetchState, ItemState, MediaState, ProjectId
from app.db.session import Transaction
from app.db.tables import ItemRow, MediaFetchRow, MediaRow
from app.items.encoding_repository import EncodingRepository
from app.items.fetches import Fetch, MediaFetchRepository, WantedMedium
from app.items.intake import MediaIntake, StoredMedia
from app.items.preconditions import NO_PRECONDITION, Precondition
from app.items.repository import ItemRepository
from app.items.schemas import FetchRead, ItemFields, ItemPage, ItemPatch, ItemRead, MediaRead
from app.jobs.service import JobService
from app.stores.changes import ChangeFeed

TEXT = "text"
UPLOAD = "upload"
METADATA = "metadata"
BY_URL = "url"
"""Of a medium that is still to be fetched; then it is an upload like any other."""


class ItemService:
    """Items of one project in one transaction."""

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
        self._items = ItemRepository(transaction, project)
        self._fetches = MediaFetchRepository(transaction, project)

    def put(
        self,
        item_id: str,
        fields: ItemFields,
        media: Mapping[str, StoredMedia] | None = None,
        *,
        condition: Precondition = NO_PRECONDITION,
    ) -> tuple[ItemRead, bool]:
        """Write an item, with media if there are any; the item, and whether it is new. Raises PreconditionFailed."""
        self._check(item_id, condition)
        row, created = self._items.upsert(item_id, fields.model_dump())
        if condition.must_be_new and not created:
            condition.check(row.updated_at)
        changed = [self._attach(row, modality, stored) for modality, stored in (media or {}).items()]
        self._fetches.forget([(row.id, modality) for modality in media or {}])
        self._settle(row, content_changed=any(changed))
        return self.get(item_id), created

    def patch(self, item_id: str, patch: ItemPatch, *, condition: Precondition = NO_PRECONDITION) -> ItemRead:
        """Change the given fields; raises ItemNotFound and PreconditionFailed."""
        row = self._lock(item_id)
        condition.check(row.updated_at)
        for name, value in patch.model_dump(exclude_unset=True).items():
            setattr(
                row,
                name,
                value if value is not None else ItemFields.model_fields[name].get_default(call_default_factory=True),
            )
        self._settle(row)
        return self.get(item_id)

    def attach(self, item_id: str, modality: str, stored: StoredMedia) -> ItemRead:
        """Attach an accepted medium; raises ItemNotFound."""
        row = self._lock(item_id)
        self._fetches.forget([(row.id, modality)])
        self._settle(row, content_changed=self._attach(row, modality, stored))
        return self.get(item_id)

    def fetch(self, item_id: str, modality: str, url: str) -> ItemRead:
        """Have a medium fetched, even if it has been before; raises ItemNotFound, or InvalidRequest for the address."""
        self._intake.check_url(modality, url)
        row = self._lock(item_id)
        self._fetches.want([WantedMedium(row.id, modality, url)], again=True)
        self._jobs.ensure_waiting(self._project, JobKind.FETCH)
        return self.get(item_id)

    def attach_fetched(self, fetch: Fetch, stored: StoredMedia, *, job: UUID) -> None:
        """Attach what a job has fetched, unless something else has taken its place."""
        row = self._items.lock_number(fetch.item_pk)
        if row is not None and self._fetches.lock(fetch, job=job):
            self._fetches.conclude(fetch, job=job)
            self._settle(row, content_changed=self._attach(row, fetch.modality, stored))

    def delete(self, item_id: str, *, condition: Precondition = NO_PRECONDITION) -> None:
        """Remove an item from every answer; raises ItemNotFound and PreconditionFailed."""
        row = self._lock(item_id)
        condition.check(row.updated_at)
        self._items.delete(row)
        self._fetches.forget_item(row.id)
        self._announce()

    def get(self, item_id: str) -> ItemRead:
        """One item; raises ItemNotFound."""
        self._transaction.session.flush()
        found = self._items.get(item_id)
        if found is None:
            raise ItemNotFound(item_id)
        row, recommendable = found
        return read_item(row, self._items.media_of([row.id])[row.id], recommendable, self._fetches.of([row.id])[row.id])

    def page(self, *, limit: int, cursor: str | None, state: ItemState | None) -> ItemPage:
        """Some items in the order of arrival."""
        after = decode_cursor(cursor, int)[0] if cursor else None
        rows = self._items.page(limit=limit + 1, after=after, state=state)
        shown = rows[:limit]
        pks = [row.id for row, _ in shown]
        media, fetches = self._items.media_of(pks), self._fetches.of(pks)
        return ItemPage(
            items=[read_item(row, media[row.id], flag, fetches[row.id]) for row, flag in shown],
            next_cursor=encode_cursor(shown[-1][0].id) if len(rows) > limit else None,
        )

    def _check(self, item_id: str, condition: Precondition) -> None:
        """Hold the item, if there is one, and look at it."""
        if not condition.demands_nothing:
            row = self._items.lock(item_id)
            condition.check(None if row is None else row.updated_at)

    def _lock(self, item_id: str) -> ItemRow:
        row = self._items.lock(item_id)
        if row is None:
            raise ItemNotFound(item_id)
        return row

    def _attach(self, row: ItemRow, modality: str, stored: StoredMedia, source: str = UPLOAD) -> bool:
        info = stored.info
        values: dict[str, Any] = {
            "source": source,
            "content_hash": stored.content_hash,
            "content_type": info.content_type,
            "size_bytes": info.size_bytes,
            "width": info.width,
            "height": info.height,
            "duration_s": info.duration_s,
        }
        return self._items.set_media(row, modality, values)

    def _settle(self, row: ItemRow, *, content_changed: bool = False) -> None:
        """Keep the text made from the fields up to date, and have encoders look at what is new."""
        row.updated_at = func.now()
        self._transaction.session.flush()
        if self._describe(row) or content_changed:
            EncodingRepository(self._transaction, self._project).refresh([row.id])
            self._jobs.ensure_waiting(self._project, JobKind.ENCODE)
        self._announce()

    def _describe(self, row: ItemRow) -> bool:
        """Without an uploaded text, title, categories and description are the item's text; whether it changed."""
        media = self._items.media_of([row.id])[row.id]
        if not self._intake.takes(TEXT):
            return False
        texts = {medium.source for medium in media if medium.modality == TEXT}
        if UPLOAD in texts:
            return False
        text = compose_text(row)
        if text:
            return self._attach(row, TEXT, self._intake.accept_text(self._project, text), METADATA)
        if texts:
            self._items.drop_media(row, TEXT)
        if len(media) == len(texts):
            self._items.drop_vectors(row)
        return bool(texts)

    def _announce(self) -> None:
        self._transaction.after_commit(lambda: self._changes.announce(self._project))


def compose_text(row: ItemRow | ItemFields) -> str:
    """Title, categories and description, a line each; categories alone are no text."""
    title, description = _stripped(row.title), _stripped(row.description)
    if not (title or description):
        return ""
    return "\n".join(filter(None, (title, ", ".join(row.categories), description)))


def _stripped(text: str) -> str:
    """Without white space and byte order marks around it, which alone are no text (`app.items.media_probe`)."""
    while text != (text := text.strip().strip("\ufeff")):
        pass
    return text


def read_item(
    row: ItemRow, media: list[MediaRow], recommendable: bool, fetches: Mapping[str, MediaFetchRow]
) -> ItemRead:
    """A row as clients may see it."""
    shown = {medium.modality: read_media(medium) for medium in media}
    for modality, fetch in fetches.items():
        shown[modality] = shown.get(modality, _unfetched(fetch)).model_copy(update={"fetch": read_fetch(fetch)})
    return ItemRead(
        item_id=row.item_id,
        title=row.title,
        description=row.description,
        categories=row.categories,
        attributes=row.attributes,
        available=row.available,
        published_at=row.published_at,
        state=ItemState(row.state),
        error=row.error,
        recommendable=recommendable,
        media=shown,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def read_media(row: MediaRow) -> MediaRead:
    """One medium as clients may see it."""
    return MediaRead(
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        sha256=row.content_hash,
        source=row.source,
        width=row.width,
        height=row.height,
        duration_s=row.duration_s,
        state=MediaState(row.state),
        error=row.error,
    )


def read_fetch(row: MediaFetchRow) -> FetchRead:
    """An address as clients may see it."""
    state = FetchState(row.state)
    next_at = row.next_at if state is FetchState.PENDING else None
    return FetchRead(url=row.url, state=state, attempts=row.attempts, next_at=next_at, error=row.error)


def _unfetched(row: MediaFetchRow) -> MediaRead:
    """A medium of which there is only the address; it keeps no other medium of the item waiting."""
    failed = row.state == FetchState.FAILED
    return MediaRead(
        content_type=None,
        size_bytes=None,
        sha256=None,
        source=BY_URL,
        width=None,
        height=None,
        duration_s=None,
        state=MediaState.FAILED if failed else MediaState.PENDING,
        error=row.error if failed else None,
    )

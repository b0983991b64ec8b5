"""Reads what is exported: the rows of a kind, by a cursor, in the shape in which they are imported."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select

from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import EventRow, ItemRow, MediaFetchRow, MediaRow
from app.events.schemas import EventWrite
from app.items.batch import ItemLine
from app.stores.blobs import BlobStore
from app.transfers.kinds import TransferKind

COLUMNS: Mapping[TransferKind, Sequence[str]] = {
    TransferKind.ITEMS: tuple(ItemLine.model_fields),
    TransferKind.EVENTS: tuple(EventWrite.model_fields),
}


class Period(NamedTuple):
    """From `since` on and before `until`; open where it is None."""

    since: datetime | None
    until: datetime | None

    def of(self, column: Any) -> list[ColumnElement[bool]]:
        """The conditions on a column."""
        conditions = []
        if self.since is not None:
            conditions.append(column >= self.since)
        if self.until is not None:
            conditions.append(column < self.until)
        return conditions


def rows_of(
    transaction: Transaction, project: ProjectId, kind: TransferKind, *, period: Period, blobs: BlobStore, fetch: int
) -> Iterator[dict[str, Any]]:
    """Every item changed, or event that happened, in the period; never more than `fetch` of them in memory."""
    if kind is TransferKind.EVENTS:
        return _events(transaction, project, period, fetch)
    return _items(transaction, project, period, blobs, fetch)


def _events(transaction: Transaction, project: ProjectId, period: Period, fetch: int) -> Iterator[dict[str, Any]]:
    query = (
        select(*(getattr(EventRow, name) for name in COLUMNS[TransferKind.EVENTS]))
        .where(EventRow.project_id == project, *period.of(EventRow.timestamp))
        .order_by(EventRow.id)
        .execution_options(yield_per=fetch)
    )
    for row in transaction.session.execute(query).mappings():
        yield dict(row)


def _items(
    transaction: Transaction, project: ProjectId, period: Period, blobs: BlobStore, fetch: int
) -> Iterator[dict[str, Any]]:
    names = [name for name in COLUMNS[TransferKind.ITEMS] if name != "media"]
    query = (
        select(ItemRow.id, *(getattr(ItemRow, name) for name in names))
        .where(ItemRow.project_id == project, ItemRow.deleted_at.is_(None), *period.of(ItemRow.updated_at))
        .order_by(ItemRow.id)
        .execution_options(yield_per=fetch)
    )
    rows = iter(transaction.session.execute(query).mappings())
    while batch := [dict(row) for row in islice(rows, fetch)]:
        media = _media(transaction, project, [row["id"] for row in batch], blobs)
        for row in batch:
            pk = row.pop("id")
            yield {**row, "media": media.get(pk)}


def _media(
    transaction: Transaction, project: ProjectId, pks: Sequence[int], blobs: BlobStore
) -> Mapping[int, dict[str, dict[str, str]]]:
    """What a line can say of media: uploaded texts, and addresses. Other uploads stay where they are."""
    media: dict[int, dict[str, dict[str, str]]] = {}
    texts = select(MediaRow.item_pk, MediaRow.modality, MediaRow.content_hash).where(
        MediaRow.item_pk.in_(pks), MediaRow.source == "upload", MediaRow.content_type.startswith("text/")
    )
    for pk, modality, content_hash in transaction.session.execute(texts):
        try:
            media.setdefault(pk, {})[modality] = {"text": blobs.get(project, content_hash).decode()}
        except FileNotFoundError:
            continue
    addresses = select(MediaFetchRow.item_pk, MediaFetchRow.modality, MediaFetchRow.url)
    for pk, modality, url in transaction.session.execute(addresses.where(MediaFetchRow.item_pk.in_(pks))):
        media.setdefault(pk, {})[modality] = {"url": url}
    return media

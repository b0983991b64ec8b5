"""Queries that read a training's data cut."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select

from app.core.types import MediaState, VersionId
from app.db.repository import Repository
from app.db.tables import EncoderRow, HiddenStatesRow, ItemRow, ItemVectorRow, MediaRow
from app.models.repository import StatesLocation

ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class CutItem:
    """An item of the cut; `content_key` is empty for one without encoded content."""

    pk: int
    item_id: str
    content_key: str


@dataclass(frozen=True)
class ItemContent:
    """Which bytes an item has of one modality."""

    item_pk: int
    content_hash: str


class CutRepository(Repository):
    """Items and hidden states of one project."""

    def items(self) -> Sequence[CutItem]:
        """Every item that is not deleted, in the order of arrival."""
        query = (
            select(ItemRow.id, ItemRow.item_id, ItemRow.content_key)
            .where(ItemRow.project_id == self.project, ItemRow.deleted_at.is_(None))
            .order_by(ItemRow.id)
        )
        return [CutItem(pk, item_id, key or "") for pk, item_id, key in self.session.execute(query)]

    def encoders(self) -> Sequence[EncoderRow]:
        """The encoders in charge."""
        return self.session.scalars(select(EncoderRow)).all()

    def vectors(self, version: VersionId) -> Iterator[tuple[int, bytes]]:
        """The item vectors of a version, little-endian float32, by the key of their item; a few at a time."""
        query = select(ItemVectorRow.item_pk, ItemVectorRow.vector).where(ItemVectorRow.version_id == version)
        found = self.session.execute(query, execution_options={"yield_per": ROWS_AT_ONCE})
        return ((pk, vector) for pk, vector in found)

    def contents(self, encoder: EncoderRow) -> Sequence[ItemContent]:
        """The contents of one modality that its encoder has encoded."""
        query = self._encoded(encoder, MediaRow.content_hash).order_by(MediaRow.item_pk)
        return [ItemContent(*row) for row in self.session.execute(query)]

    def states(self, encoder: EncoderRow) -> Sequence[StatesLocation]:
        """Where the states of one modality lie, ordered by shard."""
        query = self._encoded(encoder, HiddenStatesRow.shard, HiddenStatesRow.shard_row)
        found = self.session.execute(query.order_by(HiddenStatesRow.shard, HiddenStatesRow.shard_row))
        return [StatesLocation(pk, encoder.modality, shard or "", row or 0) for pk, shard, row in found]

    def _encoded(self, encoder: EncoderRow, *columns: Any) -> Select[Any]:
        """Selects item and columns of every medium of a modality that its encoder has encoded."""
        return (
            select(MediaRow.item_pk, *columns)
            .join(
                HiddenStatesRow,
                (HiddenStatesRow.project_id == MediaRow.project_id)
                & (HiddenStatesRow.content_hash == MediaRow.content_hash)
                & (HiddenStatesRow.fingerprint == encoder.fingerprint),
            )
            .where(
                MediaRow.project_id == self.project,
                MediaRow.modality == encoder.modality,
                HiddenStatesRow.state == MediaState.ENCODED,
            )
        )

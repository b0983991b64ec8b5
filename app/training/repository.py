"""Queries that read a training's data cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from app.core.types import MediaState
from app.db.repository import Repository
from app.db.tables import EncoderRow, HiddenStatesRow, ItemRow, MediaRow
from app.models.repository import StatesLocation


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

    def contents(self, encoder: EncoderRow) -> Sequence[ItemContent]:
        """The contents of one modality that its encoder has encoded."""
        query = (
            select(MediaRow.item_pk, MediaRow.content_hash)
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
            .order_by(MediaRow.item_pk)
        )
        return [ItemContent(*row) for row in self.session.execute(query)]

    def states(self, encoder: EncoderRow) -> Sequence[StatesLocation]:
        """Where the states of one modality lie, ordered by shard."""
        query = (
            select(MediaRow.item_pk, HiddenStatesRow.shard, HiddenStatesRow.shard_row)
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
            .order_by(HiddenStatesRow.shard, HiddenStatesRow.shard_row)
        )
        found = self.session.execute(query)
        return [StatesLocation(pk, encoder.modality, shard or "", row or 0) for pk, shard, row in found]

"""Queries for items and their media, as clients see them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, literal, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from app.core.types import ItemState, MediaState
from app.db.repository import Repository
from app.db.tables import HiddenStatesRow, ItemRow, ItemVectorRow, MediaRow, ProjectRow

_INSERTED: ColumnElement[bool] = literal_column("(xmax = 0)")
"""True in RETURNING of an upsert when the row is new."""


class ItemRepository(Repository):
    """The items of one project; deleted ones are invisible here."""

    def upsert(self, item_id: str, fields: Mapping[str, Any]) -> tuple[ItemRow, bool]:
        """Write every field; the row, and whether it is new (or was deleted before)."""
        statement = insert(ItemRow).values(project_id=self.project, item_id=item_id, **fields)
        revived = select(ItemRow.deleted_at).where(*self._is(item_id)).with_for_update(key_share=True)
        was_deleted = self.session.scalars(revived).one_or_none() is not None
        query = statement.on_conflict_do_update(
            index_elements=["project_id", "item_id"],
            set_={**fields, "deleted_at": None, "updated_at": func.now()},
        ).returning(ItemRow, _INSERTED)
        row, inserted = self.session.execute(query, execution_options={"populate_existing": True}).one()
        return row, inserted or was_deleted

    def lock(self, item_id: str) -> ItemRow | None:
        """The item, held against concurrent changes until the transaction ends."""
        query = select(ItemRow).where(*self._is(item_id), ItemRow.deleted_at.is_(None)).with_for_update(key_share=True)
        return self.session.scalars(query).one_or_none()

    def lock_number(self, pk: int) -> ItemRow | None:
        """The same by its number."""
        query = (
            select(ItemRow)
            .where(ItemRow.project_id == self.project, ItemRow.id == pk, ItemRow.deleted_at.is_(None))
            .with_for_update(key_share=True)
        )
        return self.session.scalars(query).one_or_none()

    def _is(self, item_id: str) -> tuple[ColumnElement[bool], ...]:
        return (ItemRow.project_id == self.project, ItemRow.item_id == item_id)

    def media_of(self, pks: Sequence[int]) -> Mapping[int, list[MediaRow]]:
        """The media of items, by item."""
        query = select(MediaRow).where(MediaRow.item_pk.in_(pks)).order_by(MediaRow.item_pk, MediaRow.id)
        media: dict[int, list[MediaRow]] = {pk: [] for pk in pks}
        for row in self.session.scalars(query, execution_options={"populate_existing": True}):
            media[row.item_pk].append(row)
        return media

    def set_media(self, row: ItemRow, modality: str, values: Mapping[str, Any]) -> bool:
        """Attach content to the item; False when it had this very content already.

        The same bytes uploaded again after a failure, be it that of one version's own encoder, are tried again.
        """
        fresh = {**values, "state": MediaState.PENDING, "error": None}
        statement = insert(MediaRow).values(project_id=self.project, item_pk=row.id, modality=modality, **fresh)
        failed = exists().where(
            HiddenStatesRow.project_id == self.project,
            HiddenStatesRow.content_hash == values["content_hash"],
            HiddenStatesRow.modality == modality,
            HiddenStatesRow.state == MediaState.FAILED,
        )
        query = statement.on_conflict_do_update(
            index_elements=["item_pk", "modality"],
            set_=fresh,
            where=(MediaRow.content_hash != values["content_hash"])
            | ((MediaRow.state == MediaState.FAILED) | failed) & literal(values["source"] == "upload"),
        ).returning(MediaRow.id)
        changed = self.session.scalars(query).one_or_none() is not None
        if not changed:
            self.session.execute(
                update(MediaRow)
                .where(MediaRow.item_pk == row.id, MediaRow.modality == modality)
                .values(source=values["source"])
            )
        return changed

    def drop_media(self, row: ItemRow, modality: str | None = None) -> None:
        """Detach one modality, or all."""
        query = delete(MediaRow).where(MediaRow.item_pk == row.id)
        self.session.execute(query if modality is None else query.where(MediaRow.modality == modality))

    def drop_vectors(self, row: ItemRow) -> None:
        """Forget what any version has made of its content."""
        self.session.execute(delete(ItemVectorRow).where(ItemVectorRow.item_pk == row.id))

    def delete(self, row: ItemRow) -> None:
        """Leave a tombstone; media and vectors go."""
        self.drop_media(row)
        self.drop_vectors(row)
        row.deleted_at = func.now()
        row.content_key, row.needs_vector, row.state, row.error = None, False, ItemState.PENDING, None

    def get(self, item_id: str) -> tuple[ItemRow, bool] | None:
        """The item, and whether it can be in an answer right now."""
        query = select(ItemRow, self._recommendable()).where(*self._is(item_id), ItemRow.deleted_at.is_(None))
        found = self.session.execute(query, execution_options={"populate_existing": True}).one_or_none()
        return None if found is None else (found[0], found[1])

    def page(self, *, limit: int, after: int | None, state: ItemState | None) -> Sequence[tuple[ItemRow, bool]]:
        """Items in the order of their arrival, past the number `after`."""
        query = select(ItemRow, self._recommendable()).where(
            ItemRow.project_id == self.project, ItemRow.deleted_at.is_(None)
        )
        if after is not None:
            query = query.where(ItemRow.id > after)
        if state is not None:
            query = query.where(ItemRow.state == state)
        return [(row, flag) for row, flag in self.session.execute(query.order_by(ItemRow.id).limit(limit))]

    def _recommendable(self) -> ColumnElement[bool]:
        live = select(ProjectRow.live_version_id).where(ProjectRow.id == self.project).scalar_subquery()
        has_vector = exists().where(ItemVectorRow.version_id == live, ItemVectorRow.item_pk == ItemRow.id)
        published = func.coalesce(ItemRow.published_at <= func.now(), True)
        return and_(ItemRow.available, published, has_vector)

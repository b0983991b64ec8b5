"""Queries that feed the catalogue in memory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import ColumnElement, cast, func, literal, select, text, union

from app.core.types import ProjectId, VersionId
from app.db.repository import Repository
from app.db.session import Transaction
from app.db.tables import ItemRow, ItemVectorHistoryRow, ItemVectorRow, ModelVersionRow, ProjectRow
from app.recommendations.catalogue import ItemUpdate
from app.recommendations.served import PublishedVersion
from app.recommendations.vectors import VectorUpdate

FROM_THE_START = 0


@dataclass(frozen=True)
class SnapshotMark:
    """What a snapshot sees.

    Attributes:
        snapshot: PostgreSQL's own text of it.
        start: oldest transaction that it may not see yet: the next look begins with it, and misses nothing.
    """

    snapshot: str
    start: int


class CatalogueRepository(Repository):
    """Items, and their vectors under the versions that are served, as of one snapshot."""

    def __init__(self, transaction: Transaction, project: ProjectId) -> None:
        super().__init__(transaction, project)
        self.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

    def mark(self) -> SnapshotMark:
        """What this transaction sees."""
        query = "SELECT pg_current_snapshot()::text, pg_snapshot_xmin(pg_current_snapshot())::text"
        snapshot, start = self.session.execute(text(query)).one()
        return SnapshotMark(snapshot, int(start))

    def live(self) -> PublishedVersion | None:
        """The version that serves."""
        query = select(ModelVersionRow).join(ProjectRow, ProjectRow.live_version_id == ModelVersionRow.id)
        row = self.session.scalars(query.where(ProjectRow.id == self.project)).one_or_none()
        return None if row is None else _published(row)

    def named(self, names: Collection[str]) -> Sequence[PublishedVersion]:
        """The versions of these names that can serve."""
        numbers = {int(name[1:]) for name in names if name[1:].isdecimal()}
        query = select(ModelVersionRow).where(
            ModelVersionRow.project_id == self.project,
            ModelVersionRow.number.in_(numbers),
            ModelVersionRow.archived_at.is_(None),
            ModelVersionRow.deleted_at.is_(None),
        )
        return [_published(row) for row in self.session.scalars(query) if row.name in names] if numbers else []

    def changed_items(self, *, since: int) -> Sequence[ItemUpdate]:
        """Items that changed in transactions numbered `since` or later, deleted ones too; from the start, all."""
        query = select(
            ItemRow.id,
            ItemRow.item_id,
            ItemRow.title,
            ItemRow.available,
            ItemRow.published_at,
            ItemRow.created_at,
            ItemRow.categories,
            ItemRow.attributes,
            ItemRow.deleted_at.is_not(None),
        ).where(ItemRow.project_id == self.project)
        if since == FROM_THE_START:
            query = query.where(ItemRow.deleted_at.is_(None))
        else:
            query = query.where(ItemRow.changed_xid >= _xid(since))
        return [
            ItemUpdate(row[0], row[1], deleted=True) if row[8] else ItemUpdate(*row)
            for row in self.session.execute(query.order_by(ItemRow.id))
        ]

    def changed_vectors(self, version: VersionId, *, since: int) -> Sequence[VectorUpdate]:
        """Vectors that changed since then, or went (items have None then); from the start, all that there are."""
        query = select(ItemRow.item_id, ItemVectorRow.vector, ItemVectorRow.shares)
        if since == FROM_THE_START:
            query = query.join(ItemVectorRow, ItemVectorRow.item_pk == ItemRow.id).where(
                ItemVectorRow.version_id == version, ItemRow.project_id == self.project, ItemRow.deleted_at.is_(None)
            )
        else:
            # A vector that was taken away is found by the end of what it was.
            changed = union(
                select(ItemVectorRow.item_pk).where(
                    ItemVectorRow.version_id == version, ItemVectorRow.changed_xid >= _xid(since)
                ),
                select(ItemVectorHistoryRow.item_pk).where(
                    ItemVectorHistoryRow.version_id == version, ItemVectorHistoryRow.ended_xid >= _xid(since)
                ),
            ).subquery()
            query = (
                query.join(changed, changed.c.item_pk == ItemRow.id)
                .outerjoin(ItemVectorRow, (ItemVectorRow.item_pk == ItemRow.id) & (ItemVectorRow.version_id == version))
                .where(ItemRow.project_id == self.project)
            )
        return [
            VectorUpdate(item_id, floats(vector), floats(shares))
            for item_id, vector, shares in self.session.execute(query.order_by(ItemRow.id))
        ]

    def trending(self, *, half_life_s: float, window: int, limit: int) -> Sequence[str]:
        """Items by events, each worth half as much for every half-life it is older than the newest one.

        From a thousand half-lives on it makes no difference any more, and PostgreSQL's exp would refuse to underflow.
        """
        query = text("""
            WITH recent AS (
                SELECT item_id, timestamp FROM events
                WHERE project_id = :project ORDER BY timestamp DESC LIMIT :window
            ), newest AS (SELECT max(timestamp) AS time FROM recent)
            SELECT item_id FROM recent, newest GROUP BY item_id
            ORDER BY sum(exp(-ln(2) * least(extract(epoch FROM newest.time - timestamp) / :half_life, 1000))) DESC,
                item_id
            LIMIT :limit
        """)
        values = {"project": self.project, "window": window, "half_life": half_life_s, "limit": limit}
        return self.session.scalars(query, values).all()

    def latest(self, *, limit: int) -> Sequence[str]:
        """The items published or, without a date, added last."""
        date = func.coalesce(ItemRow.published_at, ItemRow.created_at)
        query = (
            select(ItemRow.item_id)
            .where(
                ItemRow.project_id == self.project,
                ItemRow.deleted_at.is_(None),
                ItemRow.available,
                date <= func.now(),
            )
            .order_by(date.desc(), ItemRow.id.desc())
            .limit(limit)
        )
        return self.session.scalars(query).all()


def _published(row: ModelVersionRow) -> PublishedVersion:
    return PublishedVersion(VersionId(row.id), row.name, row.artifact)


def _xid(number: int) -> ColumnElement[int]:
    return cast(literal(str(number)), ItemRow.changed_xid.type)


def floats(raw: bytes | None) -> "np.ndarray[tuple[int], np.dtype[np.float32]] | None":
    """An array from the bytes of the database."""
    return None if raw is None else np.frombuffer(raw, "<f4")

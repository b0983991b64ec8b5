"""Queries that feed the catalogue in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import cast, func, literal, select, text, union

from app.core.types import ProjectId
from app.db.repository import Repository
from app.db.session import Transaction
from app.db.tables import ItemRow, ItemVectorRow, ModelVersionRow, ProjectRow
from app.recommendations.catalogue import ItemUpdate

FROM_THE_START = 0


@dataclass(frozen=True)
class LiveVersion:
    """The version that serves: its number in the database, its name, and its artifact."""

    id: int
    name: str
    artifact: str


class CatalogueRepository(Repository):
    """Items with their vectors under the live version, as of one snapshot."""

    def __init__(self, transaction: Transaction, project: ProjectId) -> None:
        super().__init__(transaction, project)
        self.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

    def snapshot_start(self) -> int:
        """Oldest transaction that this snapshot may not see yet: the next look begins with it, and misses nothing."""
        return int(self.session.scalars(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")).one())

    def live(self) -> LiveVersion | None:
        """The version that serves."""
        query = select(ModelVersionRow).join(ProjectRow, ProjectRow.live_version_id == ModelVersionRow.id)
        row = self.session.scalars(query.where(ProjectRow.id == self.project)).one_or_none()
        return None if row is None else LiveVersion(row.id, row.name, row.artifact)

    def changed(self, version: LiveVersion | None, *, since: int) -> Sequence[ItemUpdate]:
        """Items that changed, or whose vector did, in transactions numbered `since` or later; deleted ones too."""
        version_id = version.id if version else None
        start = cast(literal(str(since)), ItemRow.changed_xid.type)
        changed = union(
            select(ItemRow.id).where(ItemRow.project_id == self.project, ItemRow.changed_xid >= start),
            select(ItemVectorRow.item_pk).where(
                ItemVectorRow.version_id == version_id, ItemVectorRow.changed_xid >= start
            ),
        ).subquery()
        query = (
            select(
                ItemRow.item_id,
                ItemRow.title,
                ItemRow.available & ItemRow.deleted_at.is_(None),
                ItemRow.published_at,
                ItemVectorRow.vector,
                ItemVectorRow.shares,
            )
            .join(changed, changed.c.id == ItemRow.id)
            .outerjoin(ItemVectorRow, (ItemVectorRow.item_pk == ItemRow.id) & (ItemVectorRow.version_id == version_id))
            .order_by(ItemRow.id)
        )
        if since == FROM_THE_START:
            query = query.where(ItemRow.deleted_at.is_(None))
        return [
            ItemUpdate(item_id, title, shown, published_at, _floats(vector), _floats(shares))
            for item_id, title, shown, published_at, vector, shares in self.session.execute(query)
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


def _floats(raw: bytes | None) -> "np.ndarray[tuple[int], np.dtype[np.float32]] | None":
    return None if raw is None else np.frombuffer(raw, "<f4")

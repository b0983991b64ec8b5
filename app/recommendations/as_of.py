"""The catalogue as it was in a snapshot of the past, and how long that can be asked for (ADR 0008)."""

import re
from typing import Any

from sqlalchemy import select, text

from app.core.errors import CatalogueForgotten
from app.core.types import ProjectId, VersionId
from app.db.repository import Repository
from app.db.session import Transaction
from app.db.tables import ModelVersionRow
from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.repository import floats
from app.recommendations.vectors import ItemVectors, VectorUpdate

FORGET_AT_ONCE = 50_000
"""Rows that one call forgets of each history at most."""
_SNAPSHOT = re.compile(r"(\d+):(\d+):(?:\d+(?:,\d+)*)?")

_WAS = """
    pg_visible_in_snapshot(changed_xid, CAST(:snapshot AS pg_snapshot))
    AND ended_xid >= pg_snapshot_xmin(CAST(:snapshot AS pg_snapshot))
    AND NOT pg_visible_in_snapshot(ended_xid, CAST(:snapshot AS pg_snapshot))
"""
_ITEMS = text(f"""
    SELECT id, item_id, title, available, published_at, created_at, categories, attributes FROM items
    WHERE project_id = :project AND deleted_at IS NULL
        AND pg_visible_in_snapshot(changed_xid, CAST(:snapshot AS pg_snapshot))
    UNION ALL
    SELECT item_pk, item_id, title, available, published_at, created_at, categories, attributes FROM item_history
    WHERE project_id = :project AND deleted_at IS NULL AND {_WAS}
    ORDER BY 1
""")
_VECTORS = text(f"""
    SELECT item_pk, vector, shares FROM item_vectors
    WHERE version_id = :version AND pg_visible_in_snapshot(changed_xid, CAST(:snapshot AS pg_snapshot))
    UNION ALL
    SELECT item_pk, vector, shares FROM item_vector_history WHERE version_id = :version AND {_WAS}
    ORDER BY 1
""")
_IS_KEPT = text("""
    SELECT CAST(:xmax AS xid8) <= pg_snapshot_xmax(pg_current_snapshot()) AND NOT EXISTS (
        SELECT FROM catalogue_horizons WHERE project_id = :project AND forgotten_xid >= CAST(:xmin AS xid8))
""")
_FORGET = text("""
    WITH items_gone AS (
        DELETE FROM item_history WHERE id IN (
            SELECT id FROM item_history WHERE ended_at < now() - make_interval(secs => :older_s) LIMIT :limit)
        RETURNING project_id, ended_xid
    ), vectors_gone AS (
        DELETE FROM item_vector_history AS history USING model_versions
        WHERE model_versions.id = history.version_id AND history.id IN (
            SELECT id FROM item_vector_history WHERE ended_at < now() - make_interval(secs => :older_s) LIMIT :limit)
        RETURNING project_id, ended_xid
    ), gone AS (SELECT * FROM items_gone UNION ALL SELECT * FROM vectors_gone
    ), marked AS (
        INSERT INTO catalogue_horizons (project_id, forgotten_xid)
        SELECT project_id, max(ended_xid) FROM gone GROUP BY project_id
        ON CONFLICT (project_id) DO UPDATE
            SET forgotten_xid = greatest(catalogue_horizons.forgotten_xid, EXCLUDED.forgotten_xid)
    )
    SELECT count(*) FROM gone
""")


def catalogue_as_of(
    transaction: Transaction, project: ProjectId, *, snapshot: str, version: VersionId | None
) -> tuple[Catalogue, ItemVectors]:
    """What a process had in memory that had looked with this snapshot; deleted items are left out.

    Args:
        transaction: any; it reads.
        project: whose catalogue.
        snapshot: `ProjectState.snapshot` of that time.
        version: whose vectors; without one no item has any.

    Raises:
        CatalogueForgotten: when a part of it is no longer kept, or the version is gone.
    """
    return _History(transaction, project).as_of(snapshot, version)


def forget_history(transaction: Transaction, *, older_s: float) -> int:
    """Forget some of what ended longer ago than that, and remember that it is forgotten; how many rows that were."""
    values = {"older_s": older_s, "limit": FORGET_AT_ONCE}
    return int(transaction.session.scalars(_FORGET, values).one())


class _History(Repository):
    """Items and vectors of one project as they were."""

    def as_of(self, snapshot: str, version: VersionId | None) -> tuple[Catalogue, ItemVectors]:
        bounds = _SNAPSHOT.fullmatch(snapshot)
        if bounds is None:
            raise CatalogueForgotten
        catalogue = Catalogue()
        catalogue.apply(
            ItemUpdate(*row) for row in self.session.execute(_ITEMS, {"project": self.project, "snapshot": snapshot})
        )
        vectors = self._vectors(catalogue, snapshot, version)
        # Asked last: what is forgotten while this reads is noticed too.
        kept = {"project": self.project, "xmin": bounds[1], "xmax": bounds[2]}
        if not self.session.scalars(_IS_KEPT, kept).one():
            raise CatalogueForgotten
        return catalogue, vectors

    def _vectors(self, catalogue: Catalogue, snapshot: str, version: VersionId | None) -> ItemVectors:
        if version is None:
            vectors = ItemVectors(width=0, modalities=())
        else:
            manifest = self._manifest(version)
            names = [modality["name"] for modality in manifest["modalities"]]
            vectors = ItemVectors(width=manifest["item_width"], modalities=names)
            ids = dict(zip(catalogue.pks.tolist(), catalogue.ids, strict=True))
            found = self.session.execute(_VECTORS, {"version": version, "snapshot": snapshot})
            vectors.apply(
                (VectorUpdate(ids[pk], floats(vector), floats(shares)) for pk, vector, shares in found if pk in ids),
                catalogue.row_of,
            )
        vectors.extend(len(catalogue))
        return vectors

    def _manifest(self, version: VersionId) -> dict[str, Any]:
        query = select(ModelVersionRow.manifest).where(
            ModelVersionRow.project_id == self.project, ModelVersionRow.id == version
        )
        manifest: dict[str, Any] | None = self.session.scalars(query).one_or_none()
        if manifest is None:
            raise CatalogueForgotten
        return manifest

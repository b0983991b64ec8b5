"""Versions that serve beside the live one because experiments name them, and the items they know too little of."""

from collections.abc import Sequence

from sqlalchemy import exists, or_, select, tuple_

from app.core.types import ExperimentState, ItemState, MediaState, VersionId
from app.db.repository import Repository
from app.db.tables import (
    ExperimentArmRow,
    ExperimentRow,
    HiddenStatesRow,
    ItemRow,
    ItemVectorRow,
    MediaRow,
    ModelVersionRow,
    ProjectRow,
)
from app.models.repository import StaleItem


class BesideRepository(Repository):
    """The versions of one project that serve a part of it."""

    def versions(self) -> Sequence[ModelVersionRow]:
        """Those that can serve and get vectors of new contents, without the live one."""
        named = (
            select(ExperimentArmRow.version)
            .join(ExperimentRow, ExperimentRow.id == ExperimentArmRow.experiment_id)
            .where(ExperimentRow.project_id == self.project, ExperimentRow.state == ExperimentState.RUNNING)
        )
        names = {name for name in self.session.scalars(named) if name is not None}
        if not names:
            return []
        query = (
            select(ModelVersionRow)
            .join(ProjectRow, ProjectRow.id == ModelVersionRow.project_id)
            .where(
                ModelVersionRow.project_id == self.project,
                ModelVersionRow.id.is_distinct_from(ProjectRow.live_version_id),
                ModelVersionRow.archived_at.is_(None),
                ModelVersionRow.deleted_at.is_(None),
            )
        )
        rows = self.session.scalars(query.order_by(ModelVersionRow.id))
        return [row for row in rows if row.name in names and row.manifest["modalities"]]

    def find(self, version: VersionId) -> ModelVersionRow | None:
        """One of them, if it still is."""
        return next((row for row in self.versions() if row.id == version), None)

    def outdated_items(self, version: ModelVersionRow, *, after: int, limit: int) -> Sequence[StaleItem]:
        """Items past the number `after` whose vector is missing or made from other contents, locked.

        Those that the version's encoders have seen nothing of are left out, but for encoders of its own: theirs may be
        yet to come.
        """
        query = (
            select(ItemRow.id, ItemRow.content_key)
            .outerjoin(ItemVectorRow, (ItemVectorRow.item_pk == ItemRow.id) & (ItemVectorRow.version_id == version.id))
            .where(
                ItemRow.project_id == self.project,
                ItemRow.id > after,
                ItemRow.deleted_at.is_(None),
                ItemRow.content_key.is_not(None),
                ItemRow.state != ItemState.PENDING,
                or_(ItemVectorRow.item_pk.is_(None), ItemVectorRow.content_key != ItemRow.content_key),
            )
            .order_by(ItemRow.id)
            .limit(limit)
            .with_for_update(skip_locked=True, of=ItemRow)
        )
        if not version.own_encoders:
            encoders = [(entry["name"], entry["encoder"]) for entry in version.manifest["modalities"]]
            query = query.where(
                exists().where(
                    MediaRow.item_pk == ItemRow.id,
                    HiddenStatesRow.project_id == MediaRow.project_id,
                    HiddenStatesRow.content_hash == MediaRow.content_hash,
                    tuple_(MediaRow.modality, HiddenStatesRow.fingerprint).in_(encoders),
                    HiddenStatesRow.state == MediaState.ENCODED,
                )
            )
        return [StaleItem(pk, key or "") for pk, key in self.session.execute(query)]

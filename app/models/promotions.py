"""The history of the live pointer, and where a rollback goes."""

from collections.abc import Sequence

from sqlalchemy import select

from app.db.repository import Repository
from app.db.tables import ModelVersionRow, PromotionRow

TRAINING, REQUEST, ROLLBACK = "training", "request", "rollback"


class PromotionRepository(Repository):
    """The promotions of one project.

    Each points at the one whose version served before, and a rollback points where its target pointed: so several
    rollbacks in a row go further back, and never to and fro.
    """

    def newest(self) -> PromotionRow | None:
        """The one that made the present version live."""
        query = select(PromotionRow).where(PromotionRow.project_id == self.project)
        return self.session.scalars(query.order_by(PromotionRow.id.desc()).limit(1)).one_or_none()

    def page(self, *, limit: int, before: int | None) -> Sequence[tuple[PromotionRow, ModelVersionRow]]:
        """The newest promotions, older than number `before`, with their versions."""
        query = (
            select(PromotionRow, ModelVersionRow)
            .join(ModelVersionRow, ModelVersionRow.id == PromotionRow.version_id)
            .where(PromotionRow.project_id == self.project)
        )
        if before is not None:
            query = query.where(PromotionRow.id < before)
        found = self.session.execute(query.order_by(PromotionRow.id.desc()).limit(limit))
        return [(promotion, version) for promotion, version in found]

    def target(self) -> tuple[PromotionRow, ModelVersionRow] | None:
        """The promotion that a rollback repeats: the last before the present one whose version can serve."""
        present = self.newest()
        following = present.previous_id if present else None
        while following is not None:
            promotion = self.session.get_one(PromotionRow, following)
            version = self.session.get_one(ModelVersionRow, promotion.version_id)
            other = present is not None and version.id != present.version_id
            if other and version.deleted_at is None and version.archived_at is None:
                return promotion, version
            following = promotion.previous_id
        return None

    def add(
        self, version: ModelVersionRow, *, reason: str, key_id: int | None, previous_id: int | None
    ) -> PromotionRow:
        """Write down that a version goes live."""
        row = PromotionRow(
            project_id=self.project, version_id=version.id, previous_id=previous_id, reason=reason, key_id=key_id
        )
        self.session.add(row)
        self.session.flush()
        return row

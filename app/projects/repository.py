"""Queries for projects and keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.core.types import ProjectId
from app.db.repository import Repository
from app.db.session import Transaction
from app.db.tables import ApiKeyRow, ProjectRow


def ensure_project(transaction: Transaction, name: str) -> ProjectId:
    """The number of the project of this name, made if it is missing."""
    session = transaction.session
    session.execute(insert(ProjectRow).values(name=name).on_conflict_do_nothing())
    return ProjectId(session.scalars(select(ProjectRow.id).where(ProjectRow.name == name)).one())


def find_key(transaction: Transaction, secret_hash: bytes) -> ApiKeyRow | None:
    """The valid key with this hash, of whatever project."""
    query = select(ApiKeyRow).where(ApiKeyRow.secret_hash == secret_hash, ApiKeyRow.revoked_at.is_(None))
    return transaction.session.scalars(query).one_or_none()


class KeyRepository(Repository):
    """The keys of one project."""

    def add(self, row: ApiKeyRow) -> ApiKeyRow:
        """Insert and read back the defaults."""
        self.session.add(row)
        self.session.flush()
        self.session.refresh(row)
        return row

    def all(self) -> Sequence[ApiKeyRow]:
        """Every key, oldest first."""
        query = select(ApiKeyRow).where(ApiKeyRow.project_id == self.project).order_by(ApiKeyRow.id)
        return self.session.scalars(query).all()

    def change(self, key_id: int, values: Mapping[str, Any]) -> ApiKeyRow | None:
        """Write some columns; the key, or None when there is no such key."""
        mine = (ApiKeyRow.project_id == self.project, ApiKeyRow.id == key_id)
        if values:
            self.session.execute(update(ApiKeyRow).where(*mine).values(**values))
        query = select(ApiKeyRow).where(*mine)
        return self.session.scalars(query, execution_options={"populate_existing": True}).one_or_none()

    def revoke(self, key_id: int) -> datetime | None:
        """Revoke once; the time of it, or None when there is no such key."""
        query = (
            update(ApiKeyRow)
            .where(ApiKeyRow.project_id == self.project, ApiKeyRow.id == key_id)
            .values(revoked_at=func.coalesce(ApiKeyRow.revoked_at, func.now()))
            .returning(ApiKeyRow.revoked_at)
        )
        return self.session.scalars(query).one_or_none()

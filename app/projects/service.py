"""Makes projects and keys, and tells who a key is."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from app.core.errors import InvalidRequest, KeyNotFound
from app.core.types import ProjectId, Scope
from app.db.session import Transaction
from app.db.tables import ApiKeyRow
from app.projects.repository import KeyRepository, ensure_project, find_key
from app.projects.schemas import KeyCreated, KeyPatch, KeyRead

KEY_MARK = "crs"
PREFIX_CHARACTERS = 12


@dataclass(frozen=True)
class Principal:
    """Whom a request acts for."""

    project: ProjectId
    key_id: int
    scopes: frozenset[Scope]
    rate_per_s: float | None = None
    burst: int | None = None


def hash_key(key: str) -> bytes:
    """What is stored of a key. It has 256 random bits, so one fast hash is as safe as a slow one."""
    return hashlib.sha256(key.encode()).digest()


class ProjectService:
    """Projects and keys in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def ensure_project(self, name: str) -> ProjectId:
        """The project of this name, made if it is missing."""
        return ensure_project(self._transaction, name)

    def authenticate(self, key: str) -> Principal | None:
        """Who this key is, or None when it is unknown or revoked."""
        row = find_key(self._transaction, hash_key(key))
        if row is None:
            return None
        scopes = frozenset(Scope(scope) for scope in row.scopes)
        return Principal(ProjectId(row.project_id), row.id, scopes, row.rate_per_s, row.burst)

    def create_key(
        self,
        project: ProjectId,
        *,
        name: str,
        scopes: Collection[str],
        rate_per_s: float | None = None,
        burst: int | None = None,
    ) -> KeyCreated:
        """A new key; its secret is in the answer and nowhere else."""
        key = f"{KEY_MARK}_{secrets.token_urlsafe(32)}"
        row = ApiKeyRow(
            project_id=project,
            name=name,
            prefix=key[:PREFIX_CHARACTERS],
            secret_hash=hash_key(key),
            scopes=sorted(Scope(scope) for scope in scopes),
            rate_per_s=rate_per_s,
            burst=burst,
        )
        added = KeyRepository(self._transaction, project).add(row)
        return KeyCreated(key=key, **read_key(added).model_dump())

    def list_keys(self, project: ProjectId) -> list[KeyRead]:
        """Every key of the project, revoked ones too."""
        return [read_key(row) for row in KeyRepository(self._transaction, project).all()]

    def change_key(self, project: ProjectId, key_id: int, patch: KeyPatch) -> KeyRead:
        """Change name or rate; raises KeyNotFound."""
        given = patch.model_dump(exclude_unset=True)
        if given.get("name", "") is None:
            raise InvalidRequest.of("name", "must not be null")
        row = KeyRepository(self._transaction, project).change(key_id, given)
        if row is None:
            raise KeyNotFound(key_id)
        return read_key(row)

    def revoke_key(self, project: ProjectId, key_id: int) -> None:
        """Make a key useless; raises KeyNotFound."""
        if KeyRepository(self._transaction, project).revoke(key_id) is None:
            raise KeyNotFound(key_id)


def read_key(row: ApiKeyRow) -> KeyRead:
    """A row as clients may see it."""
    return KeyRead(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        scopes=[Scope(scope) for scope in row.scopes],
        rate_per_s=row.rate_per_s,
        burst=row.burst,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from app.core.errors import KeyNotFound
from app.core.types import ProjectId, Scope
from app.db.session import Database
from app.db.tables import ApiKeyRow
from app.projects.service import ProjectService, hash_key


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=2)
    yield database
    database.close()


def new_project(database: Database, name: str) -> ProjectId:
    with database.transaction() as transaction:
        return ProjectService(transaction).ensure_project(name)


def test_a_project_is_made_once(database: Database) -> None:
    assert new_project(database, "a") == new_project(database, "a") != new_project(database, "b")


def test_of_a_key_only_its_hash_and_prefix_are_stored(database: Database) -> None:
    project = new_project(database, "a")
    with database.transaction() as transaction:
        created = ProjectService(transaction).create_key(project, name="k", scopes=["admin", Scope.RECOMMEND])
    with database.transaction() as transaction:
        row = transaction.session.scalars(select(ApiKeyRow)).one()
        stored = [str(getattr(row, column.key)) for column in ApiKeyRow.__table__.columns]
        assert not any(created.key in value for value in stored)
        assert row.secret_hash == hash_key(created.key)
    assert created.key.startswith(created.prefix)
    assert len(created.key) - len(created.prefix) >= 32
    assert created.scopes == [Scope.ADMIN, Scope.RECOMMEND]


def test_a_key_tells_its_project_and_scopes_until_it_is_revoked(database: Database) -> None:
    one, two = new_project(database, "a"), new_project(database, "b")
    with database.transaction() as transaction:
        created = ProjectService(transaction).create_key(one, name="k", scopes=[Scope.INGEST])
    with database.transaction() as transaction:
        projects = ProjectService(transaction)
        principal = projects.authenticate(created.key)
        assert principal is not None
        assert (principal.project, principal.scopes) == (one, {Scope.INGEST})
        assert projects.authenticate(created.key + "x") is None
        assert projects.authenticate("") is None
        assert projects.list_keys(two) == []
        with pytest.raises(KeyNotFound):
            projects.revoke_key(two, created.id)
        projects.revoke_key(one, created.id)
    with database.transaction() as transaction:
        projects = ProjectService(transaction)
        assert projects.authenticate(created.key) is None
        (first,) = projects.list_keys(one)
        assert first.revoked_at is not None
        projects.revoke_key(one, created.id)
    with database.transaction() as transaction:
        (again,) = ProjectService(transaction).list_keys(one)
        assert again.revoked_at == first.revoked_at

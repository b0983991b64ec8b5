"""Studies as a database keeps them: to whom they belong, and what the database has to allow."""

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import NullPool, create_engine, text

from app.core.config import Settings
from app.core.types import ProjectId
from worker import tune_study
from worker.tune_study import LOCKS, StudyKey, StudyUnusable, opened

KEY = StudyKey(ProjectId(1), "s", {"method": "id", "fixed": {}, "space": []})


def execute(database: str, *statements: str) -> None:
    engine = create_engine(database, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def end_holders(database: str) -> None:
    """End the connections that hold studies of this database, and wait until they are gone."""
    execute(
        database,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_database d ON d.oid = database "
        f"WHERE locktype = 'advisory' AND classid::bigint = {LOCKS} AND datname = current_database()",
    )


@pytest.fixture
def database(database_url: str) -> str:
    return Settings(database_url=database_url).database


@pytest.fixture
def guest(database: str) -> Iterator[str]:
    """A role that may do nothing but connect."""
    name = f"guest_{uuid.uuid4().hex}"
    execute(database, f"CREATE ROLE {name} LOGIN")
    yield name
    execute(database, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def as_role(database: str, role: str) -> str:
    return database.replace("://postgres@", f"://{role}@")


def test_a_role_that_may_not_make_the_schema_is_told_so(database: str, guest: str) -> None:
    with (
        pytest.raises(StudyUnusable, match=r"schema 'optuna'.*permission denied.*CREATE SCHEMA optuna"),
        opened(as_role(database, guest), KEY),
    ):
        pass


def test_in_a_schema_of_its_own_it_needs_no_more(database: str, guest: str) -> None:
    execute(database, f"CREATE SCHEMA optuna AUTHORIZATION {guest}")
    for _ in range(2):
        with opened(as_role(database, guest), KEY) as held:
            assert held.study.get_trials() == []


@pytest.mark.parametrize("granted", ["", "GRANT USAGE ON SCHEMA optuna TO {}"])
def test_a_schema_of_somebody_else_is_told_too(database: str, guest: str, granted: str) -> None:
    with opened(database, KEY):
        pass
    if granted:
        execute(database, granted.format(guest))
    with pytest.raises(StudyUnusable, match="schema 'optuna'"), opened(as_role(database, guest), KEY):
        pass


def test_a_lost_connection_is_found_out(database: str) -> None:
    with opened(database, KEY) as held:
        held.check()
        end_holders(database)
        with pytest.raises(StudyUnusable, match="held the study 's' was lost"):
            held.check()


def test_a_silent_connection_is_not_ended_for_that(database: str) -> None:
    execute(
        database,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET idle_session_timeout = 9', current_database()); END $$",
    )
    with tune_study._connection(database) as connection:
        assert connection.scalar(text("SHOW idle_session_timeout")) == "0"

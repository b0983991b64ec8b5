import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect

from app.db.base import Base
from app.db.migrate import alembic_config, upgrade
from app.embedded.services import Endpoints
from tests.conftest import _execute, _named


@pytest.fixture
def empty_url(services: Endpoints) -> Iterator[str]:
    name = f"empty_{uuid.uuid4().hex}"
    _execute(services, f"CREATE DATABASE {name} TEMPLATE template0")
    yield _named(services, name)
    _execute(services, f"DROP DATABASE {name} WITH (FORCE)")


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found - {"alembic_version"}


def functions(url: str) -> list[str]:
    engine = create_engine(url)
    with engine.connect() as connection:
        query = "SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'public'"
        names = [name for (name,) in connection.exec_driver_sql(query)]
    engine.dispose()
    return names


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")  # reflection knows no such type, Xid8 is ours
def test_up_down_up_leaves_nothing_behind_and_matches_the_tables(empty_url: str) -> None:
    config = alembic_config(empty_url)
    upgrade(empty_url)
    assert tables(empty_url) == set(Base.metadata.tables)
    command.downgrade(config, "base")
    assert tables(empty_url) == set()
    assert functions(empty_url) == []
    upgrade(empty_url)
    command.check(config)


def test_two_processes_at_once(empty_url: str) -> None:
    code = "import sys; from app.db.migrate import upgrade; upgrade(sys.argv[1])"
    running = [
        subprocess.Popen([sys.executable, "-c", code, empty_url], stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    assert tables(empty_url) == set(Base.metadata.tables)


def test_rows_restored_from_another_cluster_get_numbers_of_this_one(database_url: str) -> None:
    far_ahead = 10**15
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO projects (name) VALUES ('p')")
        connection.exec_driver_sql(
            "INSERT INTO items (project_id, item_id, changed_xid) "
            f"SELECT id, item, xid::xid8 FROM projects, (VALUES ('old', '{far_ahead}'), ('new', '1')) v (item, xid)"
        )
    upgrade(database_url)
    with engine.connect() as connection:
        query = "SELECT item_id, changed_xid::text::bigint FROM items"
        found = {item: number for item, number in connection.exec_driver_sql(query)}
    engine.dispose()
    assert found["new"] == 1
    assert 1 < found["old"] < far_ahead

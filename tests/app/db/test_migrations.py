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


FAR_AHEAD = 10**15
RESTORED = {
    "an item": f"UPDATE items SET changed_xid = '{FAR_AHEAD}'",
    "an item of the past": f"UPDATE item_history SET ended_xid = '{FAR_AHEAD}'",
    "the newest answer": f"UPDATE answers SET snapshot = '{FAR_AHEAD}:{FAR_AHEAD}:'",
}


@pytest.mark.parametrize("sign", RESTORED)
def test_of_another_cluster_no_past_is_left(database_url: str, sign: str) -> None:
    """Its numbers and those of this one can't be compared."""
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO projects (name) VALUES ('p')")
        connection.exec_driver_sql("INSERT INTO items (project_id, item_id) SELECT id, 'a' FROM projects")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE items SET title = 'new'")
        connection.exec_driver_sql(
            "INSERT INTO answers (project_id, id, at, at_s, snapshot, options, rotated, rank_offset, item_ids, scores, "
            "propensities, sources) SELECT id, gen_random_uuid(), now(), 0, pg_current_snapshot()::text, '{}', '{}', "
            "0, '{}', '{}', '{}', '{}' FROM projects"
        )
    upgrade(database_url)
    assert past(database_url) == (1, False, False), "nothing has happened yet"
    with engine.begin() as connection:
        connection.exec_driver_sql(RESTORED[sign])
    upgrade(database_url)
    assert past(database_url) == (0, sign == "the newest answer", True)
    with engine.begin() as connection:
        now = "SELECT pg_snapshot_xmax(pg_current_snapshot())"
        assert connection.exec_driver_sql(f"SELECT bool_and(changed_xid < ({now})) FROM items").scalar_one()
    upgrade(database_url)
    assert past(database_url) == (0, sign == "the newest answer", True)
    engine.dispose()


def past(url: str) -> tuple[int, bool, bool]:
    """Rows of history, whether the answers' snapshots are gone, and whether there is a horizon."""
    engine = create_engine(url)
    with engine.connect() as connection:
        query = (
            "SELECT (SELECT count(*) FROM item_history), (SELECT bool_and(snapshot = '') FROM answers), "
            "EXISTS (SELECT FROM catalogue_horizons)"
        )
        rows, forgotten, horizon = connection.exec_driver_sql(query).one()
    engine.dispose()
    return rows, forgotten, horizon

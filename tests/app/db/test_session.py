from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.db.session import Database
from app.projects.repository import ensure_project


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=2)
    yield database
    database.close()


def projects(database: Database) -> list[str]:
    with database.transaction() as transaction:
        return list(transaction.session.scalars(text("SELECT name FROM projects ORDER BY id")))


def test_before_then_commit_then_after(database: Database) -> None:
    seen: list[tuple[str, list[str]]] = []
    with database.transaction() as transaction:
        transaction.after_commit(lambda: seen.append(("after 1", projects(database))))
        transaction.before_commit(lambda: seen.append(("before 1", projects(database))))
        transaction.before_commit(lambda: seen.append(("before 2", projects(database))))
        transaction.after_commit(lambda: seen.append(("after 2", projects(database))))
        ensure_project(transaction, "a")
        assert seen == []
    assert seen == [("before 1", []), ("before 2", []), ("after 1", ["a"]), ("after 2", ["a"])]


def test_a_rollback_runs_neither(database: Database) -> None:
    ran: list[str] = []
    with pytest.raises(ZeroDivisionError), database.transaction() as transaction:  # noqa: PT012
        transaction.before_commit(lambda: ran.append("before"))
        transaction.after_commit(lambda: ran.append("after"))
        ensure_project(transaction, "a")
        raise ZeroDivisionError
    assert ran == []
    assert projects(database) == []


def test_a_failing_action_before_the_commit_prevents_it(database: Database) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    ran: list[str] = []
    with pytest.raises(ZeroDivisionError), database.transaction() as transaction:  # noqa: PT012
        ensure_project(transaction, "a")
        transaction.before_commit(fail)
        transaction.after_commit(lambda: ran.append("after"))
    assert ran == []
    assert projects(database) == []


def test_a_constraint_that_fails_late_is_seen_before_anything_is_told(database: Database) -> None:
    from app.db.tables import ProjectRow

    ran: list[str] = []
    with database.transaction() as transaction:
        ensure_project(transaction, "a")
    with pytest.raises(IntegrityError), database.transaction() as transaction:  # noqa: PT012
        transaction.before_commit(lambda: ran.append("before"))
        transaction.session.add(ProjectRow(name="a"))
    assert ran == []


def test_the_connection_is_free_while_actions_after_the_commit_run(database: Database) -> None:
    checked_out: list[int] = []
    with database.transaction() as transaction:
        transaction.session.execute(text("SELECT 1"))
        transaction.after_commit(lambda: checked_out.append(database.engine.pool.checkedout()))  # type: ignore[attr-defined]
    assert checked_out == [0]


def test_a_connection_that_the_server_has_closed_is_replaced(database: Database) -> None:
    with database.transaction() as transaction:
        pid = transaction.session.scalars(text("SELECT pg_backend_pid()")).one()
    other = Database(str(database.engine.url.render_as_string(hide_password=False)), pool_size=1)
    with other.transaction() as transaction:
        transaction.session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    other.close()
    assert projects(database) == []

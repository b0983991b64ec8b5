import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

from app.core.errors import DependencyUnavailable
from app.db.answers import as_unavailable

NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/none"


def test_a_refused_connection_names_the_setting() -> None:
    with pytest.raises(OperationalError) as refused:
        create_engine(NOWHERE, poolclass=NullPool).connect()
    told = as_unavailable(refused.value)
    assert isinstance(told, DependencyUnavailable)
    assert "CROSSAN_DATABASE_URL" in told.detail
    assert "refused" in told.detail
    assert "\n" not in told.detail


def test_what_another_error_hides_is_found() -> None:
    wrapping = RuntimeError("while storing")
    wrapping.__cause__ = OperationalError("SELECT 1", {}, Exception("the server went away"))
    told = as_unavailable(wrapping)
    assert told is not None
    assert "the server went away" in told.detail
    assert "SELECT" not in told.detail


def test_an_address_that_is_none_is_told_too() -> None:
    with pytest.raises(ArgumentError) as unreadable:
        create_engine("nonsense://somewhere")
    assert as_unavailable(unreadable.value) is not None


def test_a_bug_is_none_of_it(database_url: str) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(ProgrammingError) as wrong:
        connection.execute(text("SELECT nonsense"))
    assert as_unavailable(wrong.value) is None
    assert as_unavailable(ValueError("no")) is None

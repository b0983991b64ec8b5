"""Counting that may not take for ever: over many answers a statement is given up in time."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.errors import QueryCanceled
from sqlalchemy import TextClause, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

LONGEST_S = 30
"""After that the database gives up."""

_CHANGE = text("SELECT set_config('statement_timeout', :value, true)")


class TookTooLong(Exception):
    """The database has given up; the transaction is over."""


def rows_in_time(
    session: Session, statement: TextClause, parameters: Mapping[str, Any], *, longest_s: float
) -> Sequence[Any]:
    """The rows of a statement; raises TookTooLong."""
    before = session.scalars(text("SELECT current_setting('statement_timeout')")).one()
    session.execute(_CHANGE, {"value": f"{longest_s}s"})
    try:
        rows = session.execute(statement, parameters).all()
    except OperationalError as error:
        if isinstance(error.orig, QueryCanceled):
            raise TookTooLong from error
        raise
    session.execute(_CHANGE, {"value": before})
    return rows

"""A graph over the item vectors of a version inside PostgreSQL, by pgvector: an index on what `item_vectors` holds.

PostgreSQL keeps it up to date in the transaction that writes a vector or deletes it. It costs nothing where nobody asks
for it, and goes with its version (`drop_forgotten`).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.core.types import VersionId
from app.recommendations.search.index import NO_ROW, Rows

log = structlog.get_logger(__name__)

EXTENSION = "vector"
LEAST_RELEASE = (0, 8)
"""Since then a search goes on until it has as many items as were asked for."""
MOST_COLUMNS = 2_000
LINKS, BUILD_WIDTH = 16, 64
LOCK = 0x63726F7373616E
ASK_AGAIN_S = 0.5
TIMEOUT_MS, TIMEOUT_A_USER_MS = 2_000, 200
INDEX = "ix_item_vectors_searchable_"

_RELEASE = text("SELECT extversion FROM pg_extension WHERE extname = :name")
_IS_AVAILABLE = text("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = :name)")
_TRY_LOCK = text("SELECT pg_try_advisory_lock(:lock)")
_UNLOCK = text("SELECT pg_advisory_unlock(:lock)")
_IS_VALID = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
_SIZE = text("SELECT pg_relation_size(to_regclass(:name))")
_SETTINGS = text("""
    SELECT set_config('hnsw.ef_search', :width, true), set_config('hnsw.iterative_scan', 'relaxed_order', true),
        set_config('enable_sort', 'off', true), set_config('jit', 'off', true),
        set_config('statement_timeout', :timeout, true)
""")
_FORGOTTEN = text("""
    SELECT indexed.relname FROM pg_index JOIN pg_class AS indexed ON indexed.oid = indexrelid
    WHERE indrelid = CAST('item_vectors' AS regclass) AND starts_with(indexed.relname, :prefix)
        AND NOT EXISTS (SELECT FROM model_versions WHERE :prefix || id = indexed.relname
            AND deleted_at IS NULL AND archived_at IS NULL)
""")


class NoGraph(Exception):
    """PostgreSQL can't keep a graph; the message says why."""


@dataclass(frozen=True)
class KeptVectors:
    """The vectors of a version where they are kept.

    Attributes:
        engine: of the database.
        version: whose they are.
        pks: numbers of the items, by row of the catalogue [n].
    """

    engine: Engine
    version: VersionId
    pks: NDArray[np.int64]


class DatabaseGraph:
    """One version's; made by the first process that needs it, while vectors go on being written.

    Args:
        engine: of the database.
        version: whose vectors.
        columns: d.

    Raises:
        NoGraph: there is none, and none can be made.
    """

    def __init__(self, engine: Engine, version: VersionId, *, columns: int) -> None:
        self._engine = engine
        self._version = int(version)
        self._name = f"{INDEX}{self._version}"
        self._vector = f"(searchable_floats(item_vectors.vector)::vector({columns}))"
        if columns > MOST_COLUMNS:
            raise NoGraph(f"vectors have more than {MOST_COLUMNS} columns")
        try:
            self.size_bytes = self._made()
        except SQLAlchemyError as error:
            raise NoGraph(reason_of(error)) from error

    def nearest(self, users: NDArray[np.float32], count: int, *, width: int) -> Rows:
        """Numbers of the items of the highest inner products with each of the users [b, d].

        Args:
            users: vectors.
            count: items for each.
            width: vectors that the walk keeps in view.

        Returns:
            Numbers [b, count] in no order; -1 where there are fewer.

        Raises:
            SQLAlchemyError: the database failed, or took too long.
        """
        # The planner takes the index only where it sees the number of the version.
        statement = text(f"""
            SELECT place, item_pk FROM unnest(CAST(:users AS vector[])) WITH ORDINALITY AS wanted(taste, place),
            LATERAL (SELECT item_pk FROM item_vectors WHERE version_id = {self._version}
                ORDER BY {self._vector} <#> taste LIMIT {int(count)}) AS found
        """)
        timeout = TIMEOUT_MS + TIMEOUT_A_USER_MS * len(users)
        with self._engine.begin() as connection:
            connection.execute(_SETTINGS, {"width": str(width), "timeout": str(timeout)})
            found = connection.execute(statement, {"users": [str(user.tolist()) for user in users]}).all()
        return _by_user(np.array([tuple(row) for row in found], np.int64).reshape(-1, 2), len(users), count)

    def _made(self) -> int:
        """Bytes of the graph, which is there now."""
        with _autocommit(self._engine) as connection, _alone(connection):
            _ensure_extension(connection)
            if not connection.scalar(_IS_VALID, {"name": self._name}):
                # One whose building was cut off is there, and of no use.
                connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {self._name}")
                connection.exec_driver_sql(
                    f"CREATE INDEX CONCURRENTLY {self._name} ON item_vectors USING hnsw "
                    f"({self._vector} vector_ip_ops) WITH (m = {LINKS}, ef_construction = {BUILD_WIDTH}) "
                    f"WHERE version_id = {self._version}"
                )
            return int(connection.scalar(_SIZE, {"name": self._name}) or 0)


def drop_forgotten(engine: Engine) -> None:
    """Remove the graphs of versions that have no vectors any more."""
    with _autocommit(engine) as connection:
        for name in connection.scalars(_FORGOTTEN, {"prefix": INDEX}).all():
            connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            log.info("graph of a former version removed", index=name)


def reason_of(error: SQLAlchemyError) -> str:
    """The first line of what a database says, without the statement."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return next(iter(str(cause).splitlines()), type(cause).__name__)


def _autocommit(engine: Engine) -> Connection:
    """Indexes beside which others write can't be made inside a transaction."""
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """One process at a time. Who waits asks again and again: a statement that waits would hold up the building."""
    while not connection.scalar(_TRY_LOCK, {"lock": LOCK}):
        time.sleep(ASK_AGAIN_S)
    try:
        yield
    finally:
        connection.execute(_UNLOCK, {"lock": LOCK})


def _ensure_extension(connection: Connection) -> None:
    if not connection.scalar(_IS_AVAILABLE, {"name": EXTENSION}):
        raise NoGraph(f"PostgreSQL has no extension {EXTENSION}")
    connection.exec_driver_sql(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}")
    release = str(connection.scalar(_RELEASE, {"name": EXTENSION}))
    if tuple(map(int, release.split(".")[:2])) < LEAST_RELEASE:
        raise NoGraph(f"pgvector {release} is older than {'.'.join(map(str, LEAST_RELEASE))}")


def _by_user(found: NDArray[np.int64], users: int, count: int) -> Rows:
    """From pairs of a user's place, counted from 1, and an item's number [r, 2]; those of a user in one run."""
    numbers = np.full((users, count), NO_ROW, np.int64)
    place = found[np.argsort(found[:, 0], kind="stable")]
    user = place[:, 0] - 1
    numbers[user, np.arange(len(user)) - np.searchsorted(user, user)] = place[:, 1]
    return numbers

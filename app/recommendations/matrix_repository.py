"""Reads all vectors of a version at the speed of a copy, and tells whether what was kept of them is still good."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from sqlalchemy import text

from app.core.types import VersionId
from app.db.repository import Repository
from app.recommendations.matrix_file import Matrix

BLOCK_BYTES = 1 << 23
"""Read before it is taken apart."""
COPY_HEADER_BYTES = 19
COPY_END = b"\xff\xff"

_ORIGIN = text("""
    SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
        (SELECT timeline_id FROM pg_control_checkpoint()),
        (SELECT oid FROM pg_database WHERE datname = current_database()))
""")
_IS_REMEMBERED = text("""
    SELECT CAST(:start AS xid8) <= pg_snapshot_xmin(pg_current_snapshot()) AND NOT EXISTS (
        SELECT FROM catalogue_horizons WHERE project_id = :project AND forgotten_xid >= CAST(:start AS xid8))
""")
_CHANGED = text("""
    SELECT (SELECT count(*) FROM item_vectors WHERE version_id = :version AND changed_xid >= CAST(:start AS xid8))
        + (SELECT count(*) FROM item_vector_history WHERE version_id = :version AND ended_xid >= CAST(:start AS xid8))
""")
_COUNT = text("""
    SELECT count(*) FROM item_vectors JOIN items ON items.id = item_vectors.item_pk
    WHERE item_vectors.version_id = :version AND items.project_id = :project AND items.deleted_at IS NULL
""")
_ITEMS = """
    COPY (SELECT id FROM items WHERE project_id = %s AND deleted_at IS NULL ORDER BY id) TO STDOUT (FORMAT binary)
"""
_VECTORS = """
    COPY (SELECT item_pk, vector, shares FROM item_vectors WHERE version_id = %s) TO STDOUT (FORMAT binary)
"""


class MatrixRepository(Repository):
    """The vectors of one project's versions, in the snapshot of its transaction."""

    def origin(self) -> str:
        """Tells this database, with its time line, from any other: numbers of transactions mean nothing elsewhere."""
        found: str = self.session.scalars(_ORIGIN).one()
        return found

    def is_remembered(self, start: int) -> bool:
        """Whether everything that has ended since a transaction of the past is still known."""
        known = {"start": str(start), "project": self.project}
        return bool(self.session.scalars(_IS_REMEMBERED, known).one())

    def count_changed(self, version: VersionId, *, since: int) -> int:
        """How many vectors were written or went since then; one may count twice."""
        return int(self.session.scalars(_CHANGED, {"version": version, "start": str(since)}).one())

    def count(self, version: VersionId) -> int:
        """How many items have a vector."""
        return int(self.session.scalars(_COUNT, {"version": version, "project": self.project}).one())

    def item_pks(self) -> NDArray[np.int64]:
        """Numbers of all items in the order in which a new catalogue has them [n]."""
        blocks = [block["0"].astype(np.int64) for block in self._copied(_ITEMS, self.project, [(">i8", ())])]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.int64)

    def fill(self, matrix: Matrix, version: VersionId) -> None:
        """Put every vector of the version into its item's row."""
        width, modalities = matrix.arrays.values.shape[1], matrix.arrays.shares.shape[1]
        columns = [(">i8", ()), ("<f4", (width,)), ("<f4", (modalities,))]
        for block in self._copied(_VECTORS, version, columns):
            matrix.put(block["0"].astype(np.int64), block["1"], block["2"])

    def _copied(
        self, statement: str, value: int, columns: list[tuple[str, tuple[int, ...]]]
    ) -> Iterator[NDArray[np.void]]:
        """Rows of PostgreSQL's binary format, some at a time; columns are named "0", "1" and so on.

        Raises:
            ValueError: a row has other columns, or a value another length.
        """
        record = _record(columns)
        pending = bytearray()
        connection: Connection[Any] = self.session.connection().connection.driver_connection  # type: ignore[assignment]
        with connection.cursor() as cursor, cursor.copy(statement, (value,)) as copy:
            pending += copy.read()
            del pending[:COPY_HEADER_BYTES]
            for data in copy:
                pending += data
                if len(pending) >= BLOCK_BYTES:
                    whole = len(pending) // record.itemsize * record.itemsize
                    yield _checked(bytes(pending[:whole]), record)
                    del pending[:whole]
        if not pending.endswith(COPY_END):
            raise ValueError("PostgreSQL sent less than it should")
        yield _checked(bytes(pending[: -len(COPY_END)]), record)


def _record(columns: list[tuple[str, tuple[int, ...]]]) -> np.dtype[np.void]:
    """A row: the number of its columns, and each with its length before it."""
    fields: list[Any] = [("columns", ">i2")]
    for number, (kind, shape) in enumerate(columns):
        fields += [(f"length {number}", ">i4"), (str(number), kind, shape)]
    return np.dtype(fields)


def _checked(raw: bytes, record: np.dtype[np.void]) -> NDArray[np.void]:
    rows = np.frombuffer(raw, record)
    columns = len(record.names or ()) // 2
    is_good = (rows["columns"] == columns).all() and all(
        (rows[f"length {number}"] == record[str(number)].itemsize).all() for number in range(columns)
    )
    if not is_good:
        raise ValueError("a value in the database has another length than its version says")
    return rows

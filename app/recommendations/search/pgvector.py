"""Has PostgreSQL propose items, for a catalogue that is larger than this machine's memory.

The vectors stay in the mapped file (ADR 0010), of which a search touches only the pages of what was proposed.
"""

import time
from dataclasses import replace

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError

from app.recommendations.search.database_graph import LINKS, DatabaseGraph, KeptVectors, NoGraph, reason_of
from app.recommendations.search.exact import ExactIndex
from app.recommendations.search.index import NO_ROW, IndexReport, Rows, Scores, VectorSource
from app.recommendations.search.overlay import Overlay
from app.recommendations.search.recall import Truth
from app.recommendations.search.refining import Shortlist, refined
from app.telemetry.metrics import INDEX_FAILURES

log = structlog.get_logger(__name__)

WIDTHS = (64, 128, 256, 512, 1_000)
"""Vectors that a search keeps in view: the wider, the slower and the surer; pgvector takes no more."""
SPARE = 16
REST_S = 5.0
"""The database is left alone for so long after it has failed."""


class PgvectorIndex:
    """A graph inside PostgreSQL, and the vectors of this process.

    PostgreSQL proposes by the vectors as they are there at that moment; scores are of the vectors as this process has
    seen them in its last look, and so is presence. An item whose change has not been seen yet is proposed by the new
    vector and scored by the old one, for the moment until the next look. What has changed since this was built is read
    in every search besides. Where PostgreSQL fails, every vector is read: the answer is exact, and slow.

    Args:
        vectors: read anew in every search, and at least one.
        kept: the same in the database.

    Attributes:
        width: of a search.
        report: what was built.

    Raises:
        NoGraph: PostgreSQL can't keep one.
    """

    waits = True

    def __init__(self, vectors: VectorSource, kept: KeptVectors) -> None:
        start = time.perf_counter()
        self.width = WIDTHS[0]
        self._vectors = vectors
        values = vectors.values
        self._exact = ExactIndex(vectors)
        self._overlay = Overlay(built=len(values))
        pks = kept.pks[: len(values)]
        self._row = np.argsort(pks)
        self._pk = pks[self._row]
        self._graph = DatabaseGraph(kept.engine, kept.version, columns=values.shape[1])
        self._rests_until = 0.0
        items, held = int(np.count_nonzero(vectors.present)), self._row.nbytes + self._pk.nbytes
        self.report = IndexReport("pgvector", items, None, held, time.perf_counter() - start, self._settings, "")

    @property
    def is_worn(self) -> bool:
        """Whether so many rows have changed that it had better be built anew; the graph itself is always new."""
        return self._overlay.is_worn

    @property
    def _settings(self) -> dict[str, int]:
        return {"links": LINKS, "width": self.width, "database_bytes": self._graph.size_bytes}

    def tuned(self, truths: list[Truth], target: float) -> float:
        """Widen the search until it finds what is asked for, or as much as it can.

        Returns:
            The recall of the width that it ends with.

        Raises:
            NoGraph: the database failed.
        """
        recall = 0.0
        for self.width in WIDTHS:
            recall = min(truth.recall(self) for truth in truths)
            if self._rests_until:
                raise NoGraph("a search failed")
            if recall >= target:
                break
        self.report = replace(self.report, recall=recall, settings=self._settings)
        return recall

    def changed(self, rows: NDArray[np.intp]) -> None:
        """The vectors of these rows were written."""
        self._overlay.changed(rows)
        self._exact.changed(rows)

    def search(self, users: NDArray[np.float32], k: int) -> tuple[Rows, Scores]:
        """The k items of highest inner product with each of the users [b, d], or nearly; see `ItemIndex`."""
        users = np.ascontiguousarray(users, np.float32)
        if time.monotonic() >= self._rests_until:
            try:
                return self._searched(users, k)
            except SQLAlchemyError as error:
                self._rests_until = time.monotonic() + REST_S
                INDEX_FAILURES.inc()
                log.warning("the database finds no items, every vector is read", reason=reason_of(error))
        return self._exact.search(users, k)

    def _searched(self, users: NDArray[np.float32], k: int) -> tuple[Rows, Scores]:
        fresh = self._overlay.rows
        found = self._proposed(users, k + SPARE).without(fresh).with_rows(fresh)
        answer = refined(self._vectors.values, self._vectors.present, users, found, k)
        # Where a walk ended early, or there are no more, only a look at all can tell.
        return self._exact.completed(answer, answer.rows[:, -1] == NO_ROW, users, k)

    def _proposed(self, users: NDArray[np.float32], count: int) -> Shortlist:
        numbers = self._graph.nearest(users, count, width=max(self.width, min(count, WIDTHS[-1])))
        place = np.searchsorted(self._pk, numbers).clip(max=len(self._pk) - 1)
        # Items that came after this was built are not known here, and read besides.
        rows = np.where(self._pk[place] == numbers, self._row[place], NO_ROW)
        return Shortlist(rows, np.full(len(users), -np.inf, np.float32))

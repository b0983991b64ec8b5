"""Walks a graph of near vectors: the time of a search hardly grows with the catalogue, and it may miss an item.

Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using HNSW graphs" (2016), from faiss.
"""

import os
import time
from dataclasses import replace

import faiss
import numpy as np
from numpy.typing import NDArray

from app.recommendations.search.exact import ExactIndex
from app.recommendations.search.index import NO_ROW, IndexReport, Rows, Scores, VectorSource
from app.recommendations.search.overlay import Overlay
from app.recommendations.search.recall import Truth
from app.recommendations.search.refining import Shortlist, refined

LINKS = 32
"""Neighbours of a vector in the graph; twice as many on its lowest layer."""
BUILD_WIDTH = 100
WIDTHS = (64, 128, 256, 512, 1_024)
"""Vectors that a search keeps in view: the wider, the slower and the surer."""
TRAINED_ON = 100_000
SPARE_SHARE, SPARE = 2, 16


class HnswIndex:
    """A graph over 8-bit copies of the vectors as they were when it was built; what changed since is read exactly.

    Args:
        vectors: read anew in every search, and at least one.
        reason: why this kind, for the report.

    Attributes:
        width: of a search.
        report: what was built.
    """

    waits = False

    def __init__(self, vectors: VectorSource, *, reason: str = "") -> None:
        start = time.perf_counter()
        self.width = WIDTHS[0]
        self._vectors = vectors
        values = vectors.values
        self._exact = ExactIndex(vectors)
        self._overlay = Overlay(built=len(values))
        self._rows = np.flatnonzero(vectors.present[: len(values)])
        self._graph = _graph(values[self._rows])
        seconds = time.perf_counter() - start
        self.report = IndexReport("hnsw", len(self._rows), None, self._size_bytes, seconds, self._settings, reason)

    @property
    def is_worn(self) -> bool:
        """Whether so many rows have changed that it had better be built anew."""
        return self._overlay.is_worn

    @property
    def _settings(self) -> dict[str, int]:
        return {"links": LINKS, "width": self.width}

    @property
    def _size_bytes(self) -> int:
        # By the layout in faiss: a byte a column, 32-bit neighbours and 64-bit offsets.
        links = self._graph.hnsw.neighbors.size() * 4 + self._graph.hnsw.offsets.size() * 8
        return int(len(self._rows) * (self._graph.d + self._rows.itemsize) + links)

    def tuned(self, truths: list[Truth], target: float) -> float:
        """Widen the search until it finds what is asked for, or as much as it can.

        Returns:
            The recall of the width that it ends with.
        """
        recall = 0.0
        for self.width in WIDTHS:
            recall = min(truth.recall(self) for truth in truths)
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
        fresh = self._overlay.rows
        found = self._walked(users, SPARE_SHARE * k + SPARE).without(fresh).with_rows(fresh)
        answer = refined(self._vectors.values, self._vectors.present, users, found, k)
        # Where a walk ended early, or there are no more, only a look at all can tell.
        return self._exact.completed(answer, answer.rows[:, -1] == NO_ROW, users, k)

    def _walked(self, users: NDArray[np.float32], count: int) -> Shortlist:
        faiss.omp_set_num_threads(1)
        width = faiss.SearchParametersHNSW(efSearch=max(self.width, count))
        _, places = self._graph.search(users, count, params=width)
        rows = np.where(places >= 0, self._rows[places], NO_ROW)
        return Shortlist(rows, np.full(len(users), -np.inf, np.float32))


def _graph(values: NDArray[np.float32]) -> faiss.IndexHNSWSQ:
    """Built on half of the processors: requests are served meanwhile."""
    faiss.omp_set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    graph = faiss.IndexHNSWSQ(values.shape[1], faiss.ScalarQuantizer.QT_8bit, LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = BUILD_WIDTH
    graph.train(values[:: max(1, len(values) // TRAINED_ON)])
    graph.add(values)
    return graph

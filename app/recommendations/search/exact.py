"""Reads every vector: the answer is the exact one, at the speed of memory."""

import time
from functools import cache

import faiss
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from app.recommendations.search.graphs import BLOCK, BLOCKS, COUNT, ITEMS, USERS, exact_graph, open_graph
from app.recommendations.search.index import IndexReport, Rows, Scores, VectorSource
from app.recommendations.search.refining import Answer, Shortlist, norms, refined, rounding_error

FEW_USERS = 2
"""Up to so many faiss, which reads all vectors for each user, is faster than a matrix product."""
FEW_ITEMS = 4_096
"""Up to so many the scores of all are compared."""
SPARE = 16
"""Found beyond k: a bound for all other rows, and room for rows whose vector is gone."""
SCORES_AT_ONCE = 1 << 20
"""Of a batch: what is computed in one run fits the processor's cache, or nearly."""


@cache
def _session() -> ort.InferenceSession:
    return open_graph(exact_graph())


class ExactIndex:
    """The vectors themselves; nothing is built or held beside them.

    Args:
        vectors: read anew in every search.
        reason: why this kind, for the report.
    """

    is_worn = False
    waits = False

    def __init__(self, vectors: VectorSource, *, reason: str = "") -> None:
        start = time.perf_counter()
        self._vectors = vectors
        self._longest = _longest(vectors.values)
        items = int(np.count_nonzero(vectors.present))
        self.report = IndexReport("exact", items, None, 0, time.perf_counter() - start, {}, reason)

    def changed(self, rows: NDArray[np.intp]) -> None:
        """The vectors of these rows were written."""
        self._longest = max(self._longest, _longest(self._vectors.values[rows]))

    def search(self, users: NDArray[np.float32], k: int) -> tuple[Rows, Scores]:
        """The k items of highest inner product with each of the users [b, d]; see `ItemIndex`."""
        values, present = self._vectors.values, self._vectors.present
        n = min(len(values), len(present))
        return self._answer(values[:n], present[:n], np.ascontiguousarray(users, np.float32), k)

    def completed(
        self, answer: Answer, which: NDArray[np.bool_], users: NDArray[np.float32], k: int
    ) -> tuple[Rows, Scores]:
        """Another index's answer, found anew for those of the users [b, d] that it did not find enough for [b]."""
        if which.any():
            answer.rows[which], answer.scores[which] = self.search(users[which], k)
        return answer.rows, answer.scores

    def _answer(
        self, values: NDArray[np.float32], present: NDArray[np.bool_], users: NDArray[np.float32], k: int
    ) -> tuple[Rows, Scores]:
        error = rounding_error(values.shape[1]) * norms(users) * self._longest
        if len(values) <= k + SPARE:
            every = np.broadcast_to(np.arange(len(values)), (len(users), len(values)))
            answer = refined(values, present, users, Shortlist(every, np.full(len(users), -np.inf)), k)
            return answer.rows, answer.scores
        lowest, rows = _found(values, present, users, k + SPARE)
        answer = refined(values, present, users, Shortlist(rows, lowest + error), k)
        for user in np.flatnonzero(~answer.proven):
            scores = _scores(values, present, users[user])
            one = refined(values, present, users[user : user + 1], _reaching(scores, k, error[user]), k)
            answer.rows[user], answer.scores[user] = one.rows[0], one.scores[0]
        return answer.rows, answer.scores


def _longest(vectors: NDArray[np.float32]) -> float:
    return float(norms(vectors).max(initial=0.0))


def _found(
    values: NDArray[np.float32], present: NDArray[np.bool_], users: NDArray[np.float32], count: int
) -> tuple[Scores, Rows]:
    """The lowest of the highest scores [b], with rounding errors, and the rows of these [b, count]; not all rows."""
    if len(values) <= FEW_ITEMS:
        return _highest(_scores(values, present, users), count)
    if len(users) <= FEW_USERS:
        # Of this thread: more threads than one would wait for each other, spinning.
        faiss.omp_set_num_threads(1)
        best, rows = faiss.knn(users, values, count, metric=faiss.METRIC_INNER_PRODUCT)
    else:
        best, rows = _batched(values, users, count)
    return best.min(axis=1), rows


def _highest(scores: Scores, count: int) -> tuple[Scores, Rows]:
    """Of scores [b, n] the lowest [b] of the `count` highest, and the rows of these [b, count]."""
    lowest = np.partition(scores, -count, axis=1)[:, -count]
    places = np.flatnonzero(scores >= lowest[:, None])
    if len(places) == count * len(scores):
        # Nothing ties with the lowest ones, and to find places by them is faster than to sort places.
        return lowest, (places % scores.shape[1]).reshape(-1, count)
    return lowest, np.argpartition(scores, -count, axis=1)[:, -count:]


def _scores(values: NDArray[np.float32], present: NDArray[np.bool_], users: NDArray[np.float32]) -> Scores:
    """Of all rows [b, n] or [n]; -inf for those without a vector."""
    scores: Scores = users @ values.T
    if not present.all():
        scores[..., ~present] = -np.inf
    return scores


def _batched(values: NDArray[np.float32], users: NDArray[np.float32], count: int) -> tuple[Scores, Rows]:
    columns = np.ascontiguousarray(users.T)
    step = max(SCORES_AT_ONCE // len(users) // BLOCK, 1) * BLOCK
    whole = len(values) // BLOCK * BLOCK
    parts = []
    for start in range(0, whole, step):
        items = values[start : min(start + step, whole)]
        limits = {COUNT: np.array([min(count, len(items))]), BLOCKS: np.array([min(count, len(items) // BLOCK)])}
        best, rows = _session().run(None, {ITEMS: items, USERS: columns, **limits})
        parts.append((best, rows + start))
    if whole < len(values):
        tail = np.broadcast_to(np.arange(whole, len(values)), (len(users), len(values) - whole))
        parts.append((users @ values[whole:].T, tail))
    return _best_of(parts, count)


def _best_of(parts: list[tuple[Scores, Rows]], count: int) -> tuple[Scores, Rows]:
    """The highest `count` of what several parts have found [b, c], in no order."""
    values, rows = (np.concatenate(column, axis=1) for column in zip(*parts, strict=True))
    if values.shape[1] <= count:
        return values, rows
    kept = np.argpartition(values, -count, axis=1)[:, -count:]
    return np.take_along_axis(values, kept, 1), np.take_along_axis(rows, kept, 1)


def _reaching(scores: Scores, k: int, error: float) -> Shortlist:
    """Every row [n] that may be among the k best: where many tie, or where spare rows had no vector."""
    # Whatever comes within twice the error of the k-th can be better than it.
    kth = np.partition(scores, -k)[-k]
    rows = np.flatnonzero((scores >= kth - 2 * error) & (scores > -np.inf))
    return Shortlist(rows[None], np.full(1, -np.inf))

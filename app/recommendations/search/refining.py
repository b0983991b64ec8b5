"""From candidates to an answer: true inner products, and the proof that nothing better was left out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recommendations.search.index import NO_ROW, Rows, Scores

EPSILON = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Shortlist:
    """Candidates of a batch of users, each row of a user at most once.

    Attributes:
        rows: [b, c]; -1 where there is none.
        rest: no row that isn't listed has a higher inner product [b]; -inf where there is no other row.
    """

    rows: Rows
    rest: Scores

    def without(self, rows: NDArray[np.intp]) -> "Shortlist":
        """The same without some rows, which are looked at elsewhere."""
        return Shortlist(np.where(np.isin(self.rows, rows), NO_ROW, self.rows), self.rest) if len(rows) else self

    def with_rows(self, rows: NDArray[np.intp]) -> "Shortlist":
        """The same and these rows for every user."""
        if not len(rows):
            return self
        added = np.broadcast_to(rows, (len(self.rows), len(rows)))
        return Shortlist(np.concatenate([self.rows, added], axis=1), self.rest)


@dataclass(frozen=True)
class Answer:
    """What was found of a batch.

    Attributes:
        rows: best first [b, k]; -1 where there are fewer.
        scores: inner products [b, k]; -inf where there are fewer.
        proven: for which users nothing can be missing [b].
    """

    rows: Rows
    scores: Scores
    proven: NDArray[np.bool_]


def refined(
    values: NDArray[np.float32], present: NDArray[np.bool_], users: NDArray[np.float32], found: Shortlist, k: int
) -> Answer:
    """The best k of the candidates by their inner products, among equals the lower row first.

    Args:
        values: item vectors [n, d].
        present: which of them there are [n].
        users: vectors [b, d].
        found: candidates.
        k: width of the answer.
    """
    listed = (found.rows != NO_ROW) & present[found.rows]
    scores = np.where(listed, inner_products(values.take(found.rows, axis=0), users[:, None]), -np.inf)
    rows = np.where(listed, found.rows, NO_ROW)
    if (missing := k - rows.shape[1]) > 0:
        rows = np.pad(rows, ((0, 0), (0, missing)), constant_values=NO_ROW)
        scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
    rows, scores = _best_first(rows, scores, k)
    # A row that isn't listed might tie with the last one and lie before it: only what is better is sure.
    return Answer(rows, scores, (scores[:, -1] > found.rest) | np.isneginf(found.rest))


def _best_first(rows: Rows, scores: Scores, k: int) -> tuple[Rows, Scores]:
    """The k highest, among equals the lower row first: one whole number holds both, and numpy sorts these fastest."""
    # As whole numbers the bits of positive floats are in order; of negative ones without the sign in reverse order.
    # What is added makes a zero of a negative zero.
    order = _flipped((scores + np.float32(0)).view(np.int32))
    keys = (~order).astype(np.int64) << 32 | rows.astype(np.uint32)
    keys.sort(axis=1)
    best = keys[:, :k]
    # Of the lower half, whose highest value is no row.
    return best.astype(np.int32).astype(np.int64), _flipped(~(best >> 32).astype(np.int32)).view(np.float32)


def _flipped(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    return bits ^ (bits >> 31 & np.iinfo(np.int32).max)


def inner_products(items: NDArray[np.float32], users: NDArray[np.float32]) -> Scores:
    """Inner products along the last axis, summed in fp64: the same for equal vectors wherever they stand."""
    products: Scores = np.vecdot(items.astype(np.float64), users.astype(np.float64)).astype(np.float32)
    return products


def rounding_error(width: int) -> float:
    """Most that an fp32 inner product is off, as a share of the product of the norms (Higham, §3.1)."""
    return width * EPSILON


def norms(vectors: NDArray[np.float32]) -> Scores:
    """Euclidean length of each [.., d]."""
    lengths: Scores = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))
    return lengths

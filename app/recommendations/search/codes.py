"""Vectors rounded to 8 bits with a scale for each row, or for each block of columns of a wide one, and their scan."""

import threading
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from app.recommendations.search.graphs import BLOCK, LEVELS, MAXIMA, SCORES, USERS, ZERO, open_graph, quantised_graph
from app.recommendations.search.index import Rows, Scores
from app.recommendations.search.refining import norms, rounding_error

ROWS_AT_ONCE = 1 << 17
"""Rows of a part: their scores stay in the processor's cache until their maxima are found."""
USERS_AT_ONCE = 2
"""More of them together save hardly anything, and need memory for a score of every row."""
ROOM = 4
"""Blocks for each score that is wanted: with fewer, so many of the scores are looked at that it would take longer."""
FLOATS_A_BLOCK = 3
"""The scale, and what ONNX Runtime computes ahead: 76 bytes a row were measured at width 64."""
SMALLEST_COLUMNS, LARGEST_COLUMNS = 16, 128
TINY = np.finfo(np.float32).tiny
CPU = ("cpu", 0, np.float32)


@dataclass(frozen=True)
class _Part:
    """Some rows inside a graph, the length of the longest vector, and of the longest difference to its codes."""

    session: ort.InferenceSession
    longest: float
    lost: float


class Codes:
    """Codes of vectors [n, d] as they are now.

    Args:
        values: the vectors.

    Attributes:
        size_bytes: memory of codes and scales; each thread that scans has 4 to 8 bytes a row beside it.
    """

    def __init__(self, values: NDArray[np.float32]) -> None:
        rows, self._width = values.shape
        self._columns = _columns(self._width)
        self._step = _step(rows)
        parts = [_part(values[at : at + self._step], self._step, self._columns) for at in range(0, rows, self._step)]
        self._sessions = [part.session for part in parts]
        self._longest = max((part.longest for part in parts), default=0.0)
        self._lost = max((part.lost for part in parts), default=0.0)
        self._local = threading.local()
        scales = len(parts) * self._step * -(-self._width // self._columns)
        self.size_bytes = scales * (self._columns + FLOATS_A_BLOCK * values.itemsize)

    def can_find(self, count: int) -> bool:
        """Whether so few are wanted that it is worth it."""
        return count * ROOM <= len(self._sessions) * self._step // BLOCK

    def best(self, users: NDArray[np.float32], count: int) -> tuple[Scores, Rows]:
        """Scores by the codes and rows [b, count] of the highest, in no order; beyond the last vector scores are 0."""
        groups = [self._best(users[at : at + USERS_AT_ONCE], count) for at in range(0, len(users), USERS_AT_ONCE)]
        return np.concatenate([scores for scores, _ in groups]), np.concatenate([rows for _, rows in groups])

    def _best(self, users: NDArray[np.float32], count: int) -> tuple[Scores, Rows]:
        scores, maxima = self._scanner(len(users)).scan(users)
        user = np.arange(len(users))[:, None]
        # Outside of these blocks no score is among the highest: so many blocks have a higher maximum.
        blocks = _highest(maxima, count)
        part, block = np.divmod(blocks, scores.shape[2])
        kept = scores[part, user, block].reshape(len(users), -1)
        place = _highest(kept, count)
        return kept[user, place], blocks[user, place // BLOCK] * BLOCK + place % BLOCK

    def _scanner(self, users: int) -> "_Scanner":
        """This thread's memory for a batch of this size."""
        held: dict[int, _Scanner] = self._local.__dict__.setdefault("scanners", {})
        if users not in held:
            held[users] = _Scanner(self._sessions, users=users, width=self._width, rows=self._step)
        return held[users]

    def error(self, users: NDArray[np.float32]) -> Scores:
        """Most that the scores of each user are off [b]."""
        lost = _lost_of_users(users, self._columns)
        lengths = norms(users) + lost
        rounding = rounding_error(self._width) * (self._longest + self._lost)
        error: Scores = lost * self._longest + lengths * (self._lost + rounding)
        return error


class _Scanner:
    """The graphs of all parts, bound to memory for the scores of a batch; for one thread."""

    def __init__(self, sessions: list[ort.InferenceSession], *, users: int, width: int, rows: int) -> None:
        self._users = np.empty((users, width), np.float32)
        self._scores = np.empty((len(sessions), users, rows // BLOCK, BLOCK), np.float32)
        self._maxima = np.empty(self._scores.shape[:3], np.float32)
        self._bindings = [
            (session, _bound(session, self._users, scores, maxima))
            for session, scores, maxima in zip(sessions, self._scores, self._maxima, strict=True)
        ]

    def scan(self, users: NDArray[np.float32]) -> tuple[Scores, Scores]:
        """Scores [p, b, g, block], overwritten by the next scan, and their maxima [b, p · g]."""
        self._users[:] = users
        for session, binding in self._bindings:
            session.run_with_iobinding(binding)
        return self._scores, self._maxima.swapaxes(0, 1).reshape(len(users), -1)


def _bound(session: ort.InferenceSession, users: Scores, scores: Scores, maxima: Scores) -> ort.IOBinding:
    binding = session.io_binding()
    binding.bind_input(USERS, *CPU, users.shape, users.ctypes.data)
    binding.bind_output(SCORES, *CPU, (len(users), scores[0].size), scores.ctypes.data)
    binding.bind_output(MAXIMA, *CPU, maxima.shape, maxima.ctypes.data)
    return binding


def _highest(scores: Scores, count: int) -> NDArray[np.intp]:
    """Places [b, count] of the highest, in no order."""
    if scores.shape[1] <= count:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(scores, -count, axis=1)[:, -count:]


def _columns(width: int) -> int:
    """Columns that share a scale: a power of two and mostly all of them, so that hardly more than codes is read."""
    columns = SMALLEST_COLUMNS
    while columns < min(width, LARGEST_COLUMNS):
        columns *= 2
    return columns


def _step(rows: int) -> int:
    """Rows of each part: all alike, so that hardly any are filled up."""
    parts = max(1, round(rows / ROWS_AT_ONCE))
    return max(1, -(-rows // (parts * BLOCK))) * BLOCK


def _part(values: NDArray[np.float32], rows: int, columns: int) -> _Part:
    width = values.shape[1]
    padded = np.zeros((rows, width + -width % columns), np.float32)
    padded[: len(values), :width] = values
    blocks = padded.reshape(rows, -1, columns)
    scales = np.abs(blocks).max(axis=2) / LEVELS
    whole = np.rint(blocks / np.maximum(scales, TINY)[:, :, None])
    lost = norms((blocks - whole * scales[:, :, None]).reshape(rows, -1)).max(initial=0.0)
    codes = (whole + ZERO).astype(np.uint8)
    session = open_graph(quantised_graph(codes, scales, width))
    return _Part(session, float(norms(values).max(initial=0.0)), float(lost))


def _lost_of_users(users: NDArray[np.float32], columns: int) -> Scores:
    """Length [b] of the difference between a user's vector and what ONNX Runtime rounds it to, block by block."""
    if padding := -users.shape[1] % columns:
        users = np.pad(users, ((0, 0), (0, padding)))
    blocks = users.reshape(len(users), -1, columns)
    steps = np.maximum(np.abs(blocks).max(axis=2, keepdims=True) / LEVELS, TINY)
    return norms((blocks - np.rint(blocks / steps) * steps).reshape(len(users), -1))

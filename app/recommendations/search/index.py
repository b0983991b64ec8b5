"""What every index of the items offers, whatever is inside, and what it tells of itself."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

IndexKind = Literal["exact", "quantised", "hnsw", "pgvector"]
Rows = NDArray[np.int64]
Scores = NDArray[np.float32]

NO_ROW = -1
"""Stands where there are fewer items than were asked for; its score is -inf."""


class VectorSource(Protocol):
    """The item vectors that an index is of; both arrays may be moved when they grow, and are read anew each time."""

    @property
    def values(self) -> NDArray[np.float32]:
        """Item vectors [n, d]; a row without a vector is zero."""

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which rows have a vector [n]."""


@dataclass(frozen=True)
class IndexReport:
    """What was built.

    Attributes:
        kind: of index.
        items: with a vector when it was built.
        recall: share of the exact top found, on the catalogue's own vectors; None for the exact index.
        size_bytes: memory it holds beside the vectors themselves.
        build_s: seconds it took to build, tuning and measuring of recall included.
        settings: what it was tuned to, such as {"ef": 200}.
        reason: why this kind and not another, for people.
    """

    kind: IndexKind
    items: int
    recall: float | None
    size_bytes: int
    build_s: float
    settings: dict[str, int]
    reason: str


class ItemIndex(Protocol):
    """Searches the items of one version.

    `search` may be called from any thread while `changed` is called from the event loop.
    """

    @property
    def report(self) -> IndexReport:
        """What was built."""

    @property
    def is_worn(self) -> bool:
        """Whether so much has changed since it was built that it is slow, and had better be built anew."""

    @property
    def waits(self) -> bool:
        """Whether a search waits for something outside of this process, and so belongs in a thread in any case."""

    def search(self, users: NDArray[np.float32], k: int) -> tuple[Rows, Scores]:
        """The k items of highest inner product with each of the users [b, d].

        Returns:
            Rows [b, k] and scores [b, k], best first, among equals the lower row first. Scores are inner products in
            fp32 of the vectors themselves. Where there are fewer than k: row -1, score -inf. Rows without a vector
            are never found.
        """

    def changed(self, rows: NDArray[np.intp]) -> None:
        """The vectors of these rows were written, and are found as they are from now on."""

"""The rows that an index does not know as they are: changed or new since it was built."""

import numpy as np
from numpy.typing import NDArray

FEW_ROWS = 1_024
WORN_SHARE = 64
"""More changed rows than one in so many, and than a few, take longer to read than the index saves."""


class Overlay:
    """Rows to be read in every search, beside those that the index finds.

    Args:
        built: rows that the index has.
    """

    def __init__(self, *, built: int) -> None:
        self.built = built
        self.rows = np.zeros(0, np.intp)
        """In order; replaced and never written, so that a search keeps the one it has read."""

    @property
    def is_worn(self) -> bool:
        """Whether the index had better be built anew."""
        return len(self.rows) > max(FEW_ROWS, self.built // WORN_SHARE)

    def changed(self, rows: NDArray[np.intp]) -> None:
        """These rows were written."""
        self.rows = np.union1d(self.rows, rows)

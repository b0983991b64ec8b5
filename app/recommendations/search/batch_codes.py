"""A copy of the vectors in 8 bits that is laid out to be multiplied with many users at once.

Sixteen rows of like size are a block and share a scale, so that their integer products can be compared with each
other. The blocks of a tile lie across it: the first rows of all of them, then the second rows, and so on. So the
maxima of all blocks for all users are found by comparing whole slices.
"""

import threading

import numpy as np
from numpy.typing import NDArray

from app.recommendations.search.batch_scan import BLOCK, GROUP, RoundedUsers, Scan, Tiles
from app.recommendations.search.graphs import LEVELS, ZERO
from app.recommendations.search.index import NO_ROW
from app.recommendations.search.products import LANES, Products, fastest
from app.recommendations.search.refining import Shortlist, norms, rounding_error

TILE = 1 << 14
"""Rows multiplied at once: their products are still in the processor's cache when the maxima are looked for."""
SMALLEST = 1e-6
"""Share of the largest value, below which a block's values are rounded as if it were this: nothing can overflow."""
LEAST = 1e-30
"""And where all are zero."""
ROUNDINGS = 8
"""Beyond those of a sum: of an integer to fp32, its product with both scales, what is added, and the threshold."""


class BatchCodes:
    """Codes of vectors [n, d] as they are now.

    Args:
        values: the vectors.

    Attributes:
        size_bytes: memory of codes, scales and the order of rows; each thread that scans has some beside it.
    """

    def __init__(self, values: NDArray[np.float32]) -> None:
        rows = len(values)
        tiles = max(1, round(rows / TILE))
        blocks = max(1, -(-rows // (tiles * BLOCK * GROUP))) * GROUP
        order = _by_size(values, tiles * blocks * BLOCK)
        self._tiles = _tiles(values, order.reshape(tiles, blocks, BLOCK))
        self._local = threading.local()
        self.size_bytes = self._tiles.size_bytes

    def can_find(self, count: int) -> bool:
        """Whether there are enough blocks to find a threshold for so many rows."""
        return 2 * count <= self._tiles.blocks_at_once

    def shortlist(self, users: NDArray[np.float32], count: int) -> Shortlist:
        """Rows that may be among the best `count` of each user [b, d], if it `can_find` so many.

        Where these are far too many, a user gets none, and a bound that proves nothing.
        """
        return _joined([self._shortlist(users[at : at + LANES], count) for at in range(0, len(users), LANES)])

    def _shortlist(self, users: NDArray[np.float32], count: int) -> Shortlist:
        rounded = RoundedUsers.of(users)
        scan = Scan(self._tiles, rounded, count)
        for part in self._products().parts(rounded.codes):
            scan.look_at(part)
        return scan.found()

    def _products(self) -> Products:
        """This thread's memory."""
        if not hasattr(self._local, "products"):
            self._local.products = Products(self._tiles.codes, fastest())
        products: Products = self._local.products
        return products


def _joined(lists: list[Shortlist]) -> Shortlist:
    rows = np.full((sum(len(one.rows) for one in lists), max(one.rows.shape[1] for one in lists)), NO_ROW)
    first = 0
    for one in lists:
        rows[first : first + len(one.rows), : one.rows.shape[1]] = one.rows
        first += len(one.rows)
    return Shortlist(rows, np.concatenate([one.rest for one in lists]))


def _by_size(values: NDArray[np.float32], places: int) -> NDArray[np.int32]:
    """Rows in the order of their largest value, and -1 for each place beyond."""
    largest = np.maximum(values.max(axis=1), -values.min(axis=1))
    order = np.full(places, NO_ROW, np.int32)
    order[: len(values)] = np.argsort(largest)
    return order


def _tiles(values: NDArray[np.float32], order: NDArray[np.int32]) -> Tiles:
    """Codes of the rows in an order [t, g, block]."""
    count, blocks, _ = order.shape
    codes = np.empty((count, BLOCK, blocks, values.shape[1]), np.uint8)
    scales = np.empty((count, blocks), np.float32)
    errors = np.empty((2, count, blocks), np.float32)
    rounding = rounding_error(values.shape[1] + ROUNDINGS)
    largest = max(values.max(initial=0.0), -values.min(initial=0.0))
    for tile, rows in enumerate(order):
        is_row = rows != NO_ROW
        of_rows = np.zeros((*rows.shape, values.shape[1]), np.float32)
        of_rows[is_row] = values[rows[is_row]]
        scales[tile] = np.maximum(np.abs(of_rows).max(axis=(1, 2)), max(largest * SMALLEST, LEAST)) / LEVELS
        steps = scales[tile][:, None, None]
        whole = np.rint(of_rows / steps)
        codes[tile] = (whole + ZERO).swapaxes(0, 1)
        longest, lost = norms(of_rows).max(axis=1), norms(of_rows - whole * steps).max(axis=1)
        errors[:, tile] = longest, lost + rounding * (longest + lost)
    return Tiles(codes, scales, errors, order)

"""Multiplies 8-bit codes of many rows with those of a few users, in whole numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from app.recommendations.search.graphs import ITEMS, LEVELS, PRODUCTS, USERS, ZERO, open_graph, product_graph

LANES = 16
"""Users that are multiplied together, filled up with zeros; more need more memory and save hardly any time."""
TILES_AT_ONCE = 8
"""Tiles whose products are held together."""

Integers = NDArray[np.int32]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Part:
    """Products of the users with some tiles; overwritten by those of the next.

    Attributes:
        products: [t, r, g, b].
        maxima: over the rows of each block [t, g, b].
        first: of the tiles.
    """

    products: Integers
    maxima: Integers
    first: int

    def of_blocks(self, block: Places, user: Places) -> Integers:
        """Products [p, r] of pairs of a block, counted through the tiles of the part, and a user [p]."""
        _, rows, blocks, lanes = self.products.shape
        tile, block = np.divmod(block, blocks)
        first = (tile * (rows * blocks) + block) * lanes + user
        products: Integers = self.products.reshape(-1).take(first[:, None] + np.arange(rows) * (blocks * lanes))
        return products


@dataclass(frozen=True)
class Multiplier:
    """A graph, and the type that it takes users of."""

    session: ort.InferenceSession
    kind: type[np.int8 | np.uint8]

    @classmethod
    def of(cls, kind: type[np.int8 | np.uint8]) -> "Multiplier":
        """For users of a type."""
        return cls(open_graph(product_graph(kind)), kind)

    @property
    def is_right(self) -> bool:
        """Whether it multiplies rightly on this processor.

        Without instructions made for it (VNNI) ONNX Runtime adds pairs of products of uint8 and int8 in 16 bits, which
        may be too few.
        """
        items, users = np.full((LANES, LANES), ZERO + LEVELS, np.uint8), np.full((LANES, LANES), LEVELS)
        products = self.session.run(None, {ITEMS: items, USERS: self.coded(users)})[0]
        return bool((products == LANES * LEVELS * LEVELS).all())

    def coded(self, users: NDArray[np.generic]) -> NDArray[np.int8 | np.uint8]:
        """Users of whole numbers as it takes them."""
        return (users + ZERO if self.kind is np.uint8 else users).astype(self.kind)


@cache
def fastest() -> Multiplier:
    """The fastest that is right on this processor; users of uint8 take up to twice as long."""
    fast = Multiplier.of(np.int8)
    return fast if fast.is_right else Multiplier.of(np.uint8)


class Products:
    """Memory for the products of a batch; for one thread.

    Args:
        codes: of all rows, in tiles of blocks that lie across them [t, r, g, d].
        multiplier: of codes.
    """

    def __init__(self, codes: NDArray[np.uint8], multiplier: Multiplier) -> None:
        tiles, rows, blocks, width = codes.shape
        slots = min(tiles, TILES_AT_ONCE)
        self._multiplier = multiplier
        self._users = np.zeros((width, LANES), multiplier.kind)
        self._products = np.empty((slots, rows, blocks, LANES), np.int32)
        self._maxima = np.empty((slots, blocks, LANES), np.int32)
        self._bindings = [
            self._bound(tile.reshape(-1, width), self._products[number % slots].reshape(-1, LANES))
            for number, tile in enumerate(codes)
        ]

    def _bound(self, items: NDArray[np.uint8], products: Integers) -> ort.IOBinding:
        binding = self._multiplier.session.io_binding()
        binding.bind_input(ITEMS, "cpu", 0, np.uint8, items.shape, items.ctypes.data)
        binding.bind_input(USERS, "cpu", 0, self._multiplier.kind, self._users.shape, self._users.ctypes.data)
        binding.bind_output(PRODUCTS, "cpu", 0, np.int32, products.shape, products.ctypes.data)
        return binding

    def parts(self, users: NDArray[np.generic]) -> Iterator[Part]:
        """Multiply with up to `LANES` users of whole numbers [b, d], some tiles after the other."""
        self._users[:, : len(users)] = self._multiplier.coded(users).T
        for first in range(0, len(self._bindings), TILES_AT_ONCE):
            bindings = self._bindings[first : first + TILES_AT_ONCE]
            for slot, binding in enumerate(bindings):
                self._multiplier.session.run_with_iobinding(binding)
                rows, maxima = self._products[slot], self._maxima[slot]
                # Whole slices, at the speed of memory: ONNX Runtime takes ten times as long.
                np.maximum.reduce(rows.reshape(len(rows), -1), axis=0, out=maxima.reshape(-1))
            yield Part(self._products[: len(bindings)], self._maxima[: len(bindings)], first)

"""The rows that can be among the best of a batch of users, by the products of their codes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recommendations.search.codes import TINY
from app.recommendations.search.graphs import LEVELS
from app.recommendations.search.index import NO_ROW, Scores
from app.recommendations.search.products import TILES_AT_ONCE, Part, Places
from app.recommendations.search.refining import Shortlist, norms

BLOCK = 16
"""Rows that share a scale and a maximum: few, for the products of all rows of the best blocks are looked at."""
GROUP = 8
"""Blocks whose maxima share one more, where there are plenty: so many fewer are sorted for a threshold."""
PLENTY = 4
"""Groups for each row that is wanted: the threshold is hardly lower than one of single blocks."""
MOST = 16
"""More rows or blocks than so many times what was asked for are not worth a look."""
LARGEST = 1 << 30
"""Beyond any product that there is to be compared."""


@dataclass(frozen=True)
class RoundedUsers:
    """Users in whole steps.

    Attributes:
        codes: whole numbers [b, d].
        steps: the size of each user's step [b].
        errors: length of what was rounded off, and of the user and that, in steps [b, 2].
    """

    codes: NDArray[np.float32]
    steps: Scores
    errors: Scores

    @classmethod
    def of(cls, users: NDArray[np.float32]) -> "RoundedUsers":
        """Users [b, d], each in steps of a part of its largest value."""
        steps = np.maximum(np.abs(users).max(axis=1) / LEVELS, TINY)
        in_steps = users / steps[:, None]
        codes = np.rint(in_steps)
        lost = norms(in_steps - codes)
        return cls(codes, steps, np.stack([lost, norms(in_steps) + lost], axis=1))


@dataclass(frozen=True)
class Tiles:
    """Coded rows.

    Attributes:
        codes: of the rows, 128 for zero [t, block, g, d].
        scales: of the blocks [t, g].
        errors: most that rows of a block are off for each unit of what was rounded off a user, and of the lengths of
            the user and of that [2, t, g].
        order: which rows they are, -1 for none [t, g, block].
    """

    codes: NDArray[np.uint8]
    scales: Scores
    errors: Scores
    order: NDArray[np.int32]

    @property
    def size_bytes(self) -> int:
        """Memory of all."""
        return self.codes.nbytes + self.scales.nbytes + self.errors.nbytes + self.order.nbytes

    @property
    def blocks_at_once(self) -> int:
        """Blocks whose maxima are known before the first row is chosen."""
        return min(len(self.codes), TILES_AT_ONCE) * len(self.codes[0, 0])


class Scan:
    """Finds the rows of highest scores; a score is a product times the scale of the row and the step of the user.

    Args:
        tiles: of all rows.
        users: up to `LANES`.
        count: rows that make the threshold of each user.
    """

    def __init__(self, tiles: Tiles, users: RoundedUsers, count: int) -> None:
        self._tiles, self._users, self._count = tiles, users, count
        self._highest = np.empty((len(users.steps), 0), np.float32)
        self._given_up = np.zeros(len(users.steps), bool)
        self._found: list[tuple[Places, Places, Scores]] = []

    def look_at(self, part: Part) -> None:
        """Keep the rows that can reach the threshold, which rises from part to part."""
        tiles = slice(part.first, part.first + len(part.maxima))
        scales = self._tiles.scales[tiles].reshape(-1)
        errors = self._users.errors @ self._tiles.errors[:, tiles].reshape(2, -1)
        maxima = part.maxima.reshape(len(scales), -1)[:, : len(errors)].T
        user, block = self._blocks(np.ascontiguousarray(maxima).astype(np.float32) * scales, errors)
        scale, error = scales[block], errors[user, block]
        products = part.of_blocks(block, user)
        # In whole numbers: there are sixteen times as many products as scales.
        least = np.clip((self._threshold[user] - error) / scale, -LARGEST, LARGEST).astype(np.int32)
        pair, row = np.divmod(np.flatnonzero(products >= least[:, None]), BLOCK)
        place = (part.first * part.maxima.shape[1] + block[pair]) * BLOCK + row
        self._found.append((user[pair], place, products[pair, row] * scale[pair] + error[pair]))

    def found(self) -> Shortlist:
        """What was found in all parts; no rows, and a bound that proves nothing, where they are too many."""
        user, place, most = (np.concatenate(column) for column in zip(*self._found, strict=True))
        kept = np.flatnonzero(most >= self._threshold[user])
        kept = kept[self._are_few(user[kept])]
        kept = kept[np.argsort(user[kept], kind="stable")]
        user, place = user[kept], place[kept]
        many = np.bincount(user, minlength=len(self._given_up))
        column = np.arange(len(user)) - np.repeat(many.cumsum() - many, many)
        rows = np.full((len(many), many.max()), NO_ROW)
        rows[user, column] = self._tiles.order.reshape(-1)[place]
        return Shortlist(rows, np.where(self._given_up, np.float32(np.inf), self._threshold * self._users.steps))

    def _blocks(self, maxima: Scores, errors: Scores) -> tuple[Places, Places]:
        """Users and blocks that can reach the threshold, by their maxima [b, g] and what these may be off."""
        are_plenty = maxima.shape[1] >= PLENTY * GROUP * self._count
        groups = maxima.reshape(len(maxima), GROUP, -1).max(axis=1) if are_plenty else maxima
        highest = np.concatenate([self._highest, groups], axis=1)
        self._highest = np.partition(highest, -self._count, axis=1)[:, -self._count :]
        self._threshold = self._highest[:, 0]
        # Numpy finds places in a flat array ten times as fast as rows and columns.
        user, block = np.divmod(np.flatnonzero(maxima + errors >= self._threshold[:, None]), maxima.shape[1])
        few = self._are_few(user)
        return user[few], block[few]

    def _are_few(self, user: Places) -> NDArray[np.bool_]:
        """For which of these finds the user has few enough to be worth a look."""
        self._given_up |= np.bincount(user, minlength=len(self._given_up)) > MOST * self._count
        few: NDArray[np.bool_] = ~self._given_up[user]
        return few

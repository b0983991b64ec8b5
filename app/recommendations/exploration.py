"""Chance that can be computed again: numbers for the places of a page, from the recommendation id."""

import hashlib

import numpy as np


class Dice:
    """Numbers that look drawn at random, and are the same for the same seed for ever: SHAKE128 of it.

    Args:
        seed: below 2^128.
        places: of a page.
    """

    def __init__(self, seed: int, places: int) -> None:
        stream = hashlib.shake_128(b"explore" + seed.to_bytes(16, "big")).digest(16 * places)
        self._uniform = np.frombuffer(stream, ">u8").astype(np.float64).reshape(places, 2) / 2**64

    def says_explore(self, place: int, probability: float) -> bool:
        """Whether chance gives the place (counted from 0 in the page)."""
        return bool(self._uniform[place, 0] < probability)

    def pick(self, place: int, count: int) -> int:
        """A number below `count`, each as likely."""
        return min(int(self._uniform[place, 1] * count), count - 1)

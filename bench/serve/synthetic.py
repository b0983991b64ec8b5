"""Synthetic catalogues: ids, titles, vectors in clusters as trained ones are, and shares of modalities."""

import numpy as np
from numpy.typing import NDArray

WORDS = ("Harbour", "Morning", "Orchestra", "Market", "River", "Lantern", "Winter", "Gallery", "Mountain", "Radio")
MODALITIES = ("text", "image", "audio", "video")
CLUSTERS = 256
SPREAD = 0.6
"""Deviation of an item from the centre of its cluster, whose own is 1."""


def item_id(number: int) -> str:
    """Of the n-th item."""
    return f"i{number}"


def user_id(number: int) -> str:
    """Of the n-th user."""
    return f"u{number}"


def title(number: int) -> str:
    """Three or four words, as titles have."""
    first, second = WORDS[number % len(WORDS)], WORDS[number // len(WORDS) % len(WORDS)]
    return f"{first} of the {second} {number}"


def draw_vectors(items: int, width: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Item vectors [n, d] in clusters of unequal size."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CLUSTERS, width), np.float32)
    of_item = (CLUSTERS * rng.random(items) ** 2).astype(np.intp)
    vectors = rng.standard_normal((items, width), np.float32)
    vectors *= SPREAD
    vectors += centres[of_item]
    return vectors


def draw_histories(users: int, items: int, events: int, *, seed: int = 2) -> NDArray[np.int64]:
    """What each user did, oldest first: different items, as their numbers [users, s]."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.choice(items, min(events, items), replace=False) for _ in range(users)])


def draw_shares(items: int, modalities: int, *, seed: int = 1) -> NDArray[np.float32]:
    """Shares [n, m] that add up to one."""
    shares = np.random.default_rng(seed).dirichlet(np.ones(modalities), items)
    return shares.astype(np.float32)

"""A tiny catalogue in which two kinds of users follow different modalities of the same items."""

import numpy as np
from numpy.typing import NDArray

from model.data.dataset import Dataset, FeatureTable, interactions_of

WIDTH, LAYERS = 24, 3
MARKED = 0.3
"""The share of items that only one kind of users consumes, and of such items in what they consume."""


def tastes_log(*, items: int = 160, users: int = 140, events: int = 12, topics: int = 10, seed: int = 0) -> Dataset:
    """Users of kind 0 go from text topic to the next, those of kind 1 from image topic to the next.

    The topics of an item's text and image are independent. Most items are for everyone; the others are for one kind,
    which shows in both modalities: by these the kinds can be told apart.
    """
    rng = np.random.default_rng(seed)
    topic = rng.integers(topics, size=(2, items))
    marked = rng.random(items) < MARKED
    kind = np.where(marked, rng.integers(2, size=items), -1)
    features = [_table(name, topic[column], kind, rng) for column, name in enumerate(("text", "image"))]
    histories = []
    for user in range(users):
        taste = user % 2
        walk = (rng.integers(topics) + np.arange(events)) % topics
        histories.append([_choice(topic[taste] == one, kind, taste, rng) for one in walk])
    return Dataset(items, features, interactions_of(histories))


def _table(name: str, topic: NDArray[np.int64], kind: NDArray[np.int64], rng: np.random.Generator) -> FeatureTable:
    """States that show the topic and the kind."""
    topics, kinds = rng.standard_normal((topic.max() + 1, WIDTH)), rng.standard_normal((2, WIDTH))
    shown = topics[topic] + np.where(kind[:, None] >= 0, 2 * kinds[kind], 0.0)
    states = shown[:, None, :] + 0.3 * rng.standard_normal((len(topic), LAYERS, WIDTH))
    return FeatureTable(name, states.astype(np.float16), np.arange(len(topic), dtype=np.int32))


def _choice(fits: NDArray[np.bool_], kind: NDArray[np.int64], taste: int, rng: np.random.Generator) -> int:
    """Draws an item of the topic: for the user's kind with some probability, if there is one, else for everyone."""
    own, common = np.flatnonzero(fits & (kind == taste)), np.flatnonzero(fits & (kind < 0))
    return int(rng.choice(own if len(own) and (rng.random() < MARKED or not len(common)) else common))

"""A tiny catalogue in which only content tells what comes next."""

import numpy as np

from model.data.dataset import Dataset, FeatureTable, interactions_of

# Widths and depths differ on purpose; text is nearly always there, the others often are not.
MODALITIES = (("text", 5, 24, 1.0), ("image", 9, 32, 0.6), ("audio", 3, 16, 0.6))


def content_log(items: int = 120, users: int = 150, events: int = 12, *, topics: int = 12, seed: int = 0) -> Dataset:
    """Every user goes from topic to the next topic; the item within the topic is chance. Item 0 has no content."""
    rng = np.random.default_rng(seed)
    topic = np.arange(items) % topics
    features = []
    for name, layers, width, share in MODALITIES:
        rows = 1 + np.flatnonzero(rng.random(items - 1) < share)
        centre = rng.standard_normal((topics, 1, width))
        noise = 0.5 * rng.standard_normal((len(rows), layers, width))
        row_of_item = np.full(items, -1, dtype=np.int32)
        row_of_item[rows] = np.arange(len(rows))
        features.append(FeatureTable(name, (centre[topic[rows]] + noise).astype(np.float16), row_of_item))
    histories = []
    for _ in range(users):
        walk = (rng.integers(topics) + np.arange(events)) % topics
        histories.append([int(rng.choice(np.flatnonzero(topic == one))) for one in walk])
    return Dataset(items, features, interactions_of(histories))

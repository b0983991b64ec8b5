"""A tiny catalogue of real media in which only the content tells what comes next, with states of tiny encoders."""

from collections.abc import Sequence

import numpy as np

from model.data.dataset import Dataset, FeatureTable, MediaTable, interactions_of
from model.encoders.base import load_encoder
from model.encoders.decode import Sample
from model.encoders.spec import EncoderSpec

TOPICS = ("space ship robot", "love heart story", "jazz piano song", "bread soup chef", "snow bear wolf", "race car")
ITEMS = 36
USERS = 40


def titles(items: int = ITEMS) -> list[str]:
    """A title for each item; its topic is its number modulo six."""
    return [f"the {TOPICS[item % len(TOPICS)]} {chr(97 + item // len(TOPICS))}" for item in range(items)]


def pictures(items: int = ITEMS) -> list[Sample]:
    """A picture for each item, in the colour of its topic."""
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 255, (len(TOPICS), 3))
    noise = rng.integers(-20, 20, (items, 40, 40, 3))
    return [np.clip(colours[item % len(TOPICS)] + noise[item], 0, 255).astype(np.uint8) for item in range(items)]


def histories(items: int = ITEMS, users: int = USERS) -> list[list[int]]:
    """Every user goes from topic to the next topic; the item within the topic is chance."""
    rng = np.random.default_rng(0)
    walks = [(rng.integers(len(TOPICS)) + np.arange(8)) % len(TOPICS) for _ in range(users)]
    return [[int(topic + len(TOPICS) * rng.integers(items // len(TOPICS))) for topic in walk] for walk in walks]


def media_log(specs: Sequence[EncoderSpec]) -> Dataset:
    """Items with text, two of three with a picture; as many modalities as there are specs ("text", then "image")."""
    samples = {"text": titles(), "image": pictures()}
    features, media = [], []
    for spec in specs:
        has = np.array([spec.modality == "text" or item % 3 > 0 for item in range(ITEMS)])
        there = [sample for sample, is_there in zip(samples[spec.modality], has, strict=True) if is_there]
        row_of_item = np.where(has, np.cumsum(has) - 1, -1).astype(np.int32)
        features.append(FeatureTable(spec.modality, load_encoder(spec).encode(there), row_of_item))
        media.append(MediaTable(spec, there, row_of_item))
    return Dataset(ITEMS, features, interactions_of(histories()), media)

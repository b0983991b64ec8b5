"""A log and hidden states of the sizes of MovieLens 100K with four modalities; what they say does not matter here."""

import numpy as np
import torch
from numpy.typing import NDArray

from model.config import parse_config
from model.data.dataset import Dataset, FeatureTable, Interactions
from model.data.splits import leave_one_out
from model.trainer import Trainer

ITEMS, USERS = 1_582, 943
MEDIAN_EVENTS, SPREAD, FEWEST = 60, 1.0, 20
"""Events of a user: log-normal, about 95,000 in all."""
ENCODERS = {"text": (7, 0.99), "image": (13, 0.85), "audio": (5, 0.99), "video": (13, 0.85)}
"""Stored layers of MiniLM, DINOv2 and Whisper tiny, and the share of items that have the modality."""
WIDTH = 384


def movielens_like(*, has_states: bool, seed: int = 0) -> Dataset:
    """Return a catalogue with or without states, and a log in which few items have many events."""
    rng = np.random.default_rng(seed)
    lengths = (MEDIAN_EVENTS * rng.lognormal(0, SPREAD, USERS)).astype(np.int64).clip(FEWEST, ITEMS // 2)
    popularity = 1 / np.arange(3, ITEMS + 3)
    items = np.concatenate([_distinct(popularity, length, rng) for length in lengths])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    features = [_states(name, *sizes, rng) for name, sizes in ENCODERS.items()] if has_states else []
    return Dataset(ITEMS, features, Interactions(offsets, items.astype(np.int32)))


def trainer_of(method: str, dataset: Dataset, **options: object) -> Trainer:
    """Return the trainer of a method with its defaults and some options."""
    torch.manual_seed(0)
    described = np.any(dataset.present, axis=1)
    rankable: NDArray[np.bool_] = np.asarray(described) if dataset.features else np.ones(dataset.item_count, np.bool_)
    events = dataset.interactions.keep(rankable[dataset.interactions.items])
    return Trainer(dataset, parse_config(method, options), leave_one_out(events), rankable, device="cpu")


def _distinct(popularity: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw different items by popularity, in the order in which they would come (Gumbel's trick)."""
    return np.argsort(-np.log(popularity) - rng.gumbel(size=ITEMS))[:count]


def _states(name: str, layers: int, share: float, rng: np.random.Generator) -> FeatureTable:
    there = np.flatnonzero(rng.random(ITEMS) < share)
    row_of_item = np.full(ITEMS, -1, np.int32)
    row_of_item[there] = np.arange(len(there))
    states = rng.standard_normal((len(there), layers, WIDTH), dtype=np.float32)
    return FeatureTable(name, states.astype(np.float16), row_of_item)

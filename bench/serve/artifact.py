"""A version with random weights, exported by the project's own code: speed does not depend on what was learned."""

from pathlib import Path

import numpy as np
import torch

from bench.serve.synthetic import MODALITIES
from model.artifact import Manifest
from model.config import TrainingConfig, parse_config
from model.data.dataset import Dataset, FeatureTable, interactions_of
from model.export import export_artifact
from model.methods.assembly import build_network
from model.train import Trained

STATES = (5, 16)
"""Layers and width of the hidden states of each modality: only the item tower reads them, and it does not serve."""
ITEMS = 8
"""Items that the export itself describes; those of the world come from elsewhere."""


def export_random(folder: Path, *, width: int, max_length: int, seed: int = 0) -> Manifest:
    """Write a whole artifact (`model.artifact`) of a recommender as it is before any training.

    Args:
        folder: made when it is not there.
        width: d of the item vectors.
        max_length: most items that the user encoder reads.
        seed: of the weights.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    dataset = _dataset(rng)
    config = parse_config("crossan", {"item_width": width, "max_length": max_length})
    trained = _untrained(config, dataset, rng)
    item_ids = [f"x{row}" for row in range(ITEMS)]
    return export_artifact(trained, dataset, folder, item_ids=item_ids, meta={"bench": True})


def _dataset(rng: np.random.Generator) -> Dataset:
    rows = np.arange(ITEMS, dtype=np.int32)
    features = [
        FeatureTable(name, rng.standard_normal((ITEMS, *STATES)).astype(np.float16), rows) for name in MODALITIES
    ]
    return Dataset(ITEMS, features, interactions_of([rows.tolist()]))


def _untrained(config: TrainingConfig, dataset: Dataset, rng: np.random.Generator) -> Trained:
    return Trained(
        config=config,
        shape=dataset.shape,
        recommender=build_network(config, dataset.shape).eval(),
        vectors=rng.standard_normal((ITEMS, config.tower.item_width), np.float32),
        shares=np.full((ITEMS, len(MODALITIES)), 1 / len(MODALITIES), np.float32),
        rankable=np.ones(ITEMS, np.bool_),
        metrics={"validation": {"hr10": 0.0, "ndcg10": 0.0}, "baselines": {}},
    )

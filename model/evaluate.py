"""Ranking of a whole catalogue for held-out users, for torch networks and for artifacts alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model import metrics
from model.artifact import load_item_vectors, load_manifest
from model.data.batch import last_events
from model.data.dataset import Dataset, Interactions
from model.data.splits import Holdout
from model.runtime import ItemTower, UserEncoder

USERS_AT_ONCE = 256
ITEMS_AT_ONCE = 1_024

# Histories of b users → scores [b, n].
Scorer = Callable[[Interactions], NDArray[np.float32]]
# Item vectors [b, s, d] and lengths [b] → user vectors [b, d].
Encode = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]]


def holdout_ranks(holdout: Holdout, score: Scorer, rankable: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Returns the rank of each user's target in the whole catalogue, without what is in their history.

    Args:
        holdout: u users' histories and targets.
        score: gives the scores [b, n] for the histories of b users.
        rankable: bool [n], the items that the model can score. Others are never in the answer, and a target among
            them counts as the last of the catalogue. None: all.

    Returns:
        int64 [u], 1 being the best.
    """
    found = []
    for start in range(0, len(holdout.targets), USERS_AT_ONCE):
        stop = min(start + USERS_AT_ONCE, len(holdout.targets))
        history, targets = holdout.history.part(start, stop), holdout.targets[start:stop]
        scores = score(history)
        excluded = np.zeros(scores.shape, dtype=np.bool_)
        excluded[history.users, history.items] = True
        if rankable is not None:
            excluded |= ~rankable
        found.append(metrics.ranks(scores, targets, excluded))
    ranks = np.concatenate(found)
    return ranks if rankable is None else np.where(rankable[holdout.targets], ranks, len(rankable))


def vector_scorer(vectors: NDArray[np.float32], encode: Encode, max_length: int) -> Scorer:
    """Returns a scorer by inner product: the user's last items → vector → item vectors [n, d]."""

    def score(history: Interactions) -> NDArray[np.float32]:
        items, lengths = last_events(history, max_length)
        return encode(vectors[np.maximum(items, 0)], lengths) @ vectors.T

    return score


def evaluate_artifact(
    folder: Path, dataset: Dataset, holdout: Holdout, *, item_ids: Sequence[str], providers: Sequence[str] | None = None
) -> dict[str, float]:
    """Scores a version on the given users by ONNX alone, so that versions can be compared on the same question.

    Items that came after the version was trained get their vector from its item tower, as they would in serving; an
    item that the version cannot describe is never in its answer.

    Args:
        folder: the artifact.
        dataset: the catalogue as it is now; its features must come from the encoders that the version names.
        holdout: histories and targets, as item rows of `dataset`.
        item_ids: the id of each item row of `dataset`.
        providers: of ONNX Runtime, best first; None: CPU.

    Returns:
        The metrics by name, see `model.metrics.summary`.

    Raises:
        ArtifactError: when a file is missing or does not have its checksum.
    """
    manifest = load_manifest(folder)
    known_ids, known_vectors, _ = load_item_vectors(folder)
    row_of_id = {item_id: row for row, item_id in enumerate(known_ids)}
    rows = np.array([row_of_id.get(item_id, -1) for item_id in item_ids], dtype=np.int64)
    vectors = np.zeros((dataset.item_count, manifest.item_width), dtype=np.float32)
    vectors[rows >= 0] = known_vectors[rows[rows >= 0]]
    rankable = rows >= 0
    if manifest.modalities:
        new = np.flatnonzero(~rankable & dataset.present.any(axis=1))
        tower = ItemTower(folder, providers)
        for chunk in np.array_split(new, -(-len(new) // ITEMS_AT_ONCE) or 1):
            vectors[chunk] = _encode_items(tower, dataset, chunk)
        rankable[new] = True
    encoder = UserEncoder(folder, providers)
    score = vector_scorer(vectors, encoder.encode, manifest.max_length)
    return metrics.summary(holdout_ranks(holdout, score, rankable))


def _encode_items(tower: ItemTower, dataset: Dataset, items: NDArray[np.int64]) -> NDArray[np.float32]:
    """Returns the vectors [n, d_e] that the tower gives to item rows [n]; modalities it does not know are left out."""
    states = {table.modality: table.states[table.row_of_item[items]] for table in dataset.features}
    there = {table.modality: table.row_of_item[items] >= 0 for table in dataset.features}
    nothing = np.zeros(len(items), dtype=np.bool_)
    present = np.stack([there.get(name, nothing) for name in tower.modalities], axis=1)
    return tower.encode(states, present)[0]

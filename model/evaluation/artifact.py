"""A version on disk, judged by ONNX alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model import metrics
from model.artifact import load_item_vectors, load_manifest
from model.data.dataset import Dataset
from model.data.splits import Holdout
from model.evaluation.ranking import holdout_ranks, vector_scorer
from model.runtime import ItemTower, UserEncoder

ITEMS_AT_ONCE = 1_024


def evaluate_artifact(
    folder: Path,
    dataset: Dataset,
    holdout: Holdout,
    *,
    item_ids: Sequence[str],
    served: Iterable[tuple[str, NDArray[np.float32]]] = (),
    providers: Sequence[str] | None = None,
) -> dict[str, float]:
    """Scores a version on the given users by ONNX alone, so that versions can be compared on the same question.

    Items that came after the version was trained get their vector from its item tower, as they would in serving,
    unless they have one already; an item that the version cannot describe is never in its answer.

    Args:
        folder: the artifact.
        dataset: the catalogue as it is now; its features must come from the encoders that the version names.
        holdout: histories and targets, as item rows of `dataset`.
        item_ids: the id of each item row of `dataset`.
        served: vectors [w] that the version's items have by now, by id; they come before those in the artifact.
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
    row_of_item = {item_id: row for row, item_id in enumerate(item_ids)}
    for item_id, vector in served:
        if (row := row_of_item.get(item_id)) is not None:
            vectors[row], rankable[row] = vector, True
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

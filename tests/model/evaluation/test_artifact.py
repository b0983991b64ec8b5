import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from model import artifact
from model.data.dataset import FeatureTable
from model.data.splits import leave_one_out
from model.evaluation.artifact import evaluate_artifact
from tests.model.conftest import Version


def _same_as(expected: dict[str, float]) -> object:
    """The metrics of a training as far as a version on disk is judged by them."""
    return pytest.approx({name: value for name, value in expected.items() if name != "coverage10"}, abs=0.01)


def test_artifact_scores_as_the_trained_network(crossan: Version) -> None:
    events = crossan.dataset.interactions
    split = leave_one_out(events.keep(events.items != 0))  # item 0 has no content, so the training had no event of it
    for part, holdout in (("validation", split.validation), ("test", split.test)):
        found = evaluate_artifact(crossan.folder, crossan.dataset, holdout, item_ids=crossan.item_ids)
        assert found == _same_as(crossan.trained.metrics[part])


def test_id_artifact_scores_as_the_trained_network(id_only: Version) -> None:
    split = leave_one_out(id_only.dataset.interactions)
    found = evaluate_artifact(id_only.folder, id_only.dataset, split.test, item_ids=id_only.item_ids)
    assert found == _same_as(id_only.trained.metrics["test"])


def _forget_items(version: Version, folder: Path, kept: int) -> None:
    """Makes an artifact of which only the first items have a stored vector."""
    shutil.copytree(version.folder, folder)
    ids, vectors, shares = artifact.load_item_vectors(folder)
    save_file({"vectors": vectors[:kept], "shares": shares[:kept]}, folder / artifact.ITEM_VECTORS)
    (folder / artifact.ITEM_IDS).write_text(json.dumps(ids[:kept]))
    files = {name: artifact.checksum(folder / name) for name in version.manifest.checksums}
    manifest = dataclasses.replace(version.manifest, item_count=kept, checksums=files)
    (folder / artifact.MANIFEST).write_text(manifest.to_json())


def test_new_items_get_their_vector_from_the_item_tower(crossan: Version, tmp_path: Path) -> None:
    _forget_items(crossan, tmp_path / "old", 60)
    events = crossan.dataset.interactions
    test = leave_one_out(events.keep(events.items != 0)).test
    found = evaluate_artifact(tmp_path / "old", crossan.dataset, test, item_ids=crossan.item_ids)
    assert found == _same_as(crossan.trained.metrics["test"])


def test_vectors_that_are_there_already_are_taken(id_only: Version, crossan: Version, tmp_path: Path) -> None:
    """For new items, of which the version itself knows nothing, and instead of those that it came with."""
    _forget_items(id_only, tmp_path / "old", 60)
    ids, vectors, _ = artifact.load_item_vectors(id_only.folder)
    test = leave_one_out(id_only.dataset.interactions).test
    found = evaluate_artifact(
        tmp_path / "old",
        id_only.dataset,
        test,
        item_ids=id_only.item_ids,
        served=[("of another catalogue", vectors[0]), *zip(ids[60:], vectors[60:], strict=True)],
    )
    assert found == _same_as(id_only.trained.metrics["test"])
    test = leave_one_out(crossan.dataset.interactions).test
    ids, vectors, _ = artifact.load_item_vectors(crossan.folder)
    mixed = list(zip(ids, np.random.default_rng(0).permutation(vectors), strict=True))
    found = evaluate_artifact(crossan.folder, crossan.dataset, test, item_ids=crossan.item_ids, served=mixed)
    assert found["hr10"] < crossan.trained.metrics["test"]["hr10"] / 2


def test_new_items_are_misses_for_a_version_without_content(id_only: Version, tmp_path: Path) -> None:
    _forget_items(id_only, tmp_path / "old", 1)
    test = leave_one_out(id_only.dataset.interactions).test
    found = evaluate_artifact(tmp_path / "old", id_only.dataset, test, item_ids=id_only.item_ids)
    assert found["hr10"] == pytest.approx(np.mean(test.targets == 0), abs=1e-9)


def test_modalities_the_version_does_not_know_are_left_out(crossan: Version, tmp_path: Path) -> None:
    _forget_items(crossan, tmp_path / "old", 60)
    smell = FeatureTable("smell", np.ones((120, 2, 3), np.float16), np.arange(120, dtype=np.int32))
    dataset = dataclasses.replace(crossan.dataset, features=[smell, crossan.dataset.features[0]])
    test = leave_one_out(dataset.interactions).test
    found = evaluate_artifact(tmp_path / "old", dataset, test, item_ids=crossan.item_ids)
    assert found["hr10"] > 0.3

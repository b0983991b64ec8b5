"""An interrupted training goes on to the very result of one that was not; a file that does not fit is not read."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model import checkpoint
from model.checkpoint import CheckpointFile, Identity, State, identity_of
from model.config import TrainingConfig
from model.data.dataset import Dataset, interactions_of
from model.train import Progress, Trained, TrainingStopped, fit
from tests.model.conftest import small_config
from tests.model.synthetic import content_log

OURS = Identity("config", "data")
STATE = State({"a": torch.arange(6.0).reshape(2, 3), "step": torch.tensor(3.0)}, {"big": 2**100, "small": 0.1})


@pytest.fixture(scope="module")
def small_log() -> Dataset:
    return content_log(items=60, users=40, events=8)


def train(
    dataset: Dataset, config: TrainingConfig, path: Path | None, stop_after: int = 99
) -> tuple[Trained | None, list[Progress]]:
    """A training that is stopped in the epoch after `stop_after`."""
    seen: list[Progress] = []
    try:
        trained = fit(
            dataset,
            config,
            on_progress=seen.append,
            should_stop=lambda: len(seen) == stop_after,
            checkpoint=path,
        )
    except TrainingStopped:
        return None, seen
    return trained, seen


def numbers(progress: list[Progress]) -> list[tuple[Any, ...]]:
    return [(one.epoch, one.loss, one.hr10, one.ndcg10) for one in progress]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("crossan", {"dropout": 0.2, "state_dropout": 0.1, "modality_dropout": 0.1}),
        ("id", {"loss": "sampled", "negatives": 20, "accumulation": 2}),
    ],
)
def test_an_interrupted_training_ends_as_one_that_was_not(
    small_log: Dataset, tmp_path: Path, method: str, options: dict[str, Any]
) -> None:
    config = small_config(method, epochs=5, **options)
    whole, expected = train(small_log, config, None)
    assert whole is not None
    path = tmp_path / "folder" / "checkpoint"
    _, first = train(small_log, config, path, stop_after=2)
    resumed, second = train(small_log, config, path)
    assert resumed is not None
    assert numbers(first) + numbers(second) == numbers(expected)
    assert {one.resumed_from for one in first} == {0}
    assert {one.resumed_from for one in second} == {2}
    assert second[0].seconds > first[-1].seconds
    np.testing.assert_array_equal(resumed.vectors, whole.vectors)
    for name, tensor in whole.recommender.state_dict().items():
        assert torch.equal(tensor, resumed.recommender.state_dict()[name]), name
    for part in ("test", "validation", "best_epoch", "epochs"):
        assert resumed.metrics[part] == whole.metrics[part]


def test_what_was_killed_after_its_last_epoch_does_not_train_again(small_log: Dataset, tmp_path: Path) -> None:
    config = small_config("id", epochs=2)
    first, _ = train(small_log, config, tmp_path / "checkpoint")
    again, seen = train(small_log, config, tmp_path / "checkpoint")
    assert first is not None
    assert again is not None
    assert seen == []
    np.testing.assert_array_equal(again.vectors, first.vectors)


def test_a_checkpoint_of_something_else_is_not_used(
    small_log: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = small_config("id", epochs=1)
    train(small_log, config, tmp_path / "checkpoint")
    other = dataclasses.replace(
        small_log, interactions=interactions_of([[*small_log.interactions.of(u), 5] for u in range(40)])
    )
    with caplog.at_level(logging.WARNING):
        _, seen = train(other, config, tmp_path / "checkpoint")
        assert "starts anew" in caplog.messages[-1]
        assert "of other data" in caplog.messages[-1]
        _, again = train(other, small_config("id", epochs=1, seed=1), tmp_path / "checkpoint")
        assert "of other config" in caplog.messages[-1]
    assert [one.resumed_from for one in (*seen, *again)] == [0, 0]


def test_every_part_of_the_data_and_every_option_counts() -> None:
    log = content_log(items=20, users=6, events=4)
    config = small_config("crossan")
    table = log.features[1]
    states = table.states.copy()
    states[-1, -1, -1] += 1
    changed = [
        dataclasses.replace(log, item_count=21, features=[]),
        dataclasses.replace(log, features=log.features[:2]),
        dataclasses.replace(log, features=[log.features[0], dataclasses.replace(table, states=states)]),
        dataclasses.replace(log, interactions=interactions_of([log.interactions.of(u)[::-1] for u in range(6)])),
        dataclasses.replace(log, interactions=log.interactions.part(0, 5)),
    ]
    hashes = {identity_of(config, one).data for one in (log, *changed)}
    assert len(hashes) == 1 + len(changed)
    assert identity_of(config, log) == identity_of(config, dataclasses.replace(log))
    assert identity_of(config, log).config != identity_of(small_config("crossan", blocks=1), log).config


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "c", OURS)
    assert file.load() is None
    file.save(STATE)
    found = file.load()
    assert found is not None
    assert found.facts == STATE.facts
    assert {name: tensor.tolist() for name, tensor in found.tensors.items()} == {"a": [[0, 1, 2], [3, 4, 5]], "step": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _old(path: Path) -> None:
    checkpoint.FORMAT += 1


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_flip, "it is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3]), ""),
        (lambda path: path.write_bytes(b""), ""),
        (lambda path: path.write_bytes(b"\x00" * 100), ""),
        (lambda path: checkpoint.save_file({"a": torch.zeros(1)}, path), "header"),
        (lambda path: checkpoint.save_file({}, path, {"header": "{}", "digest": ""}), "format"),
        (_old, "its format is 1, not 2"),
    ],
)
def test_a_damaged_file_is_not_used_and_the_log_says_why(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path], None],
    reason: str,
) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    file = CheckpointFile(tmp_path / "c", OURS)
    file.save(STATE)
    damage(tmp_path / "c")
    assert file.load() is None
    assert "the checkpoint c is not used" in caplog.messages[-1]
    assert reason in caplog.messages[-1]


def test_a_crash_while_writing_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = CheckpointFile(tmp_path / "c", OURS)
    file.save(STATE)

    def crash(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", crash)
    with pytest.raises(KeyboardInterrupt):
        file.save(State({}, {}))
    found = file.load()
    assert found is not None
    assert found.facts == STATE.facts

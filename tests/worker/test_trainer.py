import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import TrainingFailed
from app.jobs.run import JobStopped
from app.training.pipeline import Folders
from model.config import ConfigError, parse_config
from model.data.dataset import Dataset, TrainingDataError, interactions_of
from model.export import ParityError
from model.train import Progress, TrainingDiverged, TrainingStopped
from worker import trainer
from worker.trainer import TorchTrainer

NOTHING = Dataset(0, [], interactions_of([]))


def train(folder: Path, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "item_ids": [],
        "meta": {},
        "on_progress": lambda progress: None,
        "should_stop": lambda: False,
    }
    folders = Folders(folder, folder / "kept")
    return TorchTrainer(device="cpu").train(NOTHING, parse_config("id", {}), folders, **{**arguments, **changes})


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TrainingStopped("epoch 3"), JobStopped),
        (TrainingDataError("too little"), TrainingFailed),
        (TrainingDiverged("not a number"), TrainingFailed),
        (ConfigError("precision", "fp16 needs a CUDA device"), TrainingFailed),
        (ZeroDivisionError("a bug"), ZeroDivisionError),
    ],
)
def test_errors_of_the_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, expected: type[Exception]
) -> None:
    monkeypatch.setattr(trainer, "fit", raising(error))
    with pytest.raises(expected) as caught:
        train(tmp_path)
    if expected is TrainingFailed:
        assert str(caught.value) == str(error)


def test_a_difference_to_torch_is_a_failed_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trainer, "fit", lambda *args, **kwargs: None)
    monkeypatch.setattr(trainer, "export_artifact", raising(ParityError("item_tower.onnx differs")))
    with pytest.raises(TrainingFailed, match="differs"):
        train(tmp_path)


def test_progress_becomes_plain_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    progress = Progress(epoch=1, epochs=2, loss=0.5, hr10=0.1, ndcg10=0.05, seconds=3.0)

    def fit(*args: Any, on_progress: Callable[[Progress], None], **kwargs: Any) -> None:
        on_progress(progress)

    seen: list[Any] = []
    monkeypatch.setattr(trainer, "fit", fit)
    monkeypatch.setattr(trainer, "export_artifact", lambda *args, **kwargs: "manifest")
    assert train(tmp_path, on_progress=seen.append) == "manifest"
    assert seen == [dataclasses.asdict(progress)]


def test_the_state_goes_into_the_folder_that_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Path] = []

    def fit(*args: Any, checkpoint: Path, **kwargs: Any) -> None:
        asked.append(checkpoint)

    monkeypatch.setattr(trainer, "fit", fit)
    monkeypatch.setattr(trainer, "export_artifact", lambda *args, **kwargs: "manifest")
    train(tmp_path)
    assert asked == [tmp_path / "kept" / "checkpoint.safetensors"]


def test_what_cannot_be_shared_is_refused_before_anything_is_read() -> None:
    with pytest.raises(TrainingFailed, match="CROSSAN_TRAIN_PROCESSES=2"):
        TorchTrainer(device="cuda:1", processes=2)


def test_no_data_at_all(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="needs at least"):
        train(tmp_path)

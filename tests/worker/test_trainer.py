from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import TrainingFailed
from app.jobs.run import JobStopped
from model.config import parse_config
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
    return TorchTrainer(device="cpu").train(NOTHING, parse_config("id", {}), folder, **{**arguments, **changes})


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
    assert seen == [{"epoch": 1, "epochs": 2, "loss": 0.5, "hr10": 0.1, "ndcg10": 0.05, "seconds": 3.0}]


def test_no_data_at_all(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="needs at least"):
        train(tmp_path)

from typing import Any

import pytest

from model.compare.cell import train_cell
from model.config import ConfigError, parse_config


def test_a_cell_measures_a_training(job: dict[str, Any]) -> None:
    told: list[dict[str, Any]] = []
    found = train_cell(job, told.append)
    assert [progress["epoch"] for progress in told] == [1, 2]
    assert found["config"] == parse_config("crossan", job["options"]).hyperparameters()
    assert (found["label"], found["seed"], found["epochs"]) == ("crossan", 3, 2)
    assert found["best_epoch"] in (1, 2)
    assert {"hr10", "ndcg10", "mrr", "coverage10", "users"} <= set(found["metrics"]["test"])
    assert "ndcg10" in found["metrics"]["validation"]
    assert "baselines" not in found["metrics"]
    assert len(found["training_seconds"]) == len(found["epoch_seconds"]) == len(found["training_cpu_seconds"]) == 2
    assert all(
        0 < steps < whole for steps, whole in zip(found["training_seconds"], found["epoch_seconds"], strict=True)
    )
    # Not above zero: in a process that other tests have filled, the steps find all their memory already there.
    assert 0 <= found["peak_bytes"] <= found["peak_bytes_with_validation"]
    parts = found["parameters"]
    assert parts["encoders"] == 0
    assert parts["total"] == parts["tower"] + parts["user_encoder"] > 0


def test_a_cell_that_cannot_be_trained_says_why(job: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="side_layers"):
        train_cell({**job, "options": {"side_layers": 0}}, lambda progress: None)

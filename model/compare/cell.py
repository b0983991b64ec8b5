"""One training of a comparison in a process of its own: `python -m model.compare.cell FOLDER`."""

from __future__ import annotations

import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from model.compare.child import Report, main
from model.compare.meter import Meter, gauge_of, warm_up
from model.config import parse_config
from model.data.saved import load_dataset
from model.train import Progress, fit


def train_cell(job: dict[str, Any], report: Report) -> dict[str, Any]:
    """Trains one configuration on a saved dataset and measures what that takes.

    Args:
        job: `method`, `options` (a flat mapping, see `model.config.parse_config`), `dataset` (a folder), `device` and
            `threads`; whatever else it has is handed on.
        report: told after each epoch.

    Returns:
        The job with its whole `config`, the `metrics` of the training, and its costs.

    Raises:
        ConfigError: the method does not take an option.
        TrainingDataError: the dataset cannot be used.
        TrainingDiverged: the loss is not finite.
    """
    torch.set_num_threads(job["threads"])
    config = parse_config(job["method"], job["options"])
    dataset = load_dataset(Path(job["dataset"]))
    meter = Meter(gauge_of(job["device"]))

    def on_progress(progress: Progress) -> None:
        meter.after_epoch(progress.training_seconds, progress.processor_seconds)
        report(asdict(progress))

    warm_up(job["device"])
    before = _processor_seconds()
    trained = fit(dataset, config, on_progress=on_progress, should_stop=meter.before_step, device=job["device"])
    metrics = dict(trained.metrics)
    parameters = metrics.pop("parameters")
    metrics.pop("baselines", None)
    return {
        **job,
        "config": config.hyperparameters(),
        "epochs": metrics.pop("epochs"),
        "best_epoch": metrics.pop("best_epoch"),
        "seconds": metrics.pop("seconds"),
        "metrics": metrics,
        "cpu_seconds": _processor_seconds() - before,
        "parameters": {**parameters, "total": sum(parameters.values())},
        **meter.document(),
    }


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(train_cell))

"""One of the processes of a training, `python -m worker.train_process FOLDER RANK`; see `worker.train_processes`."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from app.core.config import Settings
from app.core.logging import configure_logging
from model.config import ConfigError, TrainingConfig, parse_config
from model.data.dataset import TrainingDataError
from model.data.saved import load_dataset
from model.export import ParityError, export_artifact
from model.train import Progress, TrainingDiverged, fit_together
from worker.parent import end_with_parent
from worker.process_group import AcceleratedGroup

TASK = "task.json"
DATASET = "dataset"
MEETING = "meeting"
PROGRESS = "progress.jsonl"
EXPECTED = 3
"""The exit status of a training that failed for a reason worth telling; it is in `reason_file`."""


def reason_file(folder: Path, rank: int) -> Path:
    """Where a process says why it failed."""
    return folder / f"reason-{rank}.txt"


@dataclasses.dataclass(frozen=True)
class Task:
    """What all processes do together, as JSON in `FOLDER/task.json`; paths are absolute.

    Attributes:
        method: of the training.
        hyperparameters: of the training.
        processes: how many there are.
        device: "cpu" or "cuda".
        artifact: the folder to leave the version in.
        checkpoint: the file to go on from, if any.
        item_ids: of each item row.
        meta: for the manifest.
    """

    method: str
    hyperparameters: dict[str, Any]
    processes: int
    device: str
    artifact: str
    checkpoint: str | None
    item_ids: list[str]
    meta: dict[str, Any]

    @property
    def config(self) -> TrainingConfig:
        """What is trained."""
        return parse_config(self.method, self.hyperparameters)


def work(folder: Path, rank: int) -> None:
    """Trains with the others; the first process leaves the artifact."""
    task = Task(**json.loads((folder / TASK).read_text(encoding="utf-8")))
    dataset = load_dataset(folder / DATASET)
    group = AcceleratedGroup(rank, task.processes, meeting=folder / MEETING, device=task.device)

    def report(progress: Progress) -> None:
        with (folder / PROGRESS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(vars(progress)) + "\n")

    trained = fit_together(
        dataset,
        task.config,
        group,
        on_progress=report,
        should_stop=lambda: False,
        device=group.device,
        checkpoint=Path(task.checkpoint) if task.checkpoint else None,
    )
    group.leave()
    if trained is not None:
        export_artifact(trained, dataset, Path(task.artifact), item_ids=task.item_ids, meta=task.meta)


def main(folder: Path, rank: int) -> int:
    """Returns the exit status."""
    end_with_parent()
    configure_logging(Settings().log_level)
    try:
        work(folder, rank)
    except (ConfigError, TrainingDataError, TrainingDiverged, ParityError) as error:
        reason_file(folder, rank).write_text(str(error), encoding="utf-8")
        return EXPECTED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))

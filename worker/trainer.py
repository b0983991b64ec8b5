"""The trainer that uses torch: fit, export, and errors in the words of the application."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.core.errors import TrainingFailed
from app.jobs.run import JobStopped
from app.training.pipeline import Folders
from model.artifact import Manifest
from model.config import ConfigError, TrainingConfig
from model.data.dataset import Dataset, TrainingDataError
from model.export import ParityError, export_artifact
from model.train import Progress, TrainingDiverged, TrainingStopped, fit
from worker.train_process import Task
from worker.train_processes import check_processes, train_together

CHECKPOINT = "checkpoint.safetensors"


class TorchTrainer:
    """Trains on one device in this process, or in several processes.

    Args:
        device: as torch names it; of several processes, each takes a GPU of its own.
        processes: how many share a training.

    Raises:
        TrainingFailed: when so many cannot train on this device, before anything is read.
    """

    def __init__(self, *, device: str, processes: int = 1) -> None:
        check_processes(processes, device)
        self._device = device
        self._processes = processes

    def train(
        self,
        dataset: Dataset,
        config: TrainingConfig,
        folders: Folders,
        *,
        item_ids: Sequence[str],
        meta: Mapping[str, Any],
        on_progress: Callable[[Mapping[str, Any]], None],
        should_stop: Callable[[], bool],
    ) -> Manifest:
        """Leave a complete, checked artifact; raises JobStopped, JobInterrupted or TrainingFailed.

        The state after each epoch goes into what is kept, and an attempt goes on from what it finds there.
        """
        checkpoint = folders.kept / CHECKPOINT
        if self._processes > 1:
            task = Task(
                method=config.method,
                hyperparameters=config.hyperparameters(),
                processes=self._processes,
                device=self._device,
                artifact=str(folders.artifact.absolute()),
                checkpoint=str(checkpoint.absolute()),
                item_ids=list(item_ids),
                meta=dict(meta),
            )
            return train_together(dataset, task, on_progress=on_progress, should_stop=should_stop)

        def report(progress: Progress) -> None:
            on_progress(vars(progress))

        try:
            trained = fit(
                dataset,
                config,
                on_progress=report,
                should_stop=should_stop,
                device=self._device,
                checkpoint=checkpoint,
            )
            return export_artifact(trained, dataset, folders.artifact, item_ids=item_ids, meta=meta)
        except TrainingStopped as error:
            raise JobStopped from error
        except (ConfigError, TrainingDataError, TrainingDiverged, ParityError) as error:
            raise TrainingFailed(str(error)) from error

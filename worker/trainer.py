"""The trainer that uses torch: fit, export, and errors in the words of the application."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.core.errors import TrainingFailed
from app.jobs.run import JobStopped
from model.artifact import Manifest
from model.config import TrainingConfig
from model.data.dataset import Dataset, TrainingDataError
from model.export import ParityError, export_artifact
from model.train import Progress, TrainingDiverged, TrainingStopped, fit


class TorchTrainer:
    """Trains on one device.

    Args:
        device: as torch names it.
    """

    def __init__(self, *, device: str) -> None:
        self._device = device

    def train(
        self,
        dataset: Dataset,
        config: TrainingConfig,
        folder: Path,
        *,
        item_ids: Sequence[str],
        meta: Mapping[str, Any],
        on_progress: Callable[[Mapping[str, Any]], None],
        should_stop: Callable[[], bool],
    ) -> Manifest:
        """Leave a complete, checked artifact in `folder`; raises JobStopped or TrainingFailed."""

        def report(progress: Progress) -> None:
            on_progress(vars(progress))

        try:
            trained = fit(dataset, config, on_progress=report, should_stop=should_stop, device=self._device)
            return export_artifact(trained, dataset, folder, item_ids=item_ids, meta=meta)
        except TrainingStopped as error:
            raise JobStopped from error
        except (TrainingDataError, TrainingDiverged, ParityError) as error:
            raise TrainingFailed(str(error)) from error

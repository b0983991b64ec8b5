"""One training from claim to live: read the cut, train and export, publish, decide on promotion."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from app.core.types import Promotion, VersionId
from app.db.session import Database, Transaction
from app.db.tables import ErasureRow
from app.items.encoding_chunks import Decoder
from app.jobs.run import JobInterrupted, JobRun, JobStopped
from app.jobs.service import JobService
from app.models.promotions import TRAINING
from app.models.repository import ModelRepository, NewVector
from app.models.service import ModelService
from app.stores.artifacts import ArtifactStore
from app.stores.blobs import BlobStore
from app.stores.changes import ChangeFeed
from app.stores.features import FeatureStore
from app.stores.queue import JobQueue
from app.training.cut import DataCut, read_cut
from app.training.kept import kept_cut
from app.training.media import MediaSource
from app.training.repository import CutRepository
from app.users.erasures import ErasureRepository
from model.artifact import ArtifactError, Manifest, load_item_vectors, load_manifest
from model.config import TrainingConfig, needs_media, parse_config
from model.data.dataset import Dataset, Interactions
from model.data.splits import SPLITS
from model.evaluation.artifact import evaluate_artifact

log = structlog.get_logger(__name__)

RESTARTS = 3
"""How often an attempt begins again because somebody in its data was erased; the last one is published all the same."""

COMPARED_BY = "ndcg10"
"""A version is at least as good as another if its validation NDCG@10 is."""


class CutOutdated(Exception):
    """Somebody who is in the data has been erased since they were read."""


@dataclass(frozen=True)
class Folders:
    """Where a training writes.

    Attributes:
        artifact: the version, complete in the end.
        kept: what outlives a killed worker, and is there again in the job's next attempt.
    """

    artifact: Path
    kept: Path


class Trainer(Protocol):
    """Fits and exports; the worker hands in the one that uses torch."""

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
        """Leave a complete, checked artifact; raises JobStopped, JobInterrupted or TrainingFailed."""


@dataclass(frozen=True)
class TrainingParts:
    """What a training needs of its process."""

    database: Database
    features: FeatureStore
    artifacts: ArtifactStore
    queue: JobQueue
    changes: ChangeFeed
    trainer: Trainer
    blobs: BlobStore
    decode: Decoder
    modalities: tuple[str, ...]


class TrainingPipeline:
    """The work behind a training job."""

    def __init__(self, parts: TrainingParts, run: JobRun) -> None:
        self._parts = parts
        self._run = run
        self._config = parse_config(run.payload["method"], run.payload["hyperparameters"])
        self._cut: Mapping[str, Any] | None = None
        self._restarts_left = RESTARTS

    def train(self) -> None:
        """Do all of it; the version, its vectors, the pointer and the job's end are one transaction.

        When somebody in the data is erased meanwhile, everything begins again from new data, `RESTARTS` times at most:
        where people are erased all the time there would be no version else. That one says so (`erased_since_cut`).
        """
        with self._kept() as kept:
            while not self._train(kept):
                log.info("somebody in the data was erased: the training begins again", job=str(self._run.id))
                self._restarts_left -= 1
                self._cut = None
                self._parts.artifacts.discard(kept)
                kept.mkdir()

    def _train(self, kept: Path) -> bool:
        """One way from data to version; False when it has to be gone again."""
        parts = self._parts
        folder = parts.artifacts.new_folder(self._run.project)
        try:
            self._show(stage="reading")
            cut = kept_cut(kept, self._read)
            self._cut = cut.summary
            manifest = self._fit(cut, Folders(folder, kept))
            self._show(stage="comparing")
            promote, live_metrics = self._compare(cut, manifest)
            self._show(stage="publishing")
            self._publish(cut, folder, manifest, promote=promote, live_metrics=live_metrics)
        except CutOutdated:
            return False
        finally:
            parts.artifacts.discard(folder)
        return True

    def _look_for_erasures(self) -> None:
        """Begin again early rather than late; a database that is away for a moment does not end hours of work."""
        try:
            with self._parts.database.transaction() as transaction:
                self._erased(transaction)
        except SQLAlchemyError as error:
            log.warning("erasures not looked for, publishing does", job=str(self._run.id), error=str(error))

    def _erased(self, transaction: Transaction) -> Sequence[ErasureRow]:
        """Erasures of people in the data since these were read; raises CutOutdated while there is another go."""
        if self._cut is None:
            return []
        erasures = ErasureRepository(transaction, self._run.project)
        found = erasures.since(self._cut.get("erasure", 0), until_event=self._cut["until_event"])
        if found and self._restarts_left:
            raise CutOutdated
        return found

    @contextmanager
    def _kept(self) -> Iterator[Path]:
        """The folder that the job's attempts share; it goes when the job ends, and stays when another one follows.

        An attempt that ends the process, or that does not get this far, leaves it to `app.training.upkeep`.
        """
        artifacts = self._parts.artifacts
        folder = artifacts.kept_folder(self._run.project, str(self._run.id))
        over = False
        try:
            yield folder
            over = True
        except (JobStopped, JobInterrupted, OperationalError):
            over = self._run.cancelled
            raise
        except Exception:
            over = True
            raise
        finally:
            if over:
                artifacts.discard(folder)

    def _show(self, **progress: Any) -> None:
        self._run.check()
        self._look_for_erasures()
        self._run.record_progress({**progress, "data_cut": self._cut})

    def _read(self, scratch: Path) -> DataCut:
        """The data, with decoded media where the method runs the encoders."""
        parts = self._parts
        source = MediaSource(parts.blobs, parts.decode, self._run.check, self._config.tower.wanted_modalities)
        return read_cut(
            parts.database,
            parts.features,
            self._run.project,
            modalities=parts.modalities,
            scratch=scratch,
            media=source if needs_media(self._config) else None,
        )

    def _fit(self, cut: DataCut, folders: Folders) -> Manifest:
        self._show(stage="training")
        return self._parts.trainer.train(
            cut.dataset,
            self._config,
            folders,
            item_ids=[item.item_id for item in cut.items],
            meta={"data_cut": dict(cut.summary), "encoders": dict(cut.encoders), "training": str(self._run.id)},
            on_progress=lambda progress: self._show(stage="training", **progress),
            should_stop=self._run.should_stop,
        )

    def _compare(self, cut: DataCut, manifest: Manifest) -> tuple[bool, Mapping[str, float] | None]:
        """Whether to promote, and the live version's metrics on the very same validation users."""
        wish = Promotion(self._run.payload["promote"])
        with self._parts.database.transaction() as transaction:
            live = ModelRepository(transaction, self._run.project).live()
        if live is None:
            return wish is not Promotion.NEVER, None
        folder = self._parts.artifacts.path(live.artifact)
        try:
            found = evaluate_artifact(
                folder,
                _readable_by(load_manifest(folder), cut),
                SPLITS[self._config.optimisation.split](_asked_about(manifest, self._config, cut)).validation,
                item_ids=[item.item_id for item in cut.items],
                served=self._served(VersionId(live.id), cut),
            )
        except ArtifactError as error:
            log.warning("the live version cannot be compared", version=live.name, error=str(error))
            return wish is not Promotion.NEVER, None
        better = manifest.metrics["validation"][COMPARED_BY] >= found[COMPARED_BY]
        return wish is Promotion.ALWAYS or (wish is Promotion.IF_BETTER and better), found

    def _served(self, version: VersionId, cut: DataCut) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """The vectors that items of the cut have under a version: also those that came after its training."""
        items = {item.pk: item.item_id for item in cut.items}
        with self._parts.database.transaction() as transaction:
            for pk, vector in CutRepository(transaction, self._run.project).vectors(version):
                if pk in items:
                    yield items[pk], np.frombuffer(vector, "<f4")

    def _publish(
        self,
        cut: DataCut,
        folder: Path,
        manifest: Manifest,
        *,
        promote: bool,
        live_metrics: Mapping[str, float] | None,
    ) -> None:
        parts, project = self._parts, self._run.project
        with parts.database.transaction() as transaction:
            # Before the folder moves: it may be there already, put by a worker that took the job over.
            self._run.hold(transaction)
            models = ModelRepository(transaction, project)
            models.lock_project()
            erased = self._erased(transaction)
            artifact = parts.artifacts.publish(project, str(self._run.id), folder)
            version = models.add(
                method=manifest.method, job=self._run.id, artifact=artifact, manifest=_as_json(manifest, len(erased))
            )
            ErasureRepository(transaction, project).add_version(erased, version.name)
            models.write_vectors(VersionId(version.id), _vectors(cut, parts.artifacts.path(artifact)))
            if promote:
                jobs = JobService(transaction, parts.queue)
                ModelService(transaction, project, jobs=jobs, changes=parts.changes).make_live(version, reason=TRAINING)
            result = {
                "model_version": version.name,
                "promoted": promote,
                "metrics": manifest.metrics,
                "parity": manifest.parity,
                "live_before": {"validation": live_metrics} if live_metrics else None,
                "erased_since_cut": len(erased),
            }
            self._run.finish(transaction, result)


def _asked_about(manifest: Manifest, config: TrainingConfig, cut: DataCut) -> Interactions:
    """The events that the new version was judged by: those of items that it can describe."""
    events = cut.dataset.interactions
    if not manifest.modalities:
        return events
    described = np.any(cut.dataset.only(config.tower.modalities).present, axis=1)
    return events.keep(np.asarray(described)[events.items])


def _readable_by(manifest: Manifest, cut: DataCut) -> Dataset:
    """The dataset with only those features that the version's own encoders have made."""
    encoders = {modality.name: modality.encoder for modality in manifest.modalities}
    tables = [table for table in cut.dataset.features if encoders.get(table.modality) == cut.encoders[table.modality]]
    return Dataset(cut.dataset.item_count, tables, cut.dataset.interactions)


def _vectors(cut: DataCut, folder: Path) -> Iterator[NewVector]:
    items = {item.item_id: item for item in cut.items}
    for item_id, vector, shares in zip(*load_item_vectors(folder), strict=True):
        item = items[item_id]
        yield NewVector.of(item.pk, vector, shares, item.content_key)


def _as_json(manifest: Manifest, erased: int) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(manifest.to_json())
    if erased:
        parsed["meta"]["erased_since_cut"] = erased
    return parsed

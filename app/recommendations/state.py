"""What an API process holds of a project: catalogue, live version and fallbacks, read from PostgreSQL."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.core.types import ProjectId
from app.db.session import Database
from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.repository import FROM_THE_START, CatalogueRepository, LiveVersion
from app.stores.artifacts import ArtifactStore
from model.artifact import ArtifactError, load_manifest
from model.runtime import UserEncoder

log = structlog.get_logger(__name__)

FALLBACK_ITEMS = 2_000
"""Items kept of the trending and of the latest."""


@dataclass(frozen=True)
class TrendingPolicy:
    """How trending items are counted, and how often."""

    half_life_s: float
    window_events: int
    refresh_s: float


@dataclass(frozen=True)
class Version:
    """A live version, loaded and warm."""

    row: LiveVersion
    user_encoder: UserEncoder
    width: int
    max_length: int
    modalities: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """What one look at PostgreSQL has found."""

    version: Version | None
    next_start: int
    updates: Sequence[ItemUpdate]
    catalogue: Catalogue | None
    """A catalogue of its own, complete, when the version is another."""
    trending: Sequence[str] | None
    latest: Sequence[str] | None


class ProjectState:
    """One project in memory. `look` blocks and belongs in a thread; `accept` is quick and belongs in the event loop."""

    def __init__(
        self, project: ProjectId, *, database: Database, artifacts: ArtifactStore, trending: TrendingPolicy
    ) -> None:
        self.project = project
        self.version: Version | None = None
        self.catalogue = Catalogue(width=0, modalities=())
        self.trending: list[int] = []
        self.latest: list[int] = []
        self._database = database
        self._artifacts = artifacts
        self._policy = trending
        self._start = FROM_THE_START
        self._counted_at = -float("inf")
        self._trending_ids: Sequence[str] = ()
        self._latest_ids: Sequence[str] = ()

    def look(self) -> Look:
        """Read what has changed since the last accepted look; a new live version is loaded beside the old one."""
        with self._database.transaction() as transaction:
            repository = CatalogueRepository(transaction, self.project)
            next_start = repository.snapshot_start()
            version = self._open(repository.live())
            start = self._start if version is self.version else FROM_THE_START
            updates = repository.changed(version.row if version else None, since=start)
            trending = self._trending(repository)
            latest = repository.latest(limit=FALLBACK_ITEMS) if updates else None
        # Nobody shares a new catalogue yet, so it is filled here, in the thread.
        catalogue = None if version is self.version else _catalogue_of(version, updates)
        return Look(version, next_start, updates, catalogue, trending, latest)

    def _open(self, live: LiveVersion | None) -> Version | None:
        """The live version; one that cannot be loaded does not take the place of the present one."""
        if live is None or (self.version and self.version.row == live):
            return self.version if live else None
        try:
            return self._load(live)
        except (ArtifactError, OSError) as error:
            log.error("version not loaded", project=self.project, version=live.name, error=str(error))
            return self.version

    def _trending(self, repository: CatalogueRepository) -> Sequence[str] | None:
        if time.monotonic() - self._counted_at < self._policy.refresh_s:
            return None
        return repository.trending(
            half_life_s=self._policy.half_life_s, window=self._policy.window_events, limit=FALLBACK_ITEMS
        )

    def _load(self, live: LiveVersion) -> Version:
        folder: Path = self._artifacts.path(live.artifact)
        manifest = load_manifest(folder)
        return Version(
            row=live,
            user_encoder=UserEncoder(folder),
            width=manifest.item_width,
            max_length=manifest.max_length,
            modalities=tuple(modality.name for modality in manifest.modalities),
        )

    def accept(self, look: Look) -> None:
        """Put what a look has found in place, all at once."""
        if look.catalogue is not None:
            self.catalogue, self.version = look.catalogue, look.version
        else:
            self.catalogue.apply(look.updates)
        self._start = look.next_start
        if look.trending is not None:
            self._counted_at = time.monotonic()
            self._trending_ids = look.trending
        if look.latest is not None:
            self._latest_ids = look.latest
        # Rows of a new catalogue differ from those of the old one, so the ids are looked up again.
        self.trending = self.catalogue.rows(self._trending_ids)
        self.latest = self.catalogue.rows(self._latest_ids)


def _catalogue_of(version: Version | None, updates: Sequence[ItemUpdate]) -> Catalogue:
    """A new catalogue of all items under a version."""
    catalogue = Catalogue(width=version.width if version else 0, modalities=version.modalities if version else ())
    catalogue.apply(updates)
    return catalogue

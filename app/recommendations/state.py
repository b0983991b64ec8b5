"""What an API process holds of a project: catalogue, served versions and fallbacks, read from PostgreSQL."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.core.types import ProjectId
from app.db.session import Database
from app.experiments.repository import running
from app.experiments.running import RunningExperiment
from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.repository import FROM_THE_START, CatalogueRepository, SnapshotMark
from app.recommendations.served import ServedVersion
from app.recommendations.versions import VersionReader, VersionsLook
from app.scenarios.repository import all_scenarios
from app.scenarios.schemas import Scenario
from app.stores.artifacts import ArtifactStore

__all__ = ["FALLBACK_ITEMS", "Look", "ProjectState", "ServedVersion", "TrendingPolicy"]

FALLBACK_ITEMS = 2_000
"""Items kept of the trending and of the latest."""
LARGE_CHANGE = 2_000
"""So many changed items are written into the present catalogue while requests wait: about 15 ms."""
MANY_TIMES = 8
"""More than that, and more than one in so many, are read with all others into a new one, while requests go on."""


@dataclass(frozen=True)
class TrendingPolicy:
    """How trending items are counted, and how often."""

    half_life_s: float
    window_events: int
    refresh_s: float


@dataclass(frozen=True)
class Look:
    """What one look at PostgreSQL has found; `catalogue` is a complete one, in place of the present one."""

    mark: SnapshotMark
    updates: Sequence[ItemUpdate]
    catalogue: Catalogue | None
    versions: VersionsLook
    trending: Sequence[str] | None
    latest: Sequence[str] | None
    experiments: Sequence[RunningExperiment]
    scenarios: Mapping[str, Scenario]


class ProjectState:
    """One project in memory. `look` blocks and belongs in a thread; `accept` is quick and belongs in the event loop.

    Nobody looks again before the last look was accepted or thrown away.
    """

    def __init__(
        self, project: ProjectId, *, database: Database, artifacts: ArtifactStore, trending: TrendingPolicy
    ) -> None:
        self.project = project
        self.catalogue = Catalogue()
        self.live: ServedVersion | None = None
        self.versions: Mapping[str, ServedVersion] = {}
        self.snapshot = ""
        self.trending: list[int] = []
        self.latest: list[int] = []
        self.experiments: Sequence[RunningExperiment] = ()
        self.scenarios: Mapping[str, Scenario] = {}
        self._database = database
        self._artifacts = artifacts
        self._policy = trending
        self._start = FROM_THE_START
        self._counted_at = -float("inf")
        self._trending_ids: Sequence[str] = ()
        self._latest_ids: Sequence[str] = ()

    def look(self) -> Look:
        """Read what has changed since the last accepted look; a version that is new is loaded beside the others."""
        with self._database.transaction() as transaction:
            repository = CatalogueRepository(transaction, self.project)
            mark = repository.mark()
            start = FROM_THE_START if self.catalogue.is_worn else self._start
            updates = repository.changed_items(since=start)
            if start != FROM_THE_START and len(updates) > max(LARGE_CHANGE, len(self.catalogue) / MANY_TIMES):
                start = FROM_THE_START
                updates = repository.changed_items(since=start)
            # Nobody shares a new catalogue yet, so it is filled here, in the thread.
            catalogue = _filled(updates) if start == FROM_THE_START else None
            experiments = running(transaction.session, self.project)
            versions = VersionReader(
                repository,
                self._artifacts,
                held=self.versions,
                start=start,
                row_of=self.catalogue.foreseen(updates) if catalogue is None else catalogue.row_of,
            )
            return Look(
                mark=mark,
                updates=updates,
                catalogue=catalogue,
                versions=versions.read(live=self.live, named=_named(experiments)),
                trending=self._count_trending(repository),
                latest=repository.latest(limit=FALLBACK_ITEMS) if updates else None,
                experiments=experiments,
                scenarios=all_scenarios(transaction.session, self.project),
            )

    def _count_trending(self, repository: CatalogueRepository) -> Sequence[str] | None:
        if time.monotonic() - self._counted_at < self._policy.refresh_s:
            return None
        return repository.trending(
            half_life_s=self._policy.half_life_s, window=self._policy.window_events, limit=FALLBACK_ITEMS
        )

    def accept(self, look: Look) -> None:
        """Put what a look has found in place, all at once."""
        if look.catalogue is not None:
            self.catalogue = look.catalogue
        else:
            self.catalogue.apply(look.updates)
        self._accept_versions(look.versions)
        self.experiments = look.experiments
        self.scenarios = look.scenarios
        self.snapshot, self._start = look.mark.snapshot, look.mark.start
        if look.trending is not None:
            self._counted_at = time.monotonic()
            self._trending_ids = look.trending
        if look.latest is not None:
            self._latest_ids = look.latest
        # Rows of a new catalogue differ from those of the old one, so the ids are looked up again.
        self.trending = self.catalogue.rows(self._trending_ids)
        self.latest = self.catalogue.rows(self._latest_ids)

    def _accept_versions(self, look: VersionsLook) -> None:
        for name, version in look.served.items():
            version.vectors.apply(look.changes.get(name, ()), self.catalogue.row_of)
            version.vectors.extend(len(self.catalogue))
        self.versions = look.served
        self.live = look.served.get(look.live) if look.live else None


def _filled(updates: Sequence[ItemUpdate]) -> Catalogue:
    catalogue = Catalogue()
    catalogue.apply(updates)
    # The column that most requests with a filter need is built here, and not while the first one waits.
    catalogue.in_categories([""])
    return catalogue


def _named(experiments: Sequence[RunningExperiment]) -> set[str]:
    return {arm.version for experiment in experiments for arm in experiment.arms if arm.version is not None}

"""What an API process holds of a project: catalogue, served versions and fallbacks, read from PostgreSQL."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import TypeVar

from app.core.errors import InvalidRequest
from app.core.types import ProjectId
from app.db.session import Database
from app.experiments.repository import running
from app.experiments.running import RunningExperiment
from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.filters import Filter, parse
from app.recommendations.matrix_preparing import Prepared, Preparer
from app.recommendations.matrix_store import MatrixStore
from app.recommendations.repository import FROM_THE_START, CatalogueRepository, SnapshotMark
from app.recommendations.search.index import ItemIndex
from app.recommendations.search.policy import IndexPolicy
from app.recommendations.served import ServedVersion
from app.recommendations.vectors import VectorUpdate
from app.recommendations.versions import ItemRows, VersionReader, VersionsLook
from app.scenarios.repository import all_scenarios
from app.scenarios.schemas import Scenario
from app.stores.artifacts import ArtifactStore

__all__ = ["FALLBACK_ITEMS", "Look", "ProjectState", "ServedVersion", "ServingPolicy", "TrendingPolicy"]

FALLBACK_ITEMS = 2_000
"""Items kept of the trending and of the latest."""
AT_ONCE = 500
"""So many changed items are written while requests wait: about 5 ms."""
LARGE_CHANGE = 2_000
MANY_TIMES = 8
"""More than that, and more than one in so many, are read with all others into a new catalogue, in the thread."""
Update = TypeVar("Update")


@dataclass(frozen=True)
class TrendingPolicy:
    """How trending items are counted, and how often."""

    half_life_s: float
    window_events: int
    refresh_s: float


@dataclass(frozen=True)
class ServingPolicy:
    """How the vectors of versions are held, and searched.

    Attributes:
        matrices: files that the processes of a machine share; None keeps a copy in each.
        index: which index is built of them; None builds none.
    """

    matrices: MatrixStore | None = None
    index: IndexPolicy | None = None


ALONE = ServingPolicy()


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
    """One project in memory. `look` blocks and belongs in a thread; `accepting` belongs in the event loop.

    Nobody looks again before the last look was accepted or thrown away.
    """

    def __init__(
        self,
        project: ProjectId,
        *,
        database: Database,
        artifacts: ArtifactStore,
        trending: TrendingPolicy,
        serving: ServingPolicy = ALONE,
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
        self._serving = serving
        self._preparer = Preparer(project, artifacts, serving.matrices)
        self._start = FROM_THE_START
        self._counted_at = -float("inf")
        self._trending_ids: Sequence[str] = ()
        self._latest_ids: Sequence[str] = ()

    def look(self) -> Look:
        """Read what has changed since the last accepted look; a version that is new is loaded beside the others."""
        start = FROM_THE_START if self.catalogue.is_worn else self._start
        look = self._look(start) or self._look(FROM_THE_START)
        assert look is not None
        return look

    def _look(self, start: int) -> Look | None:
        """None when so much has changed that it had better be read anew."""
        prepared = self._prepare(start)
        with self._database.transaction() as transaction:
            repository = CatalogueRepository(transaction, self.project)
            mark = repository.mark()
            updates = repository.changed_items(since=start)
            if start != FROM_THE_START and self._is_large(len(updates)):
                return None
            # Nobody shares a new catalogue yet, so it is filled here, in the thread.
            scenarios = all_scenarios(transaction.session, self.project)
            filters = chain(self.catalogue.filtered_by, _filters_of(scenarios))
            catalogue = _filled(updates, filters) if start == FROM_THE_START else None
            experiments = running(transaction.session, self.project)
            reader = VersionReader(
                repository,
                self._artifacts,
                held=self.versions,
                start=start,
                rows=self._rows_with(updates)
                if catalogue is None
                else ItemRows(catalogue.row_of, lambda: catalogue.pks),
                prepared=prepared,
            )
            versions = reader.read(live=self.live, named=_named(experiments))
            if any(self._is_large(len(changes)) for changes in versions.changes.values()):
                return None
            return Look(
                mark=mark,
                updates=updates,
                catalogue=catalogue,
                versions=versions,
                trending=self._count_trending(repository),
                latest=repository.latest(limit=FALLBACK_ITEMS) if updates else None,
                experiments=experiments,
                scenarios=scenarios,
            )

    def _is_large(self, changes: int) -> bool:
        return changes > max(LARGE_CHANGE, len(self.catalogue) / MANY_TIMES)

    def _rows_with(self, updates: Sequence[ItemUpdate]) -> ItemRows:
        return ItemRows(self.catalogue.foreseen(updates), lambda: self.catalogue.foreseen_pks(updates))

    def _prepare(self, start: int) -> Prepared:
        """Before the snapshot: files are of earlier moments then, and are brought up to it."""
        with self._database.transaction() as transaction:
            repository = CatalogueRepository(transaction, self.project)
            live, named = repository.live(), repository.named(_named(running(transaction.session, self.project)))
        versions = {version.name: version for version in (live, *named) if version is not None}
        held = {} if start == FROM_THE_START else self.versions
        self._preparer.keep_only(versions.values())
        return self._preparer.prepare(
            [one for name, one in versions.items() if name not in held or held[name].published != one],
            pks=None if start == FROM_THE_START else self.catalogue.pks,
        )

    def _count_trending(self, repository: CatalogueRepository) -> Sequence[str] | None:
        if time.monotonic() - self._counted_at < self._policy.refresh_s:
            return None
        return repository.trending(
            half_life_s=self._policy.half_life_s, window=self._policy.window_events, limit=FALLBACK_ITEMS
        )

    def accept(self, look: Look) -> None:
        """Put what a look has found in place, all at once."""
        for _ in self.accepting(look):
            pass

    def accepting(self, look: Look) -> Iterator[None]:
        """The same in steps of a few milliseconds, if it is much.

        Between two steps a part of the changes is in place: no snapshot has seen that, so the state is of none.
        """
        written = 0
        for rows, write in self._writes(look):
            if written and written + rows > AT_ONCE:
                self.snapshot, written = "", 0
                yield
            write()
            written += rows
        self._finish(look)

    def _writes(self, look: Look) -> Iterator[tuple[int, Callable[[], None]]]:
        """What is to be written into what is there, with the number of rows: the items, and then their vectors."""
        for items in _parts(look.updates if look.catalogue is None else ()):
            yield len(items), partial(self._write_items, items)
        for name, changes in look.versions.changes.items():
            for vectors in _parts(changes):
                yield len(vectors), partial(self._write_vectors, name, vectors)

    def _write_items(self, updates: Sequence[ItemUpdate]) -> None:
        self.catalogue.apply(updates)
        for version in self.versions.values():
            version.vectors.extend(len(self.catalogue))

    def _write_vectors(self, name: str, updates: Sequence[VectorUpdate]) -> None:
        version = self.versions[name]
        rows = version.vectors.apply(updates, self.catalogue.row_of)
        if version.index is not None and len(rows):
            version.index.changed(rows)
            version.vectors.announced()

    def _finish(self, look: Look) -> None:
        if look.catalogue is not None:
            self.catalogue = look.catalogue
        served = {name: self._present(one) for name, one in look.versions.served.items()}
        for version in served.values():
            version.vectors.extend(len(self.catalogue))
        self.versions = served
        self.live = served.get(look.versions.live) if look.versions.live else None
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

    def _present(self, version: ServedVersion) -> ServedVersion:
        """The same with the index that it may have got while the look went on."""
        present = self.versions.get(version.name)
        return version if present is None or present.vectors is not version.vectors else present

    def without_index(self) -> list[ServedVersion]:
        """Versions that need a new index; they answer without one, or with an old one, as well and not as fast."""
        return [one for one in self.versions.values() if one.index is None or one.index.is_worn]

    def accept_index(self, version: ServedVersion, index: ItemIndex, *, revision: int) -> None:
        """Put an index in place that was built beside everything else; belongs in the event loop.

        Args:
            version: of whose vectors it is; nothing is done when others are there by now.
            index: the new one.
            revision: of the vectors when its building began: what was written since is told to it.
        """
        present = self.versions.get(version.name)
        if present is None or present.vectors is not version.vectors:
            return
        index.changed(present.vectors.rows_since(revision))
        present.vectors.searched_by = index
        indexed = replace(present, index=index, indexed_at=datetime.now(UTC))
        self.versions = {**self.versions, version.name: indexed}
        if self.live is present:
            self.live = indexed


def _filled(updates: Sequence[ItemUpdate], filters: Iterable[Filter]) -> Catalogue:
    catalogue = Catalogue()
    catalogue.apply(updates)
    # Columns that requests will need are built here, and not while the first one waits.
    catalogue.in_categories([""])
    for wanted in filters:
        catalogue.matches(wanted)
    return catalogue


def _filters_of(scenarios: Mapping[str, Scenario]) -> Iterator[Filter]:
    for scenario in scenarios.values():
        if scenario.options.filter is not None:
            with suppress(InvalidRequest):
                yield parse(scenario.options.filter)


def _parts(updates: Sequence[Update]) -> Iterator[Sequence[Update]]:
    for start in range(0, len(updates), AT_ONCE):
        yield updates[start : start + AT_ONCE]


def _named(experiments: Sequence[RunningExperiment]) -> set[str]:
    return {arm.version for experiment in experiments for arm in experiment.arms if arm.version is not None}

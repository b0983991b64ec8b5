"""What an answer was made from, as it was then: catalogue, versions, the past of the user, and the pages before."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from sqlalchemy import select

from app.core.errors import NotReplayable
from app.core.types import ProjectId, VersionId
from app.db.repository import Repository
from app.db.session import Database, Transaction
from app.db.tables import ModelVersionRow
from app.events.repository import EventRepository
from app.impressions.record import AnswerRecord
from app.impressions.repository import AnswerRepository
from app.recommendations.as_of import catalogue_as_of
from app.recommendations.listing import Task
from app.recommendations.options import RankingOptions
from app.recommendations.paging import MAX_PAGES
from app.recommendations.planning import Plan, Side
from app.recommendations.requests import session_state
from app.recommendations.served import PublishedVersion, ServedVersion, load_version
from app.recommendations.state import ProjectState, TrendingPolicy
from app.recommendations.view import Page
from app.stores.artifacts import ArtifactStore
from app.stores.sequence_state import SequenceState
from model.artifact import ArtifactError

OPEN_VERSIONS = 4
"""User encoders that are kept in memory for the next replay."""
NEVER_COUNTED = TrendingPolicy(half_life_s=1.0, window_events=1, refresh_s=0.0)


@dataclass(frozen=True)
class Origin:
    """Everything that a list follows from.

    Attributes:
        state: catalogue, versions and fallbacks of then; it is never to look again.
        plan: how to rank.
        task: past, time, seed, rotation and page.
        history_exact: whether the events of the user are those of then; None for a session.
    """

    state: ProjectState
    plan: Plan
    task: Task
    history_exact: bool | None


@lru_cache(maxsize=OPEN_VERSIONS)
def open_version(version: PublishedVersion, folder: Path) -> ServedVersion:
    """A version without item vectors; its artifact never changes."""
    return load_version(version, folder)


class OriginReader(Repository):
    """Reads the origins of one project's answers.

    Args:
        transaction: it reads.
        project: whose.
        database: of the state, which does not use it.
        artifacts: published versions.
    """

    def __init__(
        self, transaction: Transaction, project: ProjectId, *, database: Database, artifacts: ArtifactStore
    ) -> None:
        super().__init__(transaction, project)
        self._database = database
        self._artifacts = artifacts

    def read(self, record: AnswerRecord) -> Origin:
        """What an answer was made from.

        Raises:
            CatalogueForgotten: the catalogue of then is no longer kept.
            NotReplayable: a version is gone, or the answer is of a kind that keeps less.
        """
        if not record.is_ranking:
            raise NotReplayable("Of what is like an item or an upload, too little is kept to compute it again.")
        wanted = [record.version_id, *(rival.version_id for rival in record.rivals)]
        published = {version: self._published(version) for version in wanted if version is not None}
        past, history_exact = self._past(record)
        return Origin(
            state=self._state(record, published),
            plan=_plan(record, {version: one.name for version, one in published.items()}),
            task=Task(past, now=record.at, seed=record.id.int, rotated=record.rotated, page=self._page(record)),
            history_exact=history_exact,
        )

    def _published(self, version: VersionId) -> PublishedVersion:
        query = select(ModelVersionRow).where(ModelVersionRow.project_id == self.project, ModelVersionRow.id == version)
        row = self.session.scalars(query).one_or_none()
        if row is None or row.deleted_at is not None:
            raise NotReplayable(f"The model version '{row.name if row else version}' has been deleted.")
        return PublishedVersion(version, row.name, row.artifact)

    def _state(self, record: AnswerRecord, published: Mapping[VersionId, PublishedVersion]) -> ProjectState:
        state = ProjectState(self.project, database=self._database, artifacts=self._artifacts, trending=NEVER_COUNTED)
        served: dict[str, ServedVersion] = {}
        for version in published or (None,):
            # Every catalogue of one snapshot has the same rows, so that all vectors stand beside the last one.
            state.catalogue, vectors = catalogue_as_of(
                self.transaction, self.project, snapshot=record.snapshot, version=version
            )
            if version is not None:
                one = self._open(published[version])
                served[one.name] = replace(one, vectors=vectors)
        state.versions = served
        pool = list(dict.fromkeys(state.catalogue.rows(record.pool)))
        state.trending, state.latest = (pool, []) if record.fallback == "trending" else ([], pool)
        return state

    def _open(self, version: PublishedVersion) -> ServedVersion:
        try:
            return open_version(version, self._artifacts.path(version.artifact))
        except (ArtifactError, OSError) as error:
            raise NotReplayable(f"The files of the model version '{version.name}' cannot be read.") from error

    def _past(self, record: AnswerRecord) -> tuple[SequenceState, bool | None]:
        """What the user or the session had done, and whether that is still known exactly."""
        if record.session is not None:
            return session_state([dict(event) for event in record.session]), None
        mark, user = record.history, record.user_id
        if mark is None or user is None:
            return SequenceState(), None
        state = EventRepository(self.transaction, self.project).past(user, limit=mark.count, through=mark.through)
        return state, (state.count, state.digest) == (mark.count, mark.digest)

    def _page(self, record: AnswerRecord) -> Page:
        answers = AnswerRepository(self.transaction, self.project)
        shown: list[str] = []
        previous, pages = record.previous_id, 0
        while previous is not None and pages < MAX_PAGES and (one := answers.find(previous)) is not None:
            shown.extend(item.item_id for item in one.items)
            previous, pages = one.previous_id, pages + 1
        return Page(record.offset, tuple(shown))


def _plan(record: AnswerRecord, names: Mapping[VersionId, str]) -> Plan:
    def name_of(version: VersionId | None) -> str | None:
        return None if version is None else names[version]

    side = Side(RankingOptions.model_validate(record.options), name_of(record.version_id), record.arm)
    rivals = [
        Side(RankingOptions.model_validate(rival.options), name_of(rival.version_id), rival.name)
        for rival in record.rivals
    ]
    return Plan(side, record.scenario, rivals=rivals)

"""The work of an estimate: read answers, rank them again under both versions, and estimate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.core.errors import ModelNotFound
from app.core.types import ProjectId
from app.db.session import Database
from app.db.tables import AnswerRow
from app.off_policy.estimators import estimate
from app.off_policy.ranking import NotPersonal, NotReproduced, slate_of
from app.off_policy.recorded import Population, RecordedRepository, Scope
from app.off_policy.schemas import EstimateCreate, EstimateResult
from app.off_policy.slates import Slate
from app.off_policy.verdict import MOST, Tally, conclude
from app.off_policy.walk import Candidate, CatalogueWalk, load_if_there
from app.recommendations.repository import FROM_THE_START, CatalogueRepository
from app.recommendations.requests import session_state
from app.stores.artifacts import ArtifactStore

MAX_ANSWERS = 20_000
"""The newest ones are taken."""
BATCH = 500
"""Answers a transaction."""
DEFAULT_DAYS = 30


@dataclass(frozen=True)
class Material:
    """Everything that is read once."""

    candidate: Candidate
    population: Population
    answers: Sequence[AnswerRow]
    successes: Mapping[UUID, frozenset[int]]
    popularity: Mapping[str, float]


class EstimatePipeline:
    """One estimate.

    Args:
        database: answers, events, item vectors.
        artifacts: published versions.
        project: whose.
        check: raises when the work shall leave off.
        on_progress: told how many answers are done, of how many.
    """

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        project: ProjectId,
        *,
        check: Callable[[], None],
        on_progress: Callable[[Mapping[str, int]], None],
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._project = project
        self._check = check
        self._on_progress = on_progress

    def estimate(self, version: str, order: EstimateCreate) -> EstimateResult:
        """What the answers say of a version; raises ModelNotFound when it is gone by now."""
        material = self._read(version, order)
        walk = CatalogueWalk(self._artifacts, material.candidate)
        slates: list[Slate] = []
        tally, total = Tally(), len(material.answers)
        for start in range(0, total, BATCH):
            found, tally = self._batch(material.answers[start : start + BATCH], material, walk, tally)
            slates += found
            self._on_progress({"answers": min(start + BATCH, total), "of": total})
        tally = replace(
            tally,
            used=len(slates),
            users=len({slate.unit for slate in slates}),
            foreign=sum(slate.unsupported > MOST for slate in slates),
        )
        return conclude(material.population, tally, estimate(slates) if slates else None)

    def _read(self, version: str, order: EstimateCreate) -> Material:
        now = datetime.now(UTC)
        # What came of an answer is known once the window is over.
        until = now - timedelta(seconds=order.window_s)
        scope = Scope(order.since or now - timedelta(days=DEFAULT_DAYS), until, order.scenario)
        with self._database.transaction() as transaction:
            catalogue = CatalogueRepository(transaction, self._project)
            recorded = RecordedRepository(transaction, self._project)
            published = next(iter(catalogue.named([version])), None)
            loaded = load_if_there(published, self._artifacts)
            if published is None or loaded is None:
                raise ModelNotFound(version)
            return Material(
                candidate=Candidate(loaded, catalogue.changed_vectors(published.id, since=FROM_THE_START)),
                population=recorded.population(scope),
                answers=recorded.answers(scope, limit=MAX_ANSWERS),
                successes=recorded.successes(scope, order.types, window_s=order.window_s),
                popularity=recorded.popularity(scope.since),
            )

    def _batch(
        self, answers: Sequence[AnswerRow], material: Material, walk: CatalogueWalk, tally: Tally
    ) -> tuple[list[Slate], Tally]:
        """The slates of some answers, in one transaction; those that give none are counted."""
        slates: list[Slate] = []
        with self._database.transaction() as transaction:
            recorded = RecordedRepository(transaction, self._project)
            for answer in answers:
                self._check()
                try:
                    slates.append(_slate(answer, recorded, material, walk))
                except NotReproduced:
                    tally = replace(tally, not_reproduced=tally.not_reproduced + 1)
                except NotPersonal:
                    tally = replace(tally, not_personal=tally.not_personal + 1)
        return slates, tally


def _slate(answer: AnswerRow, recorded: RecordedRepository, material: Material, walk: CatalogueWalk) -> Slate:
    past = recorded.history(answer) if answer.session is None else session_state(answer.session)
    if past is None:
        raise NotReproduced
    successes = material.successes.get(answer.id, frozenset())

    def attempt() -> Slate:
        return slate_of(answer, successes, past, walk.versions(recorded, answer), material.popularity)

    try:
        return attempt()
    except NotReproduced:
        if not walk.move_to(answer):
            raise
        return attempt()

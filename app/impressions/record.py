"""What is kept of an answer: enough to attribute events to it, to page on from it, and to compute it again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, overload
from uuid import UUID

from app.core.types import ProjectId, VersionId

SIMILAR = "similar"
"""Scenario, source and option of answers to `what is like this?`."""


@dataclass(frozen=True)
class HistoryMark:
    """Which of a user's events an answer was made from, without repeating them.

    Attributes:
        count: how many events.
        through: the highest event number among them, 0 if there are none.
        digest: BLAKE2b (16 bytes) of their numbers, each 8 bytes big-endian, in the order of the sequence.
    """

    count: int
    through: int
    digest: bytes


class ShownItem(NamedTuple):
    """One item of an answer, in its place.

    Attributes:
        item_id: the client's id.
        score: of the version, None in a fallback.
        propensity: probability with which this item stood in this place, given those above it; 1 without exploration.
        source: what put it there: `personal`, `pinned`, a fallback's name, or the arm of an interleaving.
    """

    item_id: str
    score: float | None
    propensity: float
    source: str


@dataclass(frozen=True)
class ShownItems(Sequence[ShownItem]):
    """The items of an answer, best first, kept in columns: what the hot path has, and what the database gets.

    Attributes:
        item_ids: see `ShownItem`, as for the others.
        scores: of each.
        propensities: of each.
        sources: of each.
    """

    item_ids: Sequence[str]
    scores: Sequence[float | None]
    propensities: Sequence[float]
    sources: Sequence[str]

    @classmethod
    def of(cls, items: Iterable[ShownItem]) -> "ShownItems":
        """The same items."""
        rows = [*items]
        return cls(
            [one.item_id for one in rows],
            [one.score for one in rows],
            [one.propensity for one in rows],
            [one.source for one in rows],
        )

    def __len__(self) -> int:
        return len(self.item_ids)

    def __iter__(self) -> Iterator[ShownItem]:
        return map(ShownItem, self.item_ids, self.scores, self.propensities, self.sources)

    @overload
    def __getitem__(self, index: int) -> ShownItem: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ShownItem]: ...

    def __getitem__(self, index: int | slice) -> ShownItem | Sequence[ShownItem]:
        return [*self][index]


class Rival(NamedTuple):
    """One of the two ways to rank that share the list of an interleaving.

    Attributes:
        name: of the arm.
        version_id: the version that ranked for it, None without one.
        options: the ranking options as resolved, JSON.
    """

    name: str | None
    version_id: VersionId | None
    options: Mapping[str, Any]


class AnswerRecord(NamedTuple):
    """One answer.

    Attributes:
        id: the recommendation id, which also seeds whatever was random in the answer.
        project: whose.
        user_id: None for a session without a user.
        at: seconds since 1970, the `now` of the ranking.
        version_id: the version that ranked, None without one.
        snapshot: PostgreSQL's snapshot that the catalogue in memory stood at (`pg_current_snapshot()` as text).
        scenario: name of the scenario, if any.
        experiment_id: of the experiment that chose version or scenario, if any.
        arm: its arm; for an interleaving the sources of the items say which.
        options: the ranking options as resolved, JSON.
        session: events that came in the request instead of a user's own, JSON, oldest first.
        history: mark of the user's events, None for a session.
        rotated: items that were sunk because they were shown lately: id to seconds since 1970.
        pool: ids of the fallback's candidates, in their order; empty for a personal answer.
        fallback: name of the fallback, None for a personal answer.
        offset: ranks before the first item: above 0 for a next page.
        previous_id: the answer that this one goes on from.
        items: what was shown, best first.
        rivals: of an interleaving the two ways to rank, each with its options as resolved.
    """

    id: UUID
    project: ProjectId
    user_id: str | None
    at: float
    version_id: VersionId | None
    snapshot: str
    scenario: str | None
    experiment_id: int | None
    arm: str | None
    options: Mapping[str, Any]
    session: Sequence[Mapping[str, Any]] | None
    history: HistoryMark | None
    rotated: Mapping[str, float]
    pool: Sequence[str]
    fallback: str | None
    offset: int
    previous_id: UUID | None
    items: ShownItems
    rivals: Sequence[Rival] = ()

    @property
    def is_ranking(self) -> bool:
        """Whether it came out of the ranking: only such a list has a next page and can be computed again."""
        return SIMILAR not in self.options


class AnswerSink(Protocol):
    """Takes answers in on the hot path: never blocks, never raises."""

    def record(self, answer: AnswerRecord) -> None:
        """Keep the answer; it is durable within the flush interval."""


class AnswerLog(AnswerSink, Protocol):
    """Also gives them back."""

    async def find(self, project: ProjectId, answer_id: UUID) -> AnswerRecord | None:
        """The answer, from this process's memory or from the database; None for one of another project, or of none.

        One that another process gave a moment ago may not be in the database yet: waits up to one flush interval.
        """

    async def settle(self, project: ProjectId, answer_id: UUID) -> None:
        """Return when the answer is in the database, or when it will not come any more."""

    async def flush(self) -> None:
        """Return when every answer that this process has given is in the database."""

    async def forget(self, project: ProjectId, user_id: str) -> None:
        """Remember no answer to a user; none of those given before will be written any more."""


class MemoryAnswerLog:
    """The twin for unit tests."""

    def __init__(self) -> None:
        self.answers: dict[UUID, AnswerRecord] = {}

    def record(self, answer: AnswerRecord) -> None:
        """Remember the answer."""
        self.answers[answer.id] = answer

    async def find(self, project: ProjectId, answer_id: UUID) -> AnswerRecord | None:
        """The remembered answer."""
        found = self.answers.get(answer_id)
        return found if found is not None and found.project == project else None

    async def settle(self, project: ProjectId, answer_id: UUID) -> None:
        """There is no database."""

    async def flush(self) -> None:
        """There is no database."""

    async def forget(self, project: ProjectId, user_id: str) -> None:
        """Forget every answer to the user."""
        for answer in [one for one in self.answers.values() if (one.project, one.user_id) == (project, user_id)]:
            del self.answers[answer.id]

"""A bounded memory of answers."""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from app.core.types import ProjectId
from app.impressions.record import AnswerRecord


class _Kept(NamedTuple):
    """An answer with its row, if that is made, and the entries it holds."""

    answer: AnswerRecord
    row: bytes | None
    weight: int


class BoundedAnswers:
    """Answers in the order of their arrival, bounded by the entries they hold: an answer may have one or thousands.

    Args:
        limit: the most answers, items, events of sessions, and rotated and pooled items together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[int, _Kept] = {}
        """By the number of the id, whose hash is made at once."""
        self._weight = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, answer_id: UUID) -> AnswerRecord | None:
        """The answer, if it is still here."""
        kept = self._kept.get(answer_id.int)
        return None if kept is None else kept.answer

    def add(self, answer: AnswerRecord, row: bytes | None = None) -> int:
        """Add as the newest, with its row if it is made; how many of the oldest had to go."""
        number, weight = answer.id.int, _weight(answer)
        if number in self._kept:
            self._remove(number)
        self._kept[number] = _Kept(answer, row, weight)
        self._weight += weight
        dropped = 0
        while self._weight > self._limit:
            self._remove(next(iter(self._kept)))
            dropped += 1
        return dropped

    def oldest(self, count: int) -> list[AnswerRecord]:
        """Up to `count` answers, oldest first; they stay."""
        return [kept.answer for kept in islice(self._kept.values(), count)]

    def row(self, answer: AnswerRecord) -> bytes | None:
        """What was added with the answer."""
        kept = self._kept.get(answer.id.int)
        return None if kept is None else kept.row

    def discard(self, answers: Iterable[AnswerRecord]) -> None:
        """Remove those that are still here."""
        for answer in answers:
            if answer.id.int in self._kept:
                self._remove(answer.id.int)

    def drop_before(self, at: float) -> None:
        """Remove, from the oldest on, the answers that were given before that moment (seconds since 1970)."""
        while self._kept and (oldest := next(iter(self._kept.values())).answer).at < at:
            self._remove(oldest.id.int)

    def drop_of(self, project: ProjectId, user_id: str) -> None:
        """Remove every answer to a user."""
        answers = [kept.answer for kept in self._kept.values()]
        self.discard([one for one in answers if (one.project, one.user_id) == (project, user_id)])

    def _remove(self, number: int) -> None:
        self._weight -= self._kept.pop(number).weight


def _weight(answer: AnswerRecord) -> int:
    return 1 + len(answer.items) + len(answer.session or ()) + len(answer.rotated) + len(answer.pool)

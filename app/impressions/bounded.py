"""A bounded memory of answers."""

from collections.abc import Iterable
from itertools import islice
from uuid import UUID

from app.core.types import ProjectId
from app.impressions.record import AnswerRecord


class BoundedAnswers:
    """Answers in the order of their arrival, bounded by the entries they hold: an answer may have one or thousands.

    Args:
        limit: the most answers, items, events of sessions, and rotated and pooled items together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._answers: dict[UUID, AnswerRecord] = {}
        self._weights: dict[UUID, int] = {}
        self._rows: dict[UUID, bytes] = {}
        self._weight = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, answer_id: UUID) -> AnswerRecord | None:
        """The answer, if it is still here."""
        return self._answers.get(answer_id)

    def add(self, answer: AnswerRecord, row: bytes | None = None) -> int:
        """Add as the newest, with its row if it is made; how many of the oldest had to go."""
        if answer.id in self._answers:
            self._remove(answer.id)
        self._answers[answer.id] = answer
        self._weights[answer.id] = weight = _weight(answer)
        self._weight += weight
        if row is not None:
            self._rows[answer.id] = row
        dropped = 0
        while self._weight > self._limit:
            self._remove(next(iter(self._answers)))
            dropped += 1
        return dropped

    def oldest(self, count: int) -> list[AnswerRecord]:
        """Up to `count` answers, oldest first; they stay."""
        return list(islice(self._answers.values(), count))

    def row(self, answer: AnswerRecord) -> bytes | None:
        """What was added with the answer."""
        return self._rows.get(answer.id)

    def discard(self, answers: Iterable[AnswerRecord]) -> None:
        """Remove those that are still here."""
        for answer in answers:
            if answer.id in self._answers:
                self._remove(answer.id)

    def drop_before(self, at: float) -> None:
        """Remove, from the oldest on, the answers that were given before that moment (seconds since 1970)."""
        while self._answers and (oldest := next(iter(self._answers.values()))).at < at:
            self._remove(oldest.id)

    def drop_of(self, project: ProjectId, user_id: str) -> None:
        """Remove every answer to a user."""
        self.discard([one for one in self._answers.values() if (one.project, one.user_id) == (project, user_id)])

    def _remove(self, answer_id: UUID) -> None:
        del self._answers[answer_id]
        self._rows.pop(answer_id, None)
        self._weight -= self._weights.pop(answer_id)


def _weight(answer: AnswerRecord) -> int:
    return 1 + len(answer.items) + len(answer.session or ()) + len(answer.rotated) + len(answer.pool)

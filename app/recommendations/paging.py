"""Pages of one list: each answer names the one before it, so a list goes on in any process."""

from dataclasses import dataclass
from uuid import UUID

from app.core.cursor import decode_cursor, encode_cursor
from app.impressions.record import AnswerLog, AnswerRecord

MAX_PAGES = 200
"""A list ends there: every page reads those before it."""


@dataclass(frozen=True)
class Chain:
    """The pages before the one that is made.

    Attributes:
        item_ids: everything on them.
        offset: ranks that they take.
        previous_id: the last of them.
        pages: how many.
    """

    item_ids: tuple[str, ...] = ()
    offset: int = 0
    previous_id: UUID | None = None
    pages: int = 0

    @property
    def may_go_on(self) -> bool:
        """Whether there may be a page after the one that is made."""
        return self.pages + 1 < MAX_PAGES

    @classmethod
    async def up_to(cls, record: AnswerRecord, answers: AnswerLog) -> "Chain":
        """The list from its beginning to this answer; pages that are no longer kept are passed over."""
        shown: list[str] = []
        pages, one = 0, record
        while True:
            shown.extend(item.item_id for item in one.items)
            pages += 1
            before = one.previous_id and await answers.find(record.project, one.previous_id)
            if not before or pages >= MAX_PAGES:
                break
            one = before
        return cls(tuple(shown), record.offset + len(record.items), record.id, pages)


def cursor_of(answer_id: UUID) -> str:
    """Where the next page begins."""
    return encode_cursor(answer_id)


def answer_of_cursor(cursor: str) -> UUID:
    """The answer that a cursor goes on from; raises InvalidRequest for what is none of ours."""
    found: UUID = decode_cursor(cursor, UUID)[0]
    return found

"""Chunks of several encoders in turn, one taken ahead, with a taker that keeps a list."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from app.core.types import ProjectId
from app.items.encoding_chunks import Chunk, ChunkLine, ChunkTaker, JobNames, Specified
from app.items.encoding_repository import Claim
from tests.fixtures.fake_encoders import FakeEncoder

EVER = float("inf")


@dataclass
class Job:
    """Names of a job."""

    id: UUID = field(default_factory=uuid4)
    project: ProjectId = ProjectId(1)  # noqa: RUF009  (an int)


class Taker:
    """Hands out what is listed for each modality, a content at a time."""

    def __init__(self, **left: int) -> None:
        self.left = left
        self.taken: list[str] = []
        self.awaited: list[bool] = []
        self.besides: list[list[int]] = []
        self.given_back: list[Claim] = []
        self.breaks: dict[str, Exception] = {}

    def take(self, job: JobNames, encoder: Specified, besides: Sequence[Claim], *, awaited: bool = False) -> Chunk:
        self.awaited.append(awaited)
        self.besides.append([claim.id for claim in besides])
        modality = encoder.spec.modality
        if modality in self.breaks:
            raise self.breaks[modality]
        if not self.left[modality]:
            return Chunk()
        self.left[modality] -= 1
        self.taken.append(modality)
        return Chunk({Claim(len(self.taken), modality, 1): modality})

    def give_back(self, project: ProjectId, claims: Sequence[Claim]) -> None:
        self.given_back += claims


def line_of(taker: Taker, *modalities: str, until: float = EVER) -> ChunkLine[FakeEncoder]:
    encoders = [FakeEncoder(modality) for modality in modalities]
    return ChunkLine(cast(ChunkTaker, taker), Job(), encoders, until=until)


def drain(line: ChunkLine[FakeEncoder]) -> list[Any]:
    found = []
    while (coming := line.next()) is not None:
        found += coming[1].result().samples.values()
    return found


def test_encoders_take_turns_until_none_has_anything() -> None:
    taker = Taker(text=3, image=1)
    with line_of(taker, "text", "image") as line:
        assert drain(line) == ["text", "image", "text", "text"]
        assert line.is_exhausted
    assert taker.given_back == []
    assert taker.besides == [[], [1], [2], [3], [], [4], []], "the one in use when the next one is taken"
    assert taker.awaited == [True, *[False] * 6], "the first one, for which nothing can be encoded meanwhile"


def test_when_the_time_is_over_each_has_had_a_turn_and_nothing_is_held() -> None:
    taker = Taker(text=3, image=3)
    with line_of(taker, "text", "image", until=0.0) as line:
        assert drain(line) == ["text", "image"]
        assert not line.is_exhausted
    assert taker.left == {"text": 2, "image": 2}


def test_the_next_chunk_is_taken_while_one_is_in_use() -> None:
    taken = threading.Event()

    class Telling(Taker):
        def take(self, *args: Any, **options: Any) -> Chunk:
            chunk = super().take(*args, **options)
            if len(self.taken) == 2:
                taken.set()
            return chunk

    with line_of(Telling(text=2), "text") as line:
        first = line.next()
        assert first is not None
        assert taken.wait(10)
        assert drain(line) == ["text"]


def test_what_was_taken_ahead_is_given_back_when_the_work_breaks_off() -> None:
    taker = Taker(text=2)
    with pytest.raises(ZeroDivisionError), line_of(taker, "text") as line:  # noqa: PT012
        line.next()
        raise ZeroDivisionError
    assert [claim.id for claim in taker.given_back] == [2]


def test_an_encoder_that_is_left_out_gives_back_and_others_go_on() -> None:
    taker = Taker(text=2, image=2)
    with line_of(taker, "text", "image") as line:
        first, _ = line.next() or pytest.fail("nothing came")
        line.next()
        line.leave_out(first)
        assert drain(line) == ["image"]
        assert line.is_exhausted
    assert [claim.content_hash for claim in taker.given_back] == ["text"]


def test_an_encoder_whose_contents_cannot_be_taken_says_so_in_its_turn() -> None:
    taker = Taker(text=0, image=1)
    taker.breaks["text"] = OSError("no disk")
    with line_of(taker, "text", "image") as line:
        encoder, broken = line.next() or pytest.fail("nothing came")
        with pytest.raises(OSError, match="no disk"):
            broken.result()
        line.leave_out(encoder)
        assert drain(line) == ["image"]

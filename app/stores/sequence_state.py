"""What is known of a user's past: the newest events in order, and items that older events have made seen."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

NUMBER_BYTES = 8
TIME_BYTES = 8
HEAD_BYTES = NUMBER_BYTES + TIME_BYTES
BIG_ENDIAN = np.dtype(f">u{NUMBER_BYTES}")
SEPARATOR = b"\x00"
"""Between type and item id; neither may contain it."""
DIGEST_BYTES = 16


@dataclass(frozen=True)
class SequenceEvent:
    """One event as a state keeps it."""

    number: int
    item_id: str
    time_us: int
    type: str

    @property
    def member(self) -> bytes:
        """Sorts, among equal times, as the event numbers do; behind number and time stands `SeenItem.member`."""
        head = self.number.to_bytes(NUMBER_BYTES, "big") + self.time_us.to_bytes(TIME_BYTES, "big", signed=True)
        return head + self.type.encode() + SEPARATOR + self.item_id.encode()

    @classmethod
    def of(cls, member: bytes) -> "SequenceEvent":
        """The event again."""
        kind, item_id = type_and_item(member[HEAD_BYTES:])
        number = int.from_bytes(member[:NUMBER_BYTES], "big")
        return cls(number, item_id, _time_us(member), kind)


@dataclass(frozen=True)
class SeenItem:
    """An item that events older than the sequence have made seen: by what type, and when last."""

    item_id: str
    type: str
    time_us: int

    @property
    def member(self) -> bytes:
        """Type and item; the time is its score."""
        return self.type.encode() + SEPARATOR + self.item_id.encode()

    @classmethod
    def of(cls, member: bytes, time_us: float) -> "SeenItem":
        """The entry again."""
        kind, item_id = type_and_item(member)
        return cls(item_id, kind, int(time_us))


def type_and_item(member: bytes) -> tuple[str, str]:
    """The type of event and the item of a `SeenItem.member`."""
    kind, _, item_id = member.decode().partition(SEPARATOR.decode())
    return kind, item_id


@dataclass(frozen=True)
class SequenceState:
    """A user's past; what a ranking does not need of it is never unpacked.

    Attributes:
        heads: of the newest events the heads of `SequenceEvent.member`, one after the other, oldest first.
        tails: what follows them: of each event a `SeenItem.member`.
        older: what older events have made seen.
    """

    heads: bytes = b""
    tails: Sequence[bytes] = field(default_factory=list)
    older: Sequence[SeenItem] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[SequenceEvent], older: Iterable[SeenItem] = ()) -> "SequenceState":
        """The state of these events, oldest first."""
        members = [event.member for event in events]
        heads = b"".join([member[:HEAD_BYTES] for member in members])
        return cls(heads, [member[HEAD_BYTES:] for member in members], list(older))

    @property
    def count(self) -> int:
        """How many newest events there are."""
        return len(self.tails)

    @cached_property
    def item_ids(self) -> list[str]:
        """Items of the newest events, oldest first; an item comes as often as its events do."""
        # Type and item in turn: one text to decode and to split.
        return SEPARATOR.join(self.tails).decode().split(SEPARATOR.decode())[1::2]

    @cached_property
    def older_ids(self) -> list[str]:
        """Items of `older`; one may come twice, by two types of events."""
        return [item.item_id for item in self.older]

    @property
    def events(self) -> list[SequenceEvent]:
        """The newest events, oldest first."""
        starts = range(0, len(self.heads), HEAD_BYTES)
        heads = [self.heads[at : at + HEAD_BYTES] for at in starts]
        return [SequenceEvent.of(head + tail) for head, tail in zip(heads, self.tails, strict=True)]

    def seen(self, *, types: Collection[str] | None, since_us: int | None) -> list[str]:
        """Items of the events of these types (None: all) at or after the time (None: ever); some may come twice."""
        if types is None and since_us is None:
            return self.item_ids + self.older_ids
        happened: list[SequenceEvent | SeenItem] = [*self.events, *self.older]
        return [
            event.item_id
            for event in happened
            if (types is None or event.type in types) and (since_us is None or event.time_us >= since_us)
        ]

    @property
    def through(self) -> int:
        """The highest number among the newest events, 0 without any."""
        return int(self._numbers.max(initial=0))

    @property
    def digest(self) -> bytes:
        """BLAKE2b (16 bytes) of the numbers of the newest events, each 8 bytes big-endian, in their order."""
        return hashlib.blake2b(self._numbers.tobytes(), digest_size=DIGEST_BYTES).digest()

    @property
    def _numbers(self) -> NDArray[np.uint64]:
        """Of the newest events [s], big-endian."""
        numbers: NDArray[np.uint64] = np.frombuffer(self.heads, BIG_ENDIAN)[:: HEAD_BYTES // NUMBER_BYTES]
        return numbers


def _time_us(member: bytes) -> int:
    return int.from_bytes(member[NUMBER_BYTES:HEAD_BYTES], "big", signed=True)

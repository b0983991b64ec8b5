import hashlib

from hypothesis import given
from hypothesis import strategies as st

from app.stores.sequence_state import SeenItem, SequenceEvent, SequenceState

NUMBERS = st.integers(0, 2**63 - 1)
TIMES = st.integers(0, 2**52)
ITEM_IDS = st.text(st.characters(blacklist_characters="\x00", blacklist_categories=["Cs"]), min_size=1, max_size=9)
TYPES = st.from_regex(r"\A[\w.:-]{1,9}\Z")
EVENTS = st.lists(st.builds(SequenceEvent, NUMBERS, ITEM_IDS, TIMES, TYPES), max_size=6)


@given(EVENTS)
def test_events_come_back_from_their_members(events: list[SequenceEvent]) -> None:
    state = SequenceState.of(events)
    assert state.events == events
    assert state.item_ids == [event.item_id for event in events]
    assert state.through == max((event.number for event in events), default=0)


@given(st.builds(SeenItem, ITEM_IDS, TYPES, TIMES))
def test_seen_items_come_back_from_member_and_score(item: SeenItem) -> None:
    assert SeenItem.of(item.member, float(item.time_us)) == item


@given(st.lists(NUMBERS, min_size=2, max_size=2, unique=True), TIMES)
def test_members_of_equal_times_sort_as_their_numbers(numbers: list[int], time_us: int) -> None:
    members = [SequenceEvent(number, "i", time_us, "view").member for number in numbers]
    assert (members[0] < members[1]) == (numbers[0] < numbers[1])


def test_the_digest_is_that_of_the_numbers_in_their_order() -> None:
    state = SequenceState.of(SequenceEvent(number, "i", 5, "view") for number in (3, 1, 2))
    expected = hashlib.blake2b(b"".join(n.to_bytes(8, "big") for n in (3, 1, 2)), digest_size=16).digest()
    assert state.digest == expected
    assert SequenceState().digest == hashlib.blake2b(digest_size=16).digest()


def test_seen_by_type_and_time() -> None:
    events = [SequenceEvent(1, "a", 10, "view"), SequenceEvent(2, "b", 20, "like")]
    state = SequenceState.of(events, [SeenItem("c", "view", 5), SeenItem("c", "like", 1)])
    assert state.seen(types=None, since_us=None) == ["a", "b", "c", "c"]
    assert state.seen(types={"view"}, since_us=None) == ["a", "c"]
    assert state.seen(types=None, since_us=5) == ["a", "b", "c"]
    assert state.seen(types={"like"}, since_us=5) == ["b"]

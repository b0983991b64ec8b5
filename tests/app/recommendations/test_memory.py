"""What is remembered of a user holds exactly as long as it would come out the same."""

import gc
import time

import numpy as np
import pytest

from app.core.types import ProjectId
from app.recommendations import remembered_users
from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.memory import MAX_VERSIONS, RememberedPast, UserVector
from app.recommendations.remembered_users import EVENTS_A_USER, RememberedUser, RememberedUsers
from app.recommendations.shortlist import Shortlist, shortlists
from app.recommendations.vectors import ItemVectors, VectorUpdate
from app.stores.sequence_state import SequenceEvent, SequenceState

ONE, TWO = ProjectId(1), ProjectId(2)


def catalogue_of(*item_ids: str) -> Catalogue:
    catalogue = Catalogue()
    catalogue.apply(ItemUpdate(number, item_id) for number, item_id in enumerate(item_ids))
    return catalogue


def past_of(*item_ids: str) -> RememberedPast:
    return RememberedPast(SequenceState.of(SequenceEvent(n, one, n, "view") for n, one in enumerate(item_ids)))


def write(vectors: ItemVectors, catalogue: Catalogue, **values: float | None) -> None:
    vectors.apply(
        [
            VectorUpdate(item_id, None if value is None else np.full(2, value, np.float32), None)
            for item_id, value in values.items()
        ],
        catalogue.row_of,
    )


def listed(vectors: ItemVectors, user: np.ndarray, *rows: int) -> Shortlist:
    scores = np.zeros(len(rows), np.float32)
    (found,) = shortlists([user], np.array([rows]), scores[None], revision=vectors.revision, ties=np.arange(9))
    return found


def test_rows_follow_the_catalogue() -> None:
    past, catalogue = past_of("a", "late", "b"), catalogue_of("a", "b")
    assert past.rows(catalogue).tolist() == [0, 1]
    assert past.rows(catalogue) is past.rows(catalogue)
    catalogue.apply([ItemUpdate(9, "other")])
    assert past.rows(catalogue).tolist() == [0, 1]
    catalogue.apply([ItemUpdate(10, "late")])
    assert past.rows(catalogue).tolist() == [0, 3, 1], "the item has come after its event"
    assert past.rows(catalogue_of("b", "a")).tolist() == [1, 0], "another catalogue has other rows"


def test_a_vector_holds_until_one_of_its_items_changes() -> None:
    past, catalogue = past_of("a", "b"), catalogue_of("a", "b", "c")
    vectors = ItemVectors(width=2, modalities=())
    write(vectors, catalogue, a=1, b=2)
    sequence, user = np.array([0, 1]), np.ones(2, np.float32)
    past.keep_user(vectors, UserVector(sequence, user, vectors.revision))
    assert past.user(vectors, sequence) is user
    assert past.user(vectors, sequence[1:]) is None, "made from other items"
    assert past.user(ItemVectors(width=2, modalities=()), sequence) is None, "of another version"
    write(vectors, catalogue, c=3)
    assert past.user(vectors, sequence) is user
    write(vectors, catalogue, b=4)
    assert past.user(vectors, sequence) is None


def test_a_shortlist_holds_until_any_item_changes() -> None:
    past, catalogue = past_of("a"), catalogue_of("a", "b")
    vectors = ItemVectors(width=2, modalities=())
    write(vectors, catalogue, a=1, b=2)
    user = np.ones(2, np.float32)
    shortlist = listed(vectors, user, 1, 0)
    past.keep_shortlist(vectors, shortlist)
    assert past.shortlist(vectors, user) is shortlist
    assert past.shortlist(vectors, user.copy()) is None, "of another vector of the user"
    write(vectors, catalogue, b=None)
    assert past.shortlist(vectors, user) is None


def test_a_version_that_goes_leaves_nothing() -> None:
    past, vectors = past_of("a"), ItemVectors(width=2, modalities=())
    user = np.ones(2, np.float32)
    past.keep_user(vectors, UserVector(np.array([0]), user, vectors.revision))
    past.keep_shortlist(vectors, listed(vectors, user, 0))
    del vectors
    gc.collect()
    assert [one.vectors() for one in past._versions] == [None]
    for number in range(2 * MAX_VERSIONS):
        newer = ItemVectors(width=2, modalities=())
        past.keep_user(newer, UserVector(np.array([0]), user, newer.revision))
        assert past.user(newer, np.array([0])) is user, number
    assert len(past._versions) <= MAX_VERSIONS


def remembered(*item_ids: str, older: bool = True) -> RememberedUser:
    return RememberedUser(b"v", older, past_of(*item_ids), used_at=time.monotonic())


def test_the_longest_unused_goes_first() -> None:
    users = RememberedUsers(2)
    events = ["i"] * (EVENTS_A_USER // 2)
    for name in ("a", "b"):
        users.keep(ONE, name, remembered(*events))
    assert users.find(ONE, "a", older=True) is not None
    users.keep(ONE, "c", remembered(*events))
    assert [users.find(ONE, name, older=True) is not None for name in ("a", "b", "c")] == [True, False, True]
    users.keep(ONE, "long", remembered(*["i"] * 10 * EVENTS_A_USER))
    assert users.find(ONE, "long", older=True) is None, "one that is too much alone moves nobody"
    assert len(users) == 2


def test_users_are_told_apart_and_forgotten() -> None:
    users = RememberedUsers(10)
    users.keep(ONE, "a", remembered(older=False))
    assert users.find(TWO, "a", older=False) is None
    assert users.find(ONE, "a", older=True) is None, "the older items are not there"
    assert users.find(ONE, "a", older=False) is not None
    users.forget(ONE, "a")
    users.forget(ONE, "nobody")
    assert users.find(ONE, "a", older=False) is None
    nobody = RememberedUsers(0)
    nobody.keep(ONE, "a", remembered())
    assert len(nobody) == 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What the memory takes for the time."""
    times = {"now": 0.0}
    monkeypatch.setattr(remembered_users.time, "monotonic", lambda: times["now"])
    return times


def test_what_is_not_asked_for_goes(clock: dict[str, float]) -> None:
    users = RememberedUsers(10)
    users.keep(ONE, "a", remembered())
    users.keep(ONE, "b", remembered())
    clock["now"] = remembered_users.UNUSED_S
    assert users.find(ONE, "b", older=True) is not None
    clock["now"] += 1.0
    users.keep(ONE, "c", RememberedUser(b"v", True, past_of(), used_at=clock["now"]))
    assert users.find(ONE, "a", older=True) is None
    assert users.find(ONE, "b", older=True) is not None


def test_what_is_not_asked_for_goes_when_only_known_users_ask(clock: dict[str, float]) -> None:
    users = RememberedUsers(10)
    users.keep(ONE, "a", remembered())
    users.keep(ONE, "b", remembered())
    clock["now"] = remembered_users.UNUSED_S + 1.0
    assert users.find(ONE, "b", older=True) is not None
    assert len(users) == 1

import pytest

from model.data.dataset import Interactions, TrainingDataError, interactions_of
from model.data.splits import leave_one_out


def _lists(events: Interactions) -> list[list[int]]:
    return [events.of(user).tolist() for user in range(len(events))]


def test_last_item_is_test_and_the_one_before_validation() -> None:
    split = leave_one_out(interactions_of([[0, 1, 2, 3], [4, 5], [6, 7, 8]]))
    # The user with two events only trains.
    assert _lists(split.train) == [[0, 1], [4, 5], [6]]
    assert _lists(split.validation.history) == [[0, 1], [6]]
    assert split.validation.targets.tolist() == [2, 7]
    assert _lists(split.test.history) == [[0, 1, 2], [6, 7]]
    assert split.test.targets.tolist() == [3, 8]


@pytest.mark.parametrize("histories", [[], [[]], [[0, 1, 2]], [[0, 1, 2], [3, 4]]])
def test_too_little_data_is_said(histories: list[list[int]]) -> None:
    found = sum(len(history) >= 3 for history in histories)
    with pytest.raises(TrainingDataError, match=f"at least 2 users with 3 or more events .* found {found}"):
        leave_one_out(interactions_of(histories))

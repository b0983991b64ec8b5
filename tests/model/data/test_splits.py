import numpy as np
import pytest

from model.data.dataset import Interactions, TrainingDataError, interactions_of
from model.data.splits import SPLITS, Split, global_time, leave_one_out


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


def test_moments_split_all_users_alike() -> None:
    # Ten events at times 0, …, 9; the newest fifth is 8 and 9, the fifth before it 6 and 7.
    histories = [[10, 11, 12, 13], [20, 21, 22, 23], [30, 31]]
    times = [[0, 2, 6, 8], [1, 3, 7, 9], [4, 5]]
    split = global_time(interactions_of(histories, times), share=0.2)
    assert _lists(split.train) == [[10, 11], [20, 21], [30, 31]]
    assert split.train.times is not None
    assert split.train.times.tolist() == [0, 2, 1, 3, 4, 5]
    assert _lists(split.validation.history) == [[10, 11], [20, 21]]
    assert split.validation.targets.tolist() == [12, 22]
    # The test may read what the validation asked about; the third user did nothing after the cuts.
    assert _lists(split.test.history) == [[10, 11, 12], [20, 21, 22]]
    assert split.test.targets.tolist() == [13, 23]


def test_who_has_nothing_before_a_cut_or_comes_back_only_for_the_test_is_not_asked_too_early() -> None:
    histories = [[0, 1], [2, 3], [4, 5], [6], [7, 8]]
    # Two events of nine are a share of 0.22, so the cuts are at 6 and 8: users 0 and 1 are asked about in the test
    # alone, 2 and 4 in the validation; 3 is new.
    times = [[0, 8], [1, 9], [2, 6], [8], [3, 7]]
    events = interactions_of(histories, times)
    split = global_time(events, share=0.22)
    assert split.validation.targets.tolist() == [5, 8]
    assert split.test.targets.tolist() == [1, 3]
    assert _lists(split.test.history) == [[0], [2]]


def test_equal_times_are_on_the_same_side() -> None:
    # The newest fifth of ten would begin in the middle of the four events at 5: all of them belong to the test.
    times = [[0, 1, 3, 5, 5], [0, 2, 3, 5, 5]]
    split = global_time(interactions_of([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]], times), share=0.2)
    assert split.test.targets.tolist() == [3, 8]
    assert split.validation.targets.tolist() == [2, 7]


def _slow(histories: list[list[int]], times: list[list[int]], share: float) -> list[list[list[int]]]:
    """Train, validation and test by a loop over users; [history, …, target] for the latter two."""
    ordered = sorted(second for one in times for second in one)
    held = round(share * len(ordered))
    test_cut = ordered[-held]
    validation_cut = [second for second in ordered if second < test_cut][-held]
    train, validation, test = [], [], []
    for items, seconds in zip(histories, times, strict=True):
        known = list(zip(items, seconds, strict=True))
        train.append([item for item, second in known if second < validation_cut])
        between = [item for item, second in known if validation_cut <= second < test_cut]
        after = [item for item, second in known if second >= test_cut]
        if train[-1] and between:
            validation.append([*train[-1], between[0]])
        if (train[-1] or between) and after:
            test.append([*train[-1], *between, after[0]])
    return [train, validation, test]


@pytest.mark.parametrize("seed", range(5))
def test_moments_agree_with_the_slow_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 9, 40)
    histories = [rng.integers(0, 30, length).tolist() for length in lengths]
    times = [np.sort(rng.integers(0, 60, length)).tolist() for length in lengths]
    split = global_time(interactions_of(histories, times), share=0.15)
    found = [
        _lists(split.train),
        *(
            [[*history, target] for history, target in zip(_lists(one.history), one.targets.tolist(), strict=True)]
            for one in (split.validation, split.test)
        ),
    ]
    assert found == _slow(histories, times, 0.15)


def test_moments_need_times() -> None:
    with pytest.raises(TrainingDataError, match="needs the time of every event"):
        global_time(interactions_of([[0, 1, 2], [3, 4, 5]]))


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([], "0 for the validation and 0 for the test"),
        ([[7, 7, 7], [7, 7, 7]], "0 for the validation and 0 for the test"),
        ([[0, 1, 2, 3, 4], [4]], "1 for the validation and 1 for the test"),
    ],
)
def test_too_few_users_around_the_cuts_are_said(times: list[list[int]], found: str) -> None:
    histories = [list(range(len(one))) for one in times]
    with pytest.raises(TrainingDataError, match=f"at least 2 users .* on both sides of each cut, found {found}"):
        global_time(interactions_of(histories, times), share=0.2)


@pytest.mark.parametrize("name", SPLITS)
def test_every_split_keeps_the_test_out_of_the_training(name: str) -> None:
    rng = np.random.default_rng(0)
    # Each event is of an item of its own, so that it can be told where it went.
    numbers = rng.permutation(400).reshape(20, 20)
    times = np.sort(rng.integers(0, 1_000, (20, 20)), axis=1)
    split: Split = SPLITS[name](interactions_of(numbers.tolist(), times.tolist()))
    trained = set(split.train.items.tolist())
    asked = set(split.test.targets.tolist())
    assert not trained & (asked | set(split.validation.targets.tolist()))
    assert not asked & (set(split.validation.history.items.tolist()) | set(split.validation.targets.tolist()))


def test_the_first_questions_of_a_holdout() -> None:
    test = leave_one_out(interactions_of([[0, 1, 2], [3, 4, 5, 6], [7, 8, 9]])).test
    assert _lists(test.first(2).history) == [[0, 1], [3, 4, 5]]
    assert test.first(2).targets.tolist() == [2, 6]
    assert test.first(9).targets.tolist() == [2, 6, 9]

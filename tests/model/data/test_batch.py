from collections import Counter
from itertools import pairwise

import numpy as np

from model.data.batch import Batch, last_events, training_batches
from model.data.dataset import interactions_of

HISTORIES = [list(range(23)), [30, 31], [40], [], list(range(50, 57))]


def test_last_events_are_right_aligned() -> None:
    items, lengths = last_events(interactions_of([[1, 2, 3, 4], [5], []]), 3)
    assert items.tolist() == [[2, 3, 4], [-1, -1, 5], [-1, -1, -1]]
    assert lengths.tolist() == [3, 1, 0]


def test_a_target_is_what_came_after_its_input() -> None:
    events = interactions_of(HISTORIES)
    after = {(a, b) for history in HISTORIES for a, b in pairwise(history)}
    for batch in training_batches(events, 3, 5, np.random.default_rng(0)):
        real = batch.inputs >= 0
        assert (real == (batch.targets >= 0)).all()
        assert real.sum(axis=1).tolist() == batch.lengths.tolist()
        assert set(zip(batch.inputs[real], batch.targets[real], strict=True)) <= after
        assert (np.diff(real.astype(int), axis=1) >= 0).all()  # padding on the left only
        assert len(batch.inputs) <= 3
        assert batch.inputs.shape[1] <= 5


def test_every_event_is_a_target_in_every_epoch() -> None:
    rng = np.random.default_rng(0)
    wanted = {item for history in HISTORIES for item in history[1:]}
    for _ in range(20):
        batches = training_batches(interactions_of(HISTORIES), 4, 5, rng)
        seen = Counter(int(item) for batch in batches for item in batch.targets[batch.targets >= 0])
        assert set(seen) == wanted
        assert max(seen.values()) <= 2


def test_little_data_still_makes_many_steps() -> None:
    rng = np.random.default_rng(0)
    many = list(training_batches(interactions_of([[1, 2]] * 320), 128, 50, rng))
    assert {len(batch.inputs) for batch in many} == {320 // 16}
    few = list(training_batches(interactions_of([[1, 2]] * 20), 128, 50, rng))
    assert [len(batch.inputs) for batch in few] == [8, 8, 4]


def test_windows_move_between_epochs() -> None:
    rng = np.random.default_rng(0)
    events = interactions_of([list(range(40))])
    epochs = {tuple(sorted(b.inputs[:, -1].tolist())) for _ in range(10) for b in training_batches(events, 64, 8, rng)}
    assert len(epochs) > 3


def test_nothing_to_learn_gives_no_batch() -> None:
    assert list(training_batches(interactions_of([[1], []]), 4, 5, np.random.default_rng(0))) == []


def test_last_windows_end_every_history_in_every_epoch() -> None:
    """Slow reference: the last five targets of each user and what came before each."""
    events = interactions_of(HISTORIES)
    expected = sorted((history[:-1][-5:], history[1:][-5:]) for history in HISTORIES if len(history) > 1)
    rng = np.random.default_rng(0)
    for _ in range(2):
        found = []
        for batch in training_batches(events, 2, 5, rng, windows="last"):
            for inputs, targets, length in zip(batch.inputs, batch.targets, batch.lengths, strict=True):
                found.append((inputs[len(inputs) - length :].tolist(), targets[len(targets) - length :].tolist()))
        assert sorted(found) == expected


def test_shares_of_a_batch_have_each_row_once() -> None:
    (batch,) = training_batches(interactions_of(HISTORIES), 64, 50, np.random.default_rng(0))
    assert len(batch.inputs) == 3
    shares = [batch.share(rank, 2) for rank in range(2)]
    assert [len(one.inputs) for one in shares] == [2, 1]
    assert sum(one.target_count for one in shares) == batch.target_count == 22 + 1 + 6
    rows = [*zip(*(shares[0].inputs.tolist(), shares[0].targets.tolist()), strict=True)]
    assert rows == [*zip(batch.inputs[::2].tolist(), batch.targets[::2].tolist(), strict=True)]
    assert len(batch.share(5, 9).inputs) == 0


def test_items_of_a_batch_are_those_of_inputs_and_targets() -> None:
    batch = Batch(np.array([[-1, 3, 1]]), np.array([[-1, 1, 7]]), np.array([2]))
    assert batch.items().tolist() == [1, 3, 7]


def test_rows_of_like_length_stand_together() -> None:
    rng = np.random.default_rng(0)
    histories = [list(range(rng.integers(2, 20))) for _ in range(50)]
    batches = list(training_batches(interactions_of(histories), 8, 30, np.random.default_rng(0), windows="last"))
    assert len(batches) > 3
    for batch in batches:
        assert (np.diff(batch.lengths) >= 0).all()
    # Which rows are in a batch is chance: a batch of the shortest alone would learn from them alone.
    assert all(batch.lengths[0] < batch.lengths[-1] for batch in batches if len(batch.lengths) == 8)

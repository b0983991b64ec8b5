import numpy as np

from model.data.dataset import Interactions, interactions_of
from model.data.splits import Holdout
from model.evaluation.ranking import holdout_ranks, rank_holdout, vector_scorer


def _identity(history: Interactions) -> np.ndarray:
    """Item i has score i, for everybody."""
    return np.tile(np.arange(5, dtype=np.float32), (len(history), 1))


HOLDOUT = Holdout(interactions_of([[4], [0, 1]]), np.array([2, 3]))


def test_seen_items_do_not_count() -> None:
    # User 0 has seen 4, so only 3 is before 2; user 1 has seen nothing above 3, so 4 is before it.
    assert holdout_ranks(HOLDOUT, _identity).tolist() == [2, 2]


def test_items_without_a_vector_do_not_count_and_are_last_as_targets() -> None:
    rankable = np.array([True, True, False, True, False])
    assert holdout_ranks(HOLDOUT, _identity, rankable).tolist() == [5, 1]


def test_users_are_ranked_alike_in_any_number() -> None:
    many = Holdout(interactions_of([[4], [0, 1]] * 300), np.array([2, 3] * 300))
    found = rank_holdout(many, _identity, k=2)
    assert found.ranks.tolist() == [2] * 600
    assert found.top.tolist() == [[3, 2], [4, 3]] * 300


def test_the_top_has_what_a_user_would_be_shown() -> None:
    rankable = np.array([True, True, False, True, True])
    found = rank_holdout(HOLDOUT, _identity, rankable, k=3)
    # User 0 has seen 4 and nobody can be shown 2; user 1 has seen 0 and 1, so that only two are left.
    assert found.top.tolist() == [[3, 1, 0], [4, 3, -1]]
    assert found.ranks.tolist() == holdout_ranks(HOLDOUT, _identity, rankable).tolist()


def test_a_target_that_was_seen_before_is_ranked_but_not_shown() -> None:
    again = Holdout(interactions_of([[4, 1]]), np.array([4]))
    found = rank_holdout(again, _identity, k=2)
    assert (found.ranks.tolist(), found.top.tolist()) == ([1], [[3, 2]])


def test_every_user_is_scored_once() -> None:
    asked: list[int] = []

    def score(history: Interactions) -> np.ndarray:
        asked.append(len(history))
        return _identity(history)

    rank_holdout(Holdout(interactions_of([[0]] * 600), np.array([1] * 600)), score)
    assert asked == [256, 256, 88]


def test_vector_scorer_reads_the_last_items() -> None:
    vectors = np.eye(3, dtype=np.float32)
    score = vector_scorer(vectors, lambda sequences, lengths: sequences.sum(axis=1) * lengths[:, None], max_length=2)
    assert score(interactions_of([[0, 1, 2]])).tolist() == [[0, 2, 2]]

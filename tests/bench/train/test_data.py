import numpy as np

from bench.train.data import ITEMS, USERS, movielens_like


def test_the_log_has_the_size_of_movielens() -> None:
    dataset = movielens_like(has_states=False)
    events = dataset.interactions
    assert (dataset.item_count, len(events)) == (ITEMS, USERS)
    assert 80_000 < len(events.items) < 110_000
    assert all(len(np.unique(events.of(user))) == len(events.of(user)) for user in range(20))
    popular = np.sort(np.bincount(events.items, minlength=ITEMS))[::-1]
    assert popular[:100].sum() > 0.2 * len(events.items)

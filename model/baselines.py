"""What a recommender must beat: most popular, first-order Markov and recency-weighted item-kNN, in numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.data.batch import last_events
from model.data.dataset import Interactions
from model.data.splits import Split
from model.evaluation.ranking import Scorer
from model.evaluation.report import judge

MAX_USERS = 2_000
HISTORY = 50
NEIGHBOURS = 200
RECENCY = 0.85

# item → (other items [k], weights [k])
Related = Callable[[int], tuple[NDArray[np.int64], NDArray[np.float32]]]


def evaluate(
    split: Split, item_count: int, rankable: NDArray[np.bool_] | None = None, *, max_users: int = MAX_USERS
) -> dict[str, dict[str, Any]]:
    """Returns the test metrics of the baselines by name, with slices, see `model.evaluation.report.judge`.

    Args:
        split: what to learn from and what to be asked about.
        item_count: n.
        rankable: bool [n], items that may be in the answer; None: all.
        max_users: the first of the held-out users, since a baseline may take longer than what it is compared with.
    """
    asked = split.test.first(max_users)
    allowed = np.ones(item_count, dtype=np.bool_) if rankable is None else rankable
    scorers = {
        "popular": popular(split.train, item_count),
        "markov": markov(split.train, item_count),
        "item_knn": item_knn(split.train, item_count),
    }
    return {name: judge(scorer, asked, split.train, allowed) for name, scorer in scorers.items()}


def popular(train: Interactions, item_count: int) -> Scorer:
    """Scores an item by its number of training events."""
    counts = np.bincount(train.items, minlength=item_count).astype(np.float32)
    return lambda history: np.broadcast_to(counts, (len(history), item_count))


def markov(train: Interactions, item_count: int) -> Scorer:
    """Scores an item by how often it came right after the user's last one, ties by popularity."""
    starts = np.ones(len(train.items), dtype=np.bool_)
    starts[train.offsets[1:-1][train.offsets[1:-1] < len(starts)]] = False
    before, after = train.items[:-1][starts[1:]], train.items[1:][starts[1:]]
    order = np.argsort(before, kind="stable")
    bounds = np.searchsorted(before[order], np.arange(item_count + 1))

    def followers(item: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        items, counts = np.unique(after[order[bounds[item] : bounds[item + 1]]], return_counts=True)
        return items.astype(np.int64), counts.astype(np.float32)

    return _related_scorer(followers, popular(train, item_count), history_length=1)


def item_knn(train: Interactions, item_count: int) -> Scorer:
    """Scores an item by its cosine similarity to the user's last ones, recent ones counting more."""
    users = train.users
    order = np.argsort(train.items, kind="stable")
    bounds = np.searchsorted(train.items[order], np.arange(item_count + 1))
    counts = np.bincount(train.items, minlength=item_count).astype(np.float32)

    def neighbours(item: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        fans = users[order[bounds[item] : bounds[item + 1]]]
        together = np.bincount(_events_of(train, fans), minlength=item_count)
        together[item] = 0
        found = np.flatnonzero(together)
        similar = (together[found] / np.sqrt(counts[found] * counts[item])).astype(np.float32)
        best = np.argsort(-similar, kind="stable")[:NEIGHBOURS]
        return found[best], similar[best]

    return _related_scorer(neighbours, popular(train, item_count), history_length=HISTORY)


def _events_of(train: Interactions, users: NDArray[np.int64]) -> NDArray[np.int32]:
    """Returns all items of some users, one after the other."""
    lengths = train.lengths[users]
    first = np.repeat(train.offsets[users] - (np.cumsum(lengths) - lengths), lengths)
    return train.items[first + np.arange(len(first))]


def _related_scorer(related: Related, fallback: Scorer, *, history_length: int) -> Scorer:
    """Sums what is related to each of the last items, weighted by recency; popularity only breaks ties."""
    known: dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]] = {}

    def score(history: Interactions) -> NDArray[np.float32]:
        scores = fallback(history) * np.float32(1e-9)
        items, _ = last_events(history, history_length)
        for item in np.unique(items[items >= 0]):
            if item not in known:
                known[item] = related(int(item))
            users, places = np.nonzero(items == item)
            weights = RECENCY ** (items.shape[1] - 1 - places)
            others, similar = known[item]
            scores[users[:, None], others[None, :]] += weights[:, None].astype(np.float32) * similar
        return scores

    return score

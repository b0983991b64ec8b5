"""What is learned from and what is asked about: the last events of every user, or what came after a moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.data.dataset import Interactions, TrainingDataError

MIN_EVENTS = 3
MIN_USERS = 2
TIME_SHARE = 0.1
"""The newest tenth of all events is the time of the test, the tenth before it that of the validation."""


@dataclass(frozen=True)
class Holdout:
    """Questions to a model: what comes after `history`?

    Attributes:
        history: events of u users that the model may read, and that are excluded from its answer.
        targets: int64 [u], the item that came next.
    """

    history: Interactions
    targets: NDArray[np.int64]

    def first(self, count: int) -> Holdout:
        """Returns the questions about the first `count` users at most."""
        return Holdout(self.history.part(0, min(count, len(self.targets))), self.targets[:count])


@dataclass(frozen=True)
class Split:
    """Training events of every user, and two holdouts over the users that can be asked about."""

    train: Interactions
    validation: Holdout
    test: Holdout


def leave_one_out(interactions: Interactions) -> Split:
    """Splits events by user: the last is the test, the one before it the validation.

    A user with fewer than three events only trains.

    Raises:
        TrainingDataError: when fewer than two users have three events.
    """
    held = np.flatnonzero(interactions.lengths >= MIN_EVENTS)
    if len(held) < MIN_USERS:
        raise TrainingDataError(
            f"needs at least {MIN_USERS} users with {MIN_EVENTS} or more events about known items, found {len(held)}"
        )
    from_end = np.repeat(interactions.offsets[1:], interactions.lengths) - np.arange(len(interactions.items))
    is_held = np.repeat(interactions.lengths >= MIN_EVENTS, interactions.lengths)
    ends = interactions.offsets[1:][held]
    return Split(
        train=interactions.keep(~is_held | (from_end > 2)),
        validation=_holdout(interactions, is_held & (from_end > 2), held, ends - 2),
        test=_holdout(interactions, is_held & (from_end > 1), held, ends - 1),
    )


def global_time(interactions: Interactions, *, share: float = TIME_SHARE) -> Split:
    """Splits events by two moments, the same for all users, so that nothing is learned from what comes later.

    The test cut has `share` of all events at or after it, and there are as many between the validation cut and the test
    cut (or a few more, when several events happened at the very moment of a cut). Trained on is what came strictly
    before the validation cut. A user is asked about after a cut who has events before it, which are the history, and
    after it, of which the first is the target; the validation asks about nothing that came after the test cut.

    Args:
        interactions: with times.
        share: of all events, in (0, 0.5).

    Raises:
        TrainingDataError: when times are missing, or fewer than two users can be asked about after either cut.
    """
    times = interactions.times
    if times is None:
        raise TrainingDataError("a split at global times needs the time of every event, but only their order is known")
    validation_cut, test_cut = _cuts(times, share)
    untested = times < test_cut
    split = Split(
        train=interactions.keep(times < validation_cut),
        validation=_first_after(interactions.keep(untested), times[untested] < validation_cut),
        test=_first_after(interactions, untested),
    )
    found = [len(split.validation.targets), len(split.test.targets)]
    if min(found) < MIN_USERS:
        raise TrainingDataError(
            f"a split at global times needs at least {MIN_USERS} users with events about known items on both sides of "
            f"each cut, found {found[0]} for the validation and {found[1]} for the test"
        )
    return split


SPLITS: dict[str, Callable[[Interactions], Split]] = {"leave_one_out": leave_one_out, "global_time": global_time}
"""The ways to split, by name."""


def _cuts(times: NDArray[np.int64], share: float) -> tuple[int, int]:
    """Returns the moments at which the validation and the test begin; for no events at all, any."""
    if not len(times):
        return 0, 0
    ordered = np.sort(times)
    held = max(round(share * len(times)), 1)
    test_cut = int(ordered[-held])
    earlier = ordered[: np.searchsorted(ordered, test_cut)]
    return int(earlier[-min(held, len(earlier))]) if len(earlier) else test_cut, test_cut


def _first_after(interactions: Interactions, before: NDArray[np.bool_]) -> Holdout:
    """Asks, of each user with events that are marked as `before` [events] and others, about the first other."""
    known = np.bincount(interactions.users[before], minlength=len(interactions))
    asked = np.flatnonzero((known > 0) & (known < interactions.lengths))
    kept = before & np.isin(interactions.users, asked)
    return _holdout(interactions, kept, asked, interactions.offsets[:-1][asked] + known[asked])


def _holdout(
    interactions: Interactions, kept: NDArray[np.bool_], users: NDArray[np.int64], targets: NDArray[np.int64]
) -> Holdout:
    lengths = np.bincount(interactions.users[kept], minlength=len(interactions))[users]
    history = Interactions(np.concatenate([[0], np.cumsum(lengths)]), interactions.items[kept])
    return Holdout(history, interactions.items[targets].astype(np.int64))

"""The leave-one-out split: the last item of a user is the test, the one before it the validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.data.dataset import Interactions, TrainingDataError

MIN_EVENTS = 3
MIN_USERS = 2


@dataclass(frozen=True)
class Holdout:
    """Questions to a model: what comes after `history`?

    Attributes:
        history: events of u users that the model may read, and that are excluded from its answer.
        targets: int64 [u], the item that came next.
    """

    history: Interactions
    targets: NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Training events of every user, and two holdouts over the users with at least three events."""

    train: Interactions
    validation: Holdout
    test: Holdout


def leave_one_out(interactions: Interactions) -> Split:
    """Splits events by user; a user with fewer than three events only trains.

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


def _holdout(
    interactions: Interactions, kept: NDArray[np.bool_], users: NDArray[np.int64], targets: NDArray[np.int64]
) -> Holdout:
    lengths = np.bincount(interactions.users[kept], minlength=len(interactions))[users]
    history = Interactions(np.concatenate([[0], np.cumsum(lengths)]), interactions.items[kept])
    return Holdout(history, interactions.items[targets].astype(np.int64))

"""Successes an answer under another version, estimated from answers of the one that served."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.experiments.ratio import Moments
from app.experiments.statistics import Interval
from app.off_policy.reward_model import predict_rewards
from app.off_policy.slates import Floats, Slate


@dataclass(frozen=True)
class Estimate:
    """A mean over answers with its 95% interval, users being independent of each other; None below two users."""

    value: float
    interval: Interval | None

    @property
    def excludes_zero(self) -> bool:
        """Whether chance alone is unlikely to have made it."""
        return self.interval is not None and not self.interval.low <= 0 <= self.interval.high


@dataclass(frozen=True)
class Estimated:
    """The candidate's value by one estimator, and how far it is from the value of what served."""

    candidate: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Estimates:
    """Everything that recorded answers say of a candidate.

    Attributes:
        served: what the answers earned: successes an answer.
        ips: inverse propensity scoring.
        snips: self-normalised, place by place.
        dr: doubly robust.
        effective_size: so many answers without weights would say as much (Kish 1965).
        unsupported: probability that the candidate shows what could not have been shown, mean over places.
        largest_weight: of any place.
    """

    served: Estimate
    ips: Estimated
    snips: Estimated
    dr: Estimated
    effective_size: float
    unsupported: float
    largest_weight: float


def estimate(slates: Sequence[Slate]) -> Estimates:
    """All estimators on at least one slate.

    IPS: sum over places of w r (Li et al. 2018, item-position model). SNIPS (Swaminathan and Joachims 2015) divides the
    sum of w r of each place by the sum of w there; its error is linearised. DR (Dudik, Langford and Li 2011) adds
    w (r - q) to the reward that a model q expects of the candidate's list: right if either w or q is.
    """
    units = np.unique([slate.unit for slate in slates], return_inverse=True)[1]
    weights, rewards, there = (_padded(parts) for parts in _columns(slates))
    served = rewards.sum(1)
    ips = (weights * rewards).sum(1)
    shown, expected = predict_rewards(slates)
    dr = expected + (weights * (rewards - _padded(shown))).sum(1)
    return Estimates(
        served=mean_by_unit(served, units),
        ips=_against(ips, served, units),
        snips=_against(_self_normalised(weights, rewards, there), served, units),
        dr=_against(dr, served, units),
        effective_size=_effective_size(weights, there),
        unsupported=float(np.mean([slate.unsupported for slate in slates])),
        largest_weight=float(weights.max()),
    )


def _columns(slates: Sequence[Slate]) -> tuple[list[Floats], list[Floats], list[Floats]]:
    weights = [slate.weights for slate in slates]
    return weights, [slate.rewards for slate in slates], [np.ones(len(weight)) for weight in weights]


def _padded(rows: Sequence[Floats]) -> Floats:
    """Rows of different lengths [n, longest], 0 beyond their end."""
    padded = np.zeros((len(rows), max(map(len, rows))))
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded


def _self_normalised(weights: Floats, rewards: Floats, there: Floats) -> Floats:
    """Values [n] whose mean is the estimate, and whose spread is its first-order influence."""
    total = weights.sum(0)
    inverse = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    rate = (weights * rewards).sum(0) * inverse
    influence = weights * (rewards - rate) * inverse * there.sum(0)
    values: Floats = (there * rate + influence).sum(1)
    return values


def _effective_size(weights: Floats, there: Floats) -> float:
    """Of all places together, in answers."""
    squares = float((weights**2).sum())
    places = there.sum() / len(there)
    return float(weights.sum() ** 2 / squares / places) if squares > 0 else 0.0


def _against(values: Floats, served: Floats, units: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> Estimated:
    return Estimated(mean_by_unit(values, units), mean_by_unit(values - served, units))


def mean_by_unit(values: Floats, units: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> Estimate:
    """Mean over answers, with the error over units (delta method)."""
    x, y = np.bincount(units).astype(float), np.bincount(units, values)
    moments = Moments(len(x), float(x.sum()), float(y.sum()), float(x @ x), float(x @ y), float(y @ y))
    error = moments.error
    value = moments.y / moments.x
    return Estimate(value, Interval.around(value, error) if error is not None else None)

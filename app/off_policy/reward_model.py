"""A simple model of success by item and place, fitted on other users than those that it is asked about."""

import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from app.off_policy.slates import Floats, Slate

FOLDS = 5
RIDGE = 1.0
STEPS = 25
TOLERANCE = 1e-8
PLACE_FEATURES = 2


class LogisticModel:
    """Logistic regression with a ridge on all but the intercept, by Newton's method.

    Args:
        x: features [n, f].
        y: 0 or 1 [n].
    """

    def __init__(self, x: Floats, y: Floats) -> None:
        self._mean, spread = x.mean(0), x.std(0)
        self._scale = np.where(spread > 0, spread, 1.0)
        self.coefficients = self._fit(self._design(x), y)

    def _design(self, x: Floats) -> Floats:
        return np.column_stack([np.ones(len(x)), (x - self._mean) / self._scale])

    def _fit(self, design: Floats, y: Floats) -> Floats:
        penalty = np.full(design.shape[1], RIDGE)
        # A little on the intercept too: with no success at all it would run away.
        penalty[0] = 1e-3
        beta = np.zeros(design.shape[1])
        for _ in range(STEPS):
            expected = _sigmoid(design @ beta)
            gradient = design.T @ (y - expected) - penalty * beta
            hessian = (design * (expected * (1 - expected))[:, None]).T @ design + np.diag(penalty)
            step = np.linalg.solve(hessian, gradient)
            beta += step
            if np.abs(step).max() < TOLERANCE:
                break
        return beta

    def linear(self, x: Floats) -> Floats:
        """Log odds of rows [n, f], or the part of the first columns when given fewer."""
        known = x.shape[-1]
        scaled = (x - self._mean[:known]) / self._scale[:known]
        odds: Floats = scaled @ self.coefficients[1 : known + 1]
        return odds

    def place_part(self, places: Floats) -> Floats:
        """Log odds that come from the last columns and the intercept [n]."""
        known = places.shape[-1]
        scaled = (places - self._mean[-known:]) / self._scale[-known:]
        odds: Floats = self.coefficients[0] + scaled @ self.coefficients[-known:]
        return odds


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(x / 2))


@lru_cache(maxsize=64)
def place_features(count: int) -> Floats:
    """Of the first `count` places [count, PLACE_FEATURES]: the logarithm and the reciprocal."""
    places = np.arange(1, count + 1, dtype=float)
    return np.stack([np.log(places), 1 / places], axis=1)


def predict_rewards(slates: Sequence[Slate]) -> tuple[list[Floats], Floats]:
    """Cross-fitted predictions (Chernozhukov et al. 2018): each user's by a model that has not seen that user.

    Returns:
        Predicted rewards of the shown items [k] by slate, and the expected rewards of the candidate's lists [n].
    """
    folds = np.array([zlib.crc32(slate.unit.encode("utf-8", "surrogatepass")) % FOLDS for slate in slates])
    shown: list[Floats] = [np.zeros(0)] * len(slates)
    expected = np.zeros(len(slates))
    for fold in range(FOLDS):
        held_out = np.flatnonzero(folds == fold).tolist()
        training = [slate for slate, own in zip(slates, folds, strict=True) if own != fold]
        if not held_out:
            continue
        model = _fit(training)
        for index in held_out:
            shown[index], expected[index] = _predict(model, slates[index])
    return shown, expected


def _fit(slates: Sequence[Slate]) -> LogisticModel | None:
    """None without other users: then nothing is predicted, and the estimate rests on the weights alone."""
    if not slates:
        return None
    rows = [np.column_stack([slate.shown, place_features(len(slate.rewards))]) for slate in slates]
    return LogisticModel(np.concatenate(rows), np.concatenate([slate.rewards for slate in slates]))


def _predict(model: LogisticModel | None, slate: Slate) -> tuple[Floats, float]:
    if model is None:
        return np.zeros(len(slate.rewards)), 0.0
    by_place = model.place_part(place_features(max(len(slate.rewards), len(slate.target))))
    shown = _sigmoid(model.linear(slate.shown) + by_place[: len(slate.rewards)])
    choices = _sigmoid(model.linear(slate.choices)[None, :] + by_place[: len(slate.target), None])
    return shown, float((slate.target * choices).sum())

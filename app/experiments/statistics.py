"""The few distributions and intervals that experiments need, in closed forms: SciPy is not part of the API."""

import math
from dataclasses import dataclass

import numpy as np

from app.impressions.intervals import Z_95, wilson_bounds


@dataclass(frozen=True)
class Interval:
    """A confidence interval at 95 %."""

    low: float
    high: float

    @classmethod
    def around(cls, value: float, error: float) -> "Interval":
        """The normal interval of an estimate with this standard error."""
        return cls(value - Z_95 * error, value + Z_95 * error)


def normal_p_value(z: float) -> float:
    """Two-sided: probability of a standard normal at least as far from 0."""
    return math.erfc(abs(z) / math.sqrt(2))


def chi_square_p_value(statistic: float, degrees: int) -> float:
    """Upper tail of the chi-square distribution, by its finite series for whole degrees of freedom.

    Abramowitz and Stegun 1964, 26.4.4 and 26.4.5: Q(x | k) = Q(x | k - 2) + (x/2)^(k/2 - 1) e^(-x/2) / Gamma(k/2).
    """
    half = statistic / 2
    if half <= 0:
        return 1.0
    tail = math.erfc(math.sqrt(half)) if degrees % 2 else 0.0
    for k in range(2 - degrees % 2, degrees + 1, 2):
        if k > 1:
            tail += math.exp((k / 2 - 1) * math.log(half) - half - math.lgamma(k / 2))
    return min(tail, 1.0)


def sign_test_p_value(wins: int, losses: int) -> float:
    """Two-sided exact sign test: probability of a split at least as uneven as this one by a fair coin."""
    n, least = wins + losses, min(wins, losses)
    if n == 0 or wins == losses:
        return 1.0
    i = np.arange(least)
    log_mass = np.concatenate(([0.0], np.cumsum(np.log(n - i) - np.log(i + 1.0)))) - n * math.log(2)
    return min(1.0, 2 * float(np.exp(log_mass).sum()))


def wilson(share: float, n: float) -> Interval:
    """Wilson's (1927) score interval of a share of `n` independent units; `n` may be an effective number.

    It stays inside [0, 1] and is not of width 0 where nothing has happened yet.
    """
    if n <= 0:
        return Interval(0.0, 1.0)
    return Interval(*wilson_bounds(share, n))

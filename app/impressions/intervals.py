"""Rates with what their numbers leave open."""

import math
from dataclasses import dataclass

Z_95 = 1.959963984540054
"""Of the standard normal distribution, 95 % lie within this many standard deviations."""


@dataclass(frozen=True)
class Rate:
    """A share of successes and its 95 % confidence interval; all None where nothing was tried."""

    value: float | None
    low: float | None
    high: float | None


NOTHING_TRIED = Rate(None, None, None)


def wilson(successes: int, trials: int) -> Rate:
    """The score interval of a binomial share (Wilson, 1927): sound for few trials and for shares near 0 and 1."""
    if trials == 0:
        return NOTHING_TRIED
    share = successes / trials
    return Rate(share, *wilson_bounds(share, trials))


def wilson_bounds(share: float, trials: float) -> tuple[float, float]:
    """Ends of that interval for a share of any number of trials above 0, an effective number included."""
    spread = Z_95**2 / trials
    centre = share + spread / 2
    half = Z_95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    # At shares of 0 and 1 an end is the share itself, but for rounding.
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    return min(share, max(0.0, low)), max(share, min(1.0, high))

"""Ratio metrics whose events come in clusters: a user's answers are not independent of each other."""

import math
from dataclasses import dataclass

from app.experiments.statistics import Interval, normal_p_value, wilson
from app.impressions.intervals import Z_95


@dataclass(frozen=True)
class Moments:
    """Sums over the units of an arm, of x (what could have succeeded) and y (what did)."""

    units: int
    x: float
    y: float
    xx: float
    xy: float
    yy: float

    @classmethod
    def of_shares(cls, units: int, succeeded: int) -> "Moments":
        """Each unit succeeds or does not."""
        return cls(units, units, succeeded, units, succeeded, succeeded)

    @property
    def ratio(self) -> float | None:
        """Sum of y over sum of x; None if there is no x."""
        return self.y / self.x if self.x > 0 else None

    @property
    def error(self) -> float | None:
        """Standard error of the ratio by the delta method over units; None below two units.

        Deng, Knoblich and Lu 2018, equation 5: var(R) = var(y - R x) / (n mean(x)^2), with y - R x of mean 0.
        """
        ratio = self.ratio
        if ratio is None or self.units < 2:
            return None
        squares = max(0.0, self.yy - 2 * ratio * self.xy + ratio * ratio * self.xx)
        return math.sqrt(squares * self.units / (self.units - 1)) / self.x

    def interval(self) -> Interval:
        """Wilson's interval for as many independent trials as would have had this standard error.

        Without any success or any failure the error says nothing, and each unit counts as one trial.
        """
        ratio, error = self.ratio, self.error
        if ratio is None:
            return Interval(0.0, 1.0)
        trials = ratio * (1 - ratio) / error**2 if error else 0.0
        return wilson(ratio, trials or float(self.units))

    @property
    def spread(self) -> float | None:
        """The standard error; where nothing has varied yet, what the interval's width says of it."""
        if self.error is None or self.error > 0:
            return self.error
        interval = self.interval()
        return (interval.high - interval.low) / (2 * Z_95)


@dataclass(frozen=True)
class Difference:
    """How far an arm is from the first one: in the metric's own unit, and as a share of the first arm's value."""

    value: float
    interval: Interval
    p_value: float
    relative: float | None


def compare(arm: Moments, first: Moments) -> Difference | None:
    """Difference of two arms with independent units; None while there are too few of them to say anything."""
    value, base, spreads = arm.ratio, first.ratio, (arm.spread, first.spread)
    if value is None or base is None or spreads[0] is None or spreads[1] is None:
        return None
    difference, error = value - base, math.hypot(spreads[0], spreads[1])
    interval, p_value = Interval.around(difference, error), normal_p_value(difference / error)
    return Difference(difference, interval, p_value, relative=difference / base if base else None)

"""Compares a figure with its floor, measured in the same run: interleaved, medians, with the spread."""

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIN_RUNS = 3
RUNS = 5


class Skipped(Exception):
    """A group, or the rest of it, can't be measured here; the message says what is missing."""


@dataclass(frozen=True)
class Options:
    """How a group is measured.

    Attributes:
        quick: fewer runs and smaller inputs: the whole group in less than 50 seconds.
        runs: interleaved pairs of a figure and its floor.
        only: names of figures; empty for all of a group.
        by_cpu: compare by processor time where a group can, for a machine that others use too.
        profile: also say where the time goes, where a group can.
        cache_dir: for what is slow to make and is kept for later runs.
        encoders: folder of models beside the repository; None where there are none.
        media: folder of a catalogue's media beside the repository; None for those of the demo.
    """

    quick: bool = False
    runs: int = RUNS
    only: frozenset[str] = frozenset()
    by_cpu: bool = False
    profile: bool = False
    cache_dir: Path = Path(tempfile.gettempdir()) / "crossan-bench"
    encoders: Path | None = None
    media: Path | None = None

    def wants(self, *names: str) -> bool:
        """Whether any of these figures is asked for."""
        return not self.only or not self.only.isdisjoint(names)


@dataclass(frozen=True)
class Figure:
    """One figure as a multiple of its floor.

    Attributes:
        ratio: median over the runs of figure / floor; which way is better says the table of targets.
        spread: distance of the quartiles of these ratios.
        floor: median of the floor itself, in the unit that the figure's entry in the table names.
        runs: interleaved pairs.
    """

    ratio: float
    spread: float
    floor: float
    runs: int


def compare(figure: Callable[[], float], floor: Callable[[], float], *, runs: int) -> Figure:
    """Measure both in turn, each first in every other pair, so that neither has the better moments."""
    pairs = [_pair(figure, floor, number) for number in range(max(runs, MIN_RUNS))]
    return figure_of(pairs)


def figure_of(pairs: list[tuple[float, float]]) -> Figure:
    """What pairs of figure and floor, each measured side by side, come to."""
    ratios = [value / base for value, base in pairs]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Figure(statistics.median(ratios), high - low, statistics.median(base for _, base in pairs), len(pairs))


def _pair(figure: Callable[[], float], floor: Callable[[], float], number: int) -> tuple[float, float]:
    if number % 2:
        base = floor()
        return figure(), base
    return figure(), floor()

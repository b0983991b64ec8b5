"""Which arm of which experiment a user or a session belongs to: a pure function of their id."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

ROUNDING = 1e-9
"""Shares written as decimals add up to 1 only to within this."""


@dataclass(frozen=True)
class Arm:
    """One of the alternatives.

    Attributes:
        name: of the arm, unique in its experiment.
        share: of the units, in (0, 1].
        version: name of the version that ranks; None for the live one.
        scenario: name of the scenario that the request takes its settings from; None for the request's own.
    """

    name: str
    share: float
    version: str | None
    scenario: str | None


@dataclass(frozen=True)
class RunningExperiment:
    """An experiment that units are assigned to; with `interleaved` its two arms share every answer."""

    id: int
    name: str
    salt: str
    arms: tuple[Arm, ...]
    interleaved: bool

    @cached_property
    def _contenders(self) -> tuple[tuple[Arm | None, float, "hashlib.blake2b"], ...]:
        """The arms, and None for what is outside of them, with their shares and the beginnings of their hashes."""
        named = [(arm, arm.share, "=" + arm.name) for arm in self.arms]
        outside = 1.0 - math.fsum(arm.share for arm in self.arms)
        everyone = [*named, (None, outside, "outside")] if outside > ROUNDING else named
        return tuple((arm, share, _hash(self.salt, name, "")) for arm, share, name in everyone)

    def pick_arm(self, unit: str) -> Arm | None:
        """The arm that draws the unit, None outside of the shares.

        Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker 2005): arm
        i, and what is outside of all arms, waits for the unit an exponential time of rate share_i, and the first to
        come takes it: with probability share_i. A time depends on its own arm only, so a unit moves only to an arm
        whose share grew against the one that it leaves: while an experiment is widened nobody changes from one arm to
        another.
        """
        encoded = unit.encode("utf-8", "surrogatepass")
        return min(self._contenders, key=lambda one: -math.log(_uniform(one[2], encoded)) / one[1])[0]


@dataclass(frozen=True)
class Assignment:
    """Where a unit belongs; `arm` is None in an interleaving, where both arms contribute to the answer."""

    experiment: RunningExperiment
    arm: Arm | None


def assign(experiments: Iterable[RunningExperiment], unit: str) -> Assignment | None:
    """The first experiment, in the order given, whose shares contain the unit; None outside of all.

    Args:
        experiments: those that run, by id.
        unit: the user's id, or the key of a session without a user.
    """
    for experiment in experiments:
        arm = experiment.pick_arm(unit)
        if arm is not None:
            return Assignment(experiment, None if experiment.interleaved else arm)
    return None


def _hash(*parts: str) -> "hashlib.blake2b":
    return hashlib.blake2b("\x00".join(parts).encode("utf-8", "surrogatepass"), digest_size=8)


def _uniform(beginning: "hashlib.blake2b", unit: bytes) -> float:
    """A number in (0, 1] that is the same for the same unit and looks drawn at random: 64 bits of BLAKE2b."""
    hashed = beginning.copy()
    hashed.update(unit)
    return (int.from_bytes(hashed.digest(), "big") + 1) / 2**64


def uniform(*parts: str) -> float:
    """The number in (0, 1] that belongs to these parts."""
    return _uniform(_hash(*parts), b"")

"""Which processor core does what: the server has one to itself, everything else has the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Cores:
    """Numbers of cores: of the server, and of the load and the stores. On a machine with one they are the same."""

    server: frozenset[int]
    others: frozenset[int]


def divide() -> Cores:
    """One core for the server, the rest for all others."""
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores(frozenset({first}), frozenset(others or [first]))


@contextmanager
def running_on(cores: frozenset[int]) -> Iterator[None]:
    """This thread runs on these cores, and so does for good whatever process it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

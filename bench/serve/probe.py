"""One server under load again and again: its rates, latencies and processor time, and whether its answers are right."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.serve.load import Load, LoadFailed, Measured, put_load
from bench.serve.server import Server

log = logging.getLogger(__name__)
SAMPLE = 10
"""Answers that are looked at after each run."""
ANSWER_ITEMS = 10


def is_personal(answer: dict[str, Any]) -> bool:
    """Whether it has ten items for this user, best first."""
    scores = [item["score"] for item in answer["items"]]
    return bool(answer["personalised"]) and len(scores) == ANSWER_ITEMS and scores == sorted(scores, reverse=True)


@dataclass
class Probe:
    """Loads a server once a call.

    Attributes:
        name: in the log.
        server: what is loaded.
        load: what it is asked.
        folder: for the generator's files.
        is_right: tells whether an answer is.
        by_cpu: whether a call gives requests a second of processor time, instead of the clock's.
        measured: of every call so far.
    """

    name: str
    server: Server
    load: Load
    folder: Path
    is_right: Callable[[Any], bool] = is_personal
    by_cpu: bool = False
    measured: list[Measured] = field(default_factory=list)

    def rate_per_s(self) -> float:
        """Load it once: requests a second."""
        before = _cpu_s(self.server.pid)
        found = put_load(self.server.url, self.load, self.folder)
        cpu_s = (_cpu_s(self.server.pid) - before) / found.requests
        self.look_at(max(len(self.load.requests) // SAMPLE, 1))
        self.measured.append(found)
        log.info(
            "%s: %.0f requests/s, p50 %.2f ms, p99 %.2f ms, %.0f us of processor a request",
            *(self.name, found.rate_per_s, found.p50_ms, found.p99_ms, cpu_s * 1e6),
        )
        return 1 / cpu_s if self.by_cpu else found.rate_per_s

    def request_us(self) -> float:
        """Load it once: microseconds a request."""
        return 1e6 / self.rate_per_s()

    def warm_up(self) -> None:
        """Ask for every user at least once, so that states are in Redis and nothing is slow the first time."""
        self.look_at(1)
        put_load(self.server.url, replace(self.load, duration_s=1.0), self.folder)

    def look_at(self, step: int) -> None:
        """Ask for every `step`-th request and look at the answer.

        Raises:
            LoadFailed: It is not right.
        """
        with httpx.Client(base_url=self.server.url, headers=dict(self.load.headers), timeout=30.0) as client:
            for one in self.load.requests[::step]:
                answer = client.post(one.path, content=one.body) if one.body else client.get(one.path)
                if answer.status_code != httpx.codes.OK or not self.is_right(answer.json()):
                    raise LoadFailed(f"{answer.url} answers {answer.status_code}: {answer.text}")


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)

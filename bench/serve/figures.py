"""What `/recommend` gives against a bare route in one run: both servers on one core, loaded in turn from the rest."""

import logging
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace

from bench.measuring import Figure, Options, compare, figure_of
from bench.serve.cores import divide, running_on
from bench.serve.load import put_load
from bench.serve.side_by_side import PRODUCT, SideBySide
from bench.serve.world import WorldSpec, running_world

log = logging.getLogger(__name__)
SMALL, LARGE = WorldSpec(items=1_700), WorldSpec(items=100_000)
WORLDS = "worlds"
NO_USER_CACHE = {"CROSSAN_USER_CACHE": "0"}
FREE, FREE_ANEW = ("bench.serve.free",), ("bench.serve.free", "anew")
PROFILED = "bench.serve.profiled"
PROFILE_S = 4.0


def measure(options: Options) -> Iterator[tuple[str, Figure]]:
    """The figures of the group; floors are bare requests a second, for `tail` ms, for `framework` microseconds."""
    cores = divide()
    with running_on(cores.others):
        if options.wants("recommend_cold", "recommend_cached", "tail", "framework", "framework_anew"):
            with running_world(SMALL, options.cache_dir / WORLDS) as world:
                yield from of_world(SideBySide(world, cores, options))
        if options.wants("recommend_100k"):
            with running_world(LARGE, options.cache_dir / WORLDS) as world:
                yield "recommend_100k", rate(SideBySide(world, cores, options), NO_USER_CACHE)[0]


def of_world(bench: SideBySide) -> Iterator[tuple[str, Figure]]:
    """The figures of the smaller world."""
    wants = bench.options.wants
    if wants("recommend_cold", "tail"):
        cold, tail = rate(bench, NO_USER_CACHE)
        yield "recommend_cold", cold
        yield "tail", tail
    if wants("recommend_cached"):
        yield "recommend_cached", rate(bench, {})[0]
    if wants("framework"):
        yield "framework", framework(bench, FREE)
    if wants("framework_anew"):
        yield "framework_anew", framework(bench, FREE_ANEW)


def rate(bench: SideBySide, environment: Mapping[str, str]) -> tuple[Figure, Figure]:
    """Our requests a second against the floor's, and the 99th percentile of our latencies against the 50th."""
    with bench.ours(PRODUCT, environment) as ours, bench.with_bare(ours) as bare:
        found = compare(ours.rate_per_s, bare.rate_per_s, runs=bench.runs)
    if bench.options.profile:
        _profile(bench, environment)
    return found, figure_of([(one.p99_ms, one.p50_ms) for one in ours.measured])


def framework(bench: SideBySide, module: tuple[str, ...]) -> Figure:
    """Time a request of all that is not Redis, user encoder and search, against the bare route's."""
    with bench.ours(module, {}) as ours, bench.with_bare(ours) as bare:
        return compare(ours.request_us, bare.request_us, runs=bench.runs)


def _profile(bench: SideBySide, environment: Mapping[str, str]) -> None:
    """Tell in the log where the product's time goes under the same load."""
    report = bench.folder / "profile.txt"
    report.unlink(missing_ok=True)
    with bench.ours((PROFILED, str(report)), environment) as ours:
        os.kill(ours.server.pid, signal.SIGUSR1)
        put_load(ours.server.url, replace(ours.load, duration_s=PROFILE_S), bench.folder)
        os.kill(ours.server.pid, signal.SIGUSR1)
    log.info("%s", report.read_text())

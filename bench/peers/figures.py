"""How we compare with LibRecommender's serving, implicit and RecTools: each that can be installed, in the same run."""

import logging
from collections.abc import Iterator, Mapping

from bench.measuring import Figure, Options, Skipped, compare
from bench.peers.environments import IMPLICIT, RECTOOLS, Peer
from bench.peers.in_process import Ours, running_child
from bench.peers.libserving import running_peer
from bench.serve.cores import divide, running_on
from bench.serve.figures import NO_USER_CACHE, SMALL, WORLDS
from bench.serve.side_by_side import PRODUCT, SideBySide
from bench.serve.world import World, running_world

log = logging.getLogger(__name__)
SERVED: dict[str, tuple[Mapping[str, str], str]] = {
    "libserving": ({}, "knn"),
    "libserving_cold": (NO_USER_CACHE, "knn"),
    "libserving_embed": ({}, "embed"),
}
"""What ours is told, and what the peer serves."""
IN_PROCESS = {"implicit_recommend": IMPLICIT, "rectools_recommend": RECTOOLS}


def measure(options: Options) -> Iterator[tuple[str, Figure]]:
    """Ratios of requests a second (`libserving…`) or of microseconds a call; a peer that is missing is passed over."""
    cores = divide()
    with running_on(cores.others), running_world(SMALL, options.cache_dir / WORLDS) as world:
        bench = SideBySide(world, cores, options)
        for name in (*SERVED, *IN_PROCESS):
            if options.wants(name):
                try:
                    yield name, _of(name, bench)
                except Skipped as missing:
                    log.warning("%s skipped: %s", name, missing)


def _of(name: str, bench: SideBySide) -> Figure:
    if name in SERVED:
        return _serving(bench, *SERVED[name])
    return _call(bench, bench.world, IN_PROCESS[name])


def _serving(bench: SideBySide, told: Mapping[str, str], kind: str) -> Figure:
    """Our requests a second over its own, on the same core."""
    with bench.ours(PRODUCT, told) as ours, running_peer(bench, kind) as theirs:
        return compare(ours.rate_per_s, theirs.rate_per_s, runs=bench.runs)


def _call(bench: SideBySide, world: World, peer: Peer) -> Figure:
    ours = Ours(world)
    with running_child(peer, world, bench.options.cache_dir) as theirs:
        return compare(ours.call_us, theirs.call_us, runs=bench.runs)

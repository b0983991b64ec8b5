"""Ours and a peer's top-10 of one user, each in its own process without a server; microseconds a call."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.core.types import VersionId
from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.options import RankingOptions
from app.recommendations.ranking import rank
from app.recommendations.served import PublishedVersion, load_version
from app.recommendations.vectors import VectorUpdate
from app.recommendations.view import View
from app.stores.sequence_state import SequenceEvent, SequenceState
from bench.peers.environments import Peer, python_of
from bench.serve.synthetic import draw_histories, draw_vectors, item_id
from bench.serve.world import World

CHILDREN = Path(__file__).parent / "children"
CALLS = 200


@dataclass
class PeerProcess:
    """A peer's model in a process that times itself when it is told to."""

    process: "subprocess.Popen[str]"

    def call_us(self) -> float:
        """Of one call."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


@contextmanager
def running_child(peer: Peer, world: World, cache_dir: Path) -> Iterator[PeerProcess]:
    """Fit the peer's model on the world's events.

    Raises:
        Skipped: It can't be installed.
    """
    python, spec = python_of(peer, cache_dir), world.spec
    histories = world.settings.data_dir / "histories.npy"
    np.save(histories, draw_histories(spec.users, spec.items, spec.history))
    command = [str(python), str(CHILDREN / f"{peer.name}_child.py"), str(histories), str(spec.width)]
    log = (world.settings.data_dir / "peer.log").open("w")
    with (
        log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
        ) as process,
    ):
        child = PeerProcess(process)
        child.call_us()
        yield child


class Ours:
    """A ranking as the service makes it: user encoder, exact search, seen items left out.

    Args:
        world: whose version and items are taken.
    """

    def __init__(self, world: World) -> None:
        spec = world.spec
        (folder,) = world.settings.artifacts_dir.glob("*/v1")
        version = load_version(PublishedVersion(VersionId(1), "v1", ""), folder)
        catalogue = Catalogue()
        catalogue.apply(ItemUpdate(number, item_id(number)) for number in range(spec.items))
        vectors = draw_vectors(spec.items, spec.width)
        updates = [VectorUpdate(item_id(number), vector, None) for number, vector in enumerate(vectors)]
        version.vectors.apply(updates, catalogue.row_of)
        self._view = View(catalogue, version)
        histories = draw_histories(spec.users, spec.items, spec.history).tolist()
        self._histories = [
            SequenceState.of(SequenceEvent(n, item_id(item), n, "view") for n, item in enumerate(history))
            for history in histories
        ]

    def call_us(self) -> float:
        """Of one call."""
        start, options = time.perf_counter(), RankingOptions()
        for number in range(CALLS):
            rank(self._view, self._histories[number % len(self._histories)], options, now=start, seed=0)
        return (time.perf_counter() - start) / CALLS * 1e6

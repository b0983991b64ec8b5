"""Servers of one world side by side on one core, loaded in turn from the others."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import httpx

from bench.measuring import Options
from bench.serve.cores import Cores
from bench.serve.load import Asked, Load
from bench.serve.probe import Probe
from bench.serve.server import Place, running_module
from bench.serve.world import World

PRODUCT = ("app.cli.serve",)
BARE = "bench.serve.bare"
RUN_S, QUICK_RUN_S = 2.0, 1.0
QUICK_RUNS = 3


class SideBySide:
    """Starts servers of one world, and the bare route beside them.

    Args:
        world: what is served.
        cores: of the servers and of the rest.
        options: of the run.
    """

    def __init__(self, world: World, cores: Cores, options: Options) -> None:
        self.options = options
        self.world = world
        self.folder = world.settings.data_dir / "bench"
        self.folder.mkdir(exist_ok=True)
        self._cores = cores

    @property
    def runs(self) -> int:
        """Interleaved pairs of loads."""
        return min(self.options.runs, QUICK_RUNS) if self.options.quick else self.options.runs

    @property
    def run_s(self) -> float:
        """Of one load."""
        return QUICK_RUN_S if self.options.quick else RUN_S

    def place(self, environment: Mapping[str, str]) -> Place:
        """Where a server runs, with these variables."""
        return Place(self._cores.server, self.folder / "server.log", environment)

    @contextmanager
    def ours(
        self, module: Sequence[str], environment: Mapping[str, str], *, users: Sequence[str] = ()
    ) -> Iterator[Probe]:
        """A warm API process of the world, asked for each user in turn, or for these."""
        place = self.place({**self.world.environment, **environment})
        load = Load(
            requests=[Asked(f"/recommend/{user}") for user in users or self.world.users],
            headers={"Authorization": f"Bearer {self.world.key}"},
            duration_s=self.run_s,
        )
        with running_module(module, place, ready="/health/ready") as server:
            probe = Probe(module[0], server, load, self.folder, by_cpu=self.options.by_cpu)
            probe.warm_up()
            yield probe

    @contextmanager
    def with_bare(self, ours: Probe) -> Iterator[Probe]:
        """The floor: a bare route that gives the bytes of an answer of ours to the same requests; warm."""
        path, answer = ours.load.requests[0].path, self.folder / "answer.json"
        answer.write_bytes(httpx.get(ours.server.url + path, headers=dict(ours.load.headers)).content)
        with running_module((BARE, str(answer)), self.place({}), ready=path) as server:
            probe = Probe(BARE, server, ours.load, self.folder, by_cpu=self.options.by_cpu)
            probe.look_at(1)
            yield probe

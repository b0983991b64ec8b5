"""LibRecommender's serving as its guide starts it: one Sanic process, its model in Redis, written as its own code does.

Two of its models: `knn` (ItemCF, with its default of 20 neighbours an item), which works from what the user did, as we
do; and `embed`, which finds the nearest items to a vector of the user that was made in training.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from redis import Redis

from app.cli.listening import bind
from bench.peers.environments import LIBSERVING, python_of
from bench.serve.load import Asked, Load
from bench.serve.probe import ANSWER_ITEMS, Probe
from bench.serve.server import running_command
from bench.serve.side_by_side import SideBySide
from bench.serve.synthetic import draw_histories, draw_vectors, item_id, user_id

DATABASE = 1
"""Of Redis: 0 is ours."""
NEIGHBOURS = 20
KINDS = ("knn", "embed")
INDEX = Path(__file__).parent / "children" / "faiss_index.py"


@dataclass(frozen=True)
class Served:
    """What the peer serves: histories [users, s] as rows of items, and vectors of items [n, d]."""

    histories: NDArray[np.int64]
    vectors: NDArray[np.float32]


@contextmanager
def running_peer(bench: SideBySide, kind: str) -> Iterator[Probe]:
    """Serve the users and items of the bench's world with a model of one of `KINDS`; warm.

    Raises:
        Skipped: It can't be installed.
    """
    python = python_of(LIBSERVING, bench.options.cache_dir)
    spec = bench.world.spec
    served = Served(draw_histories(spec.users, spec.items, spec.history), draw_vectors(spec.items, spec.width))
    url = f"{str(bench.world.settings.redis_url).rpartition('/')[0]}/{DATABASE}"
    with Redis.from_url(url) as redis:
        redis.flushdb()
        fill(redis, served)
    module = f"libserving.sanic_serving.{kind}_deploy"
    if kind == "embed":
        _write_index(python, bench.folder, served.vectors)
    port = _free_port()
    command = [str(python), "-m", "sanic", f"{module}:app", "--host=127.0.0.1", f"--port={port}", "--single-process"]
    place = bench.place({"REDIS_HOST": url.removeprefix("redis://")})
    load = Load(
        requests=[_asked(kind, number) for number in range(spec.users)],
        headers={"Content-Type": "application/json"},
        duration_s=bench.run_s,
    )
    with running_command(command, place, url=f"http://127.0.0.1:{port}", ready="/") as server:
        probe = Probe(f"libserving {kind}", server, load, bench.folder, is_right, by_cpu=bench.options.by_cpu)
        probe.warm_up()
        yield probe


def fill(redis: "Redis", served: Served) -> None:
    """Write what its `knn2redis` and `embed2redis` write."""
    users, items = range(len(served.histories)), range(len(served.vectors))
    redis.set("model_name", "ItemCF")
    redis.hset("user2id", mapping={user_id(number): number for number in users})
    redis.hset("id2item", mapping={number: item_id(number) for number in items})
    redis.hset("user_consumed", mapping={n: json.dumps(served.histories[n].tolist()) for n in users})
    vectors_of_users = served.vectors[served.histories].mean(axis=1)
    redis.hset("user_embed", mapping={n: json.dumps(vectors_of_users[n].tolist()) for n in users})
    rows, scores = _neighbours(served.vectors)
    sims: dict[Any, Any] = {}
    for number in items:
        sims[number] = json.dumps(list(zip(rows[number].tolist(), scores[number].tolist(), strict=True)))
    redis.hset("k_sims", mapping=sims)


def _neighbours(vectors: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The nearest items of each, by cosine, and how near: [n, k] each."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -1)
    rows = np.argpartition(-likeness, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    return rows, np.take_along_axis(likeness, rows, axis=1)


def _asked(kind: str, user: int) -> Asked:
    return Asked(f"/{kind}/recommend", json.dumps({"user": user_id(user), "n_rec": ANSWER_ITEMS}))


def is_right(answer: Any) -> bool:
    """Whether there are ten items in it."""
    (items,) = answer.values()
    return len(items) == ANSWER_ITEMS


def _free_port() -> int:
    address = bind("127.0.0.1", 0)
    port: int = address.listener.getsockname()[1]
    address.listener.close()
    return port


def _write_index(python: Path, folder: Path, vectors: NDArray[np.float32]) -> None:
    """Have its own faiss write an index of the vectors where `embed` looks for it."""
    path = folder / "vectors.npy"
    np.save(path, vectors)
    subprocess.run([str(python), str(INDEX), str(path)], check=True, capture_output=True)

"""The catalogue: time and memory of each kind of index over synthetic vectors."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from app.recommendations.search.build import build_index
from app.recommendations.search.index import IndexKind
from app.recommendations.search.policy import IndexPolicy
from bench.serve.synthetic import draw_vectors

WIDTH, TOP, BATCH, CALLS = 64, 10, 32, 5
SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000, 3_000_000), (10_000, 30_000)
LARGEST: dict[IndexKind, int] = {"hnsw": 100_000}
"""A graph takes a core minutes: here it is built up to so many vectors."""
LEAST_RECALL = 0.9
"""Of a graph, so that one is built: what it reaches is told."""
KINDS: tuple[IndexKind, ...] = get_args(IndexKind)


@dataclass(frozen=True)
class Vectors:
    """Satisfies `VectorSource`: vectors [n, d], all present [n]."""

    values: NDArray[np.float32]
    present: NDArray[np.bool_]


def measure_search(sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One row an index and size: milliseconds of processor a query, alone and in a batch, bytes, build, recall."""
    rng = np.random.default_rng(3)
    for items in sizes:
        values = draw_vectors(items, WIDTH)
        vectors = Vectors(values, np.ones(items, np.bool_))
        users = values[rng.integers(0, items, BATCH)] + rng.standard_normal((BATCH, WIDTH), np.float32)
        for kind in KINDS:
            if items <= LARGEST.get(kind, items):
                yield _row(vectors, users, kind)


def _row(vectors: Vectors, users: NDArray[np.float32], kind: IndexKind) -> dict[str, Any]:
    index = build_index(vectors, IndexPolicy(kind=kind, recall=LEAST_RECALL))
    report = index.report
    return {
        "kind": report.kind,
        "asked_for": kind,
        "items": len(vectors.values),
        "query_ms": _ms(lambda: index.search(users[:1], TOP)),
        "batched_query_ms": _ms(lambda: index.search(users, TOP)) / BATCH,
        "vector_bytes": vectors.values.nbytes,
        "index_bytes": report.size_bytes,
        "build_s": report.build_s,
        "recall": report.recall,
    }


def _ms(search: Any) -> float:
    """The fastest of some calls, in processor time: what others do on the machine only ever adds."""
    search()
    took = []
    for _ in range(CALLS):
        start = time.process_time()
        search()
        took.append(time.process_time() - start)
    return min(took) * 1e3

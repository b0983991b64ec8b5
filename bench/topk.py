"""The best 10 of a catalogue in one thread, beside one read of the same fp32 bytes.

The floor is the inner product of the whole matrix with itself: numpy hands it to BLAS, which reads every byte once and
is the fastest reader in reach (numpy's max takes as long or up to a tenth longer, its sum a quarter). What searches is
the code that serves, from the users' vectors to exact scores in order.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from app.recommendations.search.build import build_index
from app.recommendations.search.exact import ExactIndex
from app.recommendations.search.index import ItemIndex
from app.recommendations.search.policy import IndexPolicy
from app.recommendations.search.recall import Truth, truths
from bench.measuring import Figure, Options, compare

ITEMS, WIDTH, K = 1_000_000, 64, 10
GRAPH_ITEMS, QUICK_GRAPH_ITEMS = 200_000, 100_000
"""To build a graph of a million takes minutes, so this figure is of fewer items."""
ITEMS_A_CLUSTER, SPREAD = 100, 0.5
"""The graph's items lie in clusters, as those of a catalogue do; in pure noise there is nothing to walk along."""
LEAST_RECALL = 0.999
GRAPH_RECALL = 0.98
BATCH = 32
READS, QUICK_READS = 9, 5
MILLI = 1e3

Matrix = NDArray[np.float32]


class RecallTooLow(Exception):
    """A search that misses too much is not timed."""


@dataclass(frozen=True)
class Vectors:
    """Items that all have a vector."""

    values: Matrix
    present: NDArray[np.bool_]

    @classmethod
    def of(cls, values: Matrix) -> "Vectors":
        """All rows of a matrix [n, d]."""
        return cls(values, np.ones(len(values), bool))


def measure(options: Options) -> Iterator[tuple[str, Figure]]:
    """Yield the figures; each is the time of a search, in milliseconds."""
    with threadpool_limits(1):
        if options.wants("topk_exact", "topk_8bit", "topk_batch32", "topk_batch32_8bit"):
            yield from _of_all(options)
        if options.wants("topk_hnsw"):
            yield "topk_hnsw", _of_graph(options)


def _of_all(options: Options) -> Iterator[tuple[str, Figure]]:
    vectors = Vectors.of(np.random.default_rng(0).standard_normal((ITEMS, WIDTH), np.float32))
    exact = ExactIndex(vectors)
    truth = truths(vectors, exact, (K,))[0]
    if options.wants("topk_exact"):
        yield "topk_exact", _figure(exact, vectors, truth, options, least=1.0)
    if options.wants("topk_batch32"):
        yield "topk_batch32", _figure(exact, vectors, truth, options, least=1.0, batch=BATCH)
    if options.wants("topk_8bit", "topk_batch32_8bit"):
        codes = build_index(vectors, IndexPolicy(kind="quantised"))
        if codes.report.kind != "quantised":
            raise RecallTooLow(codes.report.reason)
        yield "topk_8bit", _figure(codes, vectors, truth, options, least=LEAST_RECALL)
        yield "topk_batch32_8bit", _figure(codes, vectors, truth, options, least=LEAST_RECALL, batch=BATCH)


def _of_graph(options: Options) -> Figure:
    items = QUICK_GRAPH_ITEMS if options.quick else GRAPH_ITEMS
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((items // ITEMS_A_CLUSTER, WIDTH), np.float32)
    values = centres[rng.integers(0, len(centres), items)]
    values += SPREAD * rng.standard_normal(values.shape, np.float32)
    vectors = Vectors.of(values)
    graph = build_index(vectors, IndexPolicy(kind="hnsw", recall=GRAPH_RECALL))
    if graph.report.kind != "hnsw":
        raise RecallTooLow(graph.report.reason)
    return _figure(graph, vectors, truths(vectors, ExactIndex(vectors), (K,))[0], options, least=GRAPH_RECALL)


def _figure(
    index: ItemIndex, vectors: Vectors, truth: Truth, options: Options, *, least: float, batch: int = 1
) -> Figure:
    """Time of a search for each of its users.

    Raises:
        RecallTooLow: when the index misses more than it may.
    """
    if (recall := truth.recall(index)) < least:
        raise RecallTooLow(f"{index.report.kind}: recall {recall:.4f} is below {least}")
    reads = QUICK_READS if options.quick else READS
    clock = time.thread_time if options.by_cpu else time.perf_counter
    batches = [truth.users[at : at + batch] for at in range(0, len(truth.users) - batch + 1, batch)]
    flat = vectors.values.reshape(-1)
    turn = iter(range(10**9))

    def search() -> None:
        index.search(batches[next(turn) % len(batches)], K)

    return compare(
        lambda: _median_ms(search, reads, clock) / batch,
        lambda: _median_ms(lambda: np.dot(flat, flat), reads, clock),
        runs=options.runs,
    )


def _median_ms(call: Callable[[], object], reads: int, clock: Callable[[], float]) -> float:
    times = []
    for _ in range(reads):
        start = clock()
        call()
        times.append(clock() - start)
    return float(np.median(times)) * MILLI

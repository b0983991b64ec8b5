"""Chooses the index of a catalogue by its size and by what each kind finds of the catalogue's own vectors."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from app.recommendations.search.database_graph import KeptVectors, NoGraph
from app.recommendations.search.exact import ExactIndex
from app.recommendations.search.hnsw import HnswIndex
from app.recommendations.search.index import IndexKind, ItemIndex, VectorSource
from app.recommendations.search.pgvector import PgvectorIndex
from app.recommendations.search.policy import IndexPolicy
from app.recommendations.search.quantised import QuantisedIndex
from app.recommendations.search.recall import Truth, truths

DEPTHS = (10, 100)
"""Items asked for when recall is measured; the lower recall counts."""
GIVES_WAY_TO: Mapping[IndexKind, IndexKind] = {"pgvector": "quantised", "hnsw": "quantised", "quantised": "exact"}
"""What is built instead of one that can't be, or does not find enough: the more exact, in little memory."""


class NotGoodEnough(Exception):
    """An index was built and does not keep what was asked for; the message says why."""


def build_index(vectors: VectorSource, policy: IndexPolicy, kept: KeptVectors | None = None) -> ItemIndex:
    """Build, tune and measure an index; blocks for up to minutes, so it belongs in a thread.

    Args:
        vectors: of the items.
        policy: what is wanted.
        kept: the vectors in the database; without, it is not asked to search them.
    """
    start = time.perf_counter()
    items = int(np.count_nonzero(vectors.present))
    kind = _first(items, policy) if items else "exact"
    reasons = [_why(kind, items, policy)]
    while True:
        try:
            index = BUILDERS[kind](vectors, policy, kept)
        except NotGoodEnough as error:
            # The exact one is always good enough.
            reasons.append(str(error))
            kind = GIVES_WAY_TO[kind]
            continue
        index.report = replace(index.report, reason="; ".join(reasons), build_s=time.perf_counter() - start)
        return index


def _first(items: int, policy: IndexPolicy) -> IndexKind:
    if policy.kind != "auto":
        return policy.kind
    if items >= policy.hnsw_from:
        return "hnsw"
    return "quantised" if items >= policy.quantised_from else "exact"


def _why(kind: IndexKind, items: int, policy: IndexPolicy) -> str:
    return f"{items} items: {kind}" if policy.kind == "auto" else f"settings: {kind}"


def _exact(vectors: VectorSource, policy: IndexPolicy, kept: KeptVectors | None) -> ExactIndex:
    return ExactIndex(vectors)


def _quantised(vectors: VectorSource, policy: IndexPolicy, kept: KeptVectors | None) -> QuantisedIndex:
    index = QuantisedIndex(vectors)
    if not all(index.tuned(truth.users, truth.k) for truth in _truths(vectors)):
        raise NotGoodEnough("quantised: 8 bits tell too few of these vectors apart")
    return index


def _hnsw(vectors: VectorSource, policy: IndexPolicy, kept: KeptVectors | None) -> HnswIndex:
    index = HnswIndex(vectors)
    recall = index.tuned(_truths(vectors), policy.recall)
    if recall < policy.recall:
        raise NotGoodEnough(f"hnsw: recall {recall:.4f} is below {policy.recall}")
    return index


def _pgvector(vectors: VectorSource, policy: IndexPolicy, kept: KeptVectors | None) -> PgvectorIndex:
    if kept is None:
        raise NotGoodEnough("pgvector: these vectors are in no database")
    try:
        index = PgvectorIndex(vectors, kept)
        recall = index.tuned(_truths(vectors), policy.recall)
    except NoGraph as error:
        raise NotGoodEnough(f"pgvector: {error}") from error
    if recall < policy.recall:
        raise NotGoodEnough(f"pgvector: recall {recall:.4f} is below {policy.recall}")
    return index


def _truths(vectors: VectorSource) -> list[Truth]:
    return truths(vectors, ExactIndex(vectors), DEPTHS)


Built = ExactIndex | QuantisedIndex | HnswIndex | PgvectorIndex
BUILDERS: Mapping[IndexKind, Callable[[VectorSource, IndexPolicy, KeptVectors | None], Built]] = {
    "exact": _exact,
    "quantised": _quantised,
    "hnsw": _hnsw,
    "pgvector": _pgvector,
}

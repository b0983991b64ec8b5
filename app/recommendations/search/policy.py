"""Which index a catalogue gets, as an operator wants it."""

from dataclasses import dataclass
from typing import Literal

IndexChoice = Literal["auto", "exact", "quantised", "hnsw", "pgvector"]


@dataclass(frozen=True)
class IndexPolicy:
    """From the settings `CROSSAN_INDEX_*`.

    Attributes:
        kind: a kind of index, or `auto`: by size and measured recall.
        recall: least share of the exact top that has to be found; an index that misses it is replaced by a more
            exact one.
        quantised_from: items from which on `auto` tries 8-bit rows.
        hnsw_from: items from which on `auto` tries a graph.
    """

    kind: IndexChoice = "auto"
    recall: float = 0.99
    quantised_from: int = 20_000
    hnsw_from: int = 1_000_000

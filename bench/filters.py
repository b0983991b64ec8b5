"""What a filter costs: filtered against unfiltered rankings of 100,000 items, interleaved; prints JSON.

Times are of the processor and not of the clock, so that a busy machine tells the same.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.filters import parse
from app.recommendations.options import RankingOptions
from app.recommendations.ranking import rank
from app.recommendations.vectors import ItemVectors, VectorUpdate
from app.recommendations.view import View
from app.stores.sequence_state import SequenceEvent, SequenceState

LANDS = ("fr", "de", "it", "es", "jp", "us", "br", "in")
CATEGORIES = tuple(f"c{number}" for number in range(50))
NOW = 1_760_000_000.0
SHAPES: dict[str, Callable[[np.random.Generator], str]] = {
    "number": lambda rng: f"year >= {rng.integers(1950, 2020)}.{rng.integers(10**6)}",
    "string": lambda rng: f"maker.land = 'fr' and price < {rng.random() * 50}",
    "string_order": lambda rng: f"code < 'k{rng.integers(10**5):05}'",
    "category": lambda rng: f"categories = '{rng.choice(CATEGORIES)}' and price > {rng.random()}",
    "category_in": lambda rng: f"categories in ('c1', 'c2', 'c3', 'c4', 'c5', 'c6') or price = {rng.random()}",
    "list": lambda rng: f"tags = 't{rng.integers(100)}' or tags = 't{rng.integers(100)}' and price > {rng.random()}",
    "date": lambda rng: f"published_at >= '{rng.integers(2001, 2024)}-05-{rng.integers(10, 29)}'",
    "exists": lambda rng: f"exists award and not price = {rng.random()}",
    "narrow": lambda rng: f"maker.land = 'jp' and year = {rng.integers(1950, 2024)} and tags = 't{rng.integers(100)}'",
    "wide": lambda rng: f"not (year = {rng.integers(1950, 2024)} and price < {rng.random()})",
    "ten_terms": lambda rng: " or ".join(
        f"(year > {rng.integers(1950, 2024)} and price < {rng.random() * 20})" for _ in range(5)
    ),
}


@dataclass(frozen=True)
class Mean:
    """Stands for a version: the user is the mean of the sequence, so that what is measured is the ranking."""

    vectors: ItemVectors
    max_length: int = 50

    def encode_user(self, sequence: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mean [d] of the sequence [s, d]."""
        mean: NDArray[np.float32] = sequence.mean(axis=0)
        return mean


def make_view(items: int, width: int) -> View:
    """A catalogue with attributes of every type, and random vectors."""
    rng = np.random.default_rng(0)
    catalogue = Catalogue()
    catalogue.apply(_item(number, rng) for number in range(items))
    vectors = ItemVectors(width=width, modalities=())
    drawn = rng.standard_normal((items, width), np.float32)
    vectors.apply((VectorUpdate(f"i{n}", drawn[n], None) for n in range(items)), catalogue.row_of)
    return View(catalogue, Mean(vectors))


def _item(number: int, rng: np.random.Generator) -> ItemUpdate:
    attributes: dict[str, Any] = {
        "year": int(rng.integers(1950, 2025)),
        "price": float(rng.random() * 100),
        "code": f"k{rng.integers(10**5):05}",
        "maker": {"land": str(rng.choice(LANDS))},
        "tags": [f"t{tag}" for tag in rng.integers(0, 100, rng.integers(0, 6))],
    }
    if rng.random() < 0.1:
        attributes["award"] = True
    published = np.datetime64(int(rng.integers(10**9, int(NOW))), "s").item()
    return ItemUpdate(
        number,
        f"i{number}",
        published_at=published,
        categories=rng.choice(CATEGORIES, rng.integers(1, 4), replace=False).tolist(),
        attributes=attributes,
    )


class Bench:
    """Rankings of one user, with and without a filter.

    Args:
        view: what is ranked.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._history = SequenceState.of(SequenceEvent(n, f"i{n}", n, "view") for n in range(50))

    def ranking_ms(self, written: str | None) -> float:
        """Milliseconds of this thread that one ranking takes."""
        options = RankingOptions(filter=written)
        start = time.thread_time()
        rank(self.view, self._history, options, now=NOW, seed=0)
        return (time.thread_time() - start) * 1_000

    def compare(self, filters: Iterator[str], runs: int) -> dict[str, float]:
        """Medians of interleaved runs, and their ratio."""
        pairs = [(self.ranking_ms(None), self.ranking_ms(next(filters))) for _ in range(runs)]
        plain, filtered = (statistics.median(column) for column in zip(*pairs, strict=True))
        return {"plain_ms": round(plain, 3), "filtered_ms": round(filtered, 3), "ratio": round(filtered / plain, 3)}


def measure(items: int, width: int, runs: int) -> dict[str, Any]:
    """Every shape: the first filter on its columns, one that repeats, and ones that are new each time."""
    bench = Bench(make_view(items, width))
    rng = np.random.default_rng(1)
    shapes = {}
    for name, write in SHAPES.items():
        first = write(rng)
        cold_ms = bench.ranking_ms(first)
        shapes[name] = {
            "example": first,
            "matches": int(bench.view.catalogue.matches(parse(first)).sum()),
            "cold_ms": round(cold_ms, 3),
            "repeated": bench.compare(iter(lambda text=first: text, None), runs),
            "new": bench.compare(iter(lambda text=write: text(rng), None), runs),
        }
    worst = {kind: max(shape[kind]["ratio"] for shape in shapes.values()) for kind in ("repeated", "new")}
    size_bytes = bench.view.catalogue.size_bytes
    return {
        "items": items,
        "width": width,
        "runs": runs,
        "worst_ratio": worst,
        "size_bytes": size_bytes,
        "shapes": shapes,
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--items", type=int, default=100_000)
    arguments.add_argument("--width", type=int, default=64)
    arguments.add_argument("--runs", type=int, default=101)
    chosen = arguments.parse_args()
    json.dump(measure(chosen.items, chosen.width, chosen.runs), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

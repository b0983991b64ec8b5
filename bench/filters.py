"""What a filter costs: filtered against unfiltered rankings of 100,000 items, interleaved.

Times are of the processor and not of the clock, so that a busy machine tells the same.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.options import RankingOptions
from app.recommendations.ranking import rank
from app.recommendations.vectors import ItemVectors, VectorUpdate
from app.recommendations.view import View
from app.stores.sequence_state import SequenceEvent, SequenceState
from bench.measuring import Figure, Options, compare

log = logging.getLogger(__name__)

LANDS = ("fr", "de", "it", "es", "jp", "us", "br", "in")
CATEGORIES = tuple(f"c{number}" for number in range(50))
ITEMS, WIDTH = 100_000, 64
RUNS, QUICK_RUNS = 101, 21
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

    def compare(self, write: Callable[[], str], runs: int) -> Figure:
        """Rankings with filters against rankings without one, after the first of them has filled the columns."""
        self.ranking_ms(write())
        return compare(lambda: self.ranking_ms(write()), lambda: self.ranking_ms(None), runs=runs)


def measure(options: Options) -> Iterator[tuple[str, Figure]]:
    """The worst shape of filters that are asked for again, and of new ones, against rankings without one (ms)."""
    bench = Bench(make_view(ITEMS, WIDTH))
    runs = QUICK_RUNS if options.quick else RUNS
    rng = np.random.default_rng(1)
    shapes = {shape: measure_shape(bench, write, rng, runs=runs) for shape, write in SHAPES.items()}
    for name in ("repeated", "new"):
        worst, shape = max((found[name].ratio, shape) for shape, found in shapes.items())
        log.info("filter_%s: %s is the worst shape, %.2f x", name, shape, worst)
        yield f"filter_{name}", shapes[shape][name]


def measure_shape(
    bench: Bench, write: Callable[[np.random.Generator], str], rng: np.random.Generator, *, runs: int
) -> dict[str, Figure]:
    """One filter of the shape, asked for again and again, and one that is new each time."""
    written = write(rng)
    return {
        "repeated": bench.compare(lambda: written, runs),
        "new": bench.compare(lambda: write(rng), runs),
    }

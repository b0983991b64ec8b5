"""Measures the growth curves, keeps them in `bench/results/scale.json`, and writes them into docs/scaling.md."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bench import latest
from bench.measuring import Figure, Options
from bench.scale import learning, remembering, searching, storing
from bench.scale.document import SCALE, write_document

log = logging.getLogger(__name__)


def measure(options: Options) -> Iterator[tuple[str, Figure]]:
    """Curves are no figures: nothing is yielded, everything is written; `--only` names curves."""
    quick = options.quick
    curves: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {
        "search": lambda: searching.measure_search(searching.QUICK_SIZES if quick else searching.SIZES),
        "users": lambda: remembering.measure_users(remembering.QUICK_SIZES if quick else remembering.SIZES),
        "storage": lambda: storing.measure_storage(options, options.cache_dir / "worlds"),
        "training": lambda: learning.measure_training(learning.QUICK_SHAPES if quick else learning.SHAPES),
    }
    for name, rows in curves.items():
        if options.wants(name):
            _keep(name, rows(), is_quick=quick)
    yield from ()


def _keep(name: str, rows: Iterable[dict[str, Any]], *, is_quick: bool) -> None:
    """A quick run only shows what it finds: its curves are too short to derive from."""
    found = []
    for row in rows:
        log.info("%s: %s", name, row)
        found.append(row)
    if not is_quick:
        kept = latest.read_json(SCALE)
        latest.write_json({**kept, name: found}, SCALE)
        write_document()

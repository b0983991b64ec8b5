"""Filtered rankings of 100,000 items against brute force over the items as JSON."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.filters import parse
from app.recommendations.options import RankingOptions
from app.recommendations.ranking import rank
from app.recommendations.view import View
from app.stores.sequence_state import SequenceEvent, SequenceState
from bench.filters import NOW, SHAPES, make_view
from tests.app.recommendations.filters.slow import lets_through

ITEMS = 100_000
SEEN = 50


@pytest.fixture(scope="module")
def view() -> View:
    made = make_view(ITEMS, 64)
    # Columns that were built before items change have to be as good as those built after.
    for write in SHAPES.values():
        made.catalogue.matches(parse(write(np.random.default_rng(7))))
    made.catalogue.apply(
        ItemUpdate(row, f"i{row}", categories=["c1"], attributes={"year": 1999, "tags": ["t1", "t2"], "price": "free"})
        for row in range(0, ITEMS, 1_000)
    )
    made.catalogue.apply(ItemUpdate(row, f"i{row}", deleted=True) for row in range(1, ITEMS, 1_000))
    return made


@pytest.fixture(scope="module")
def items(view: View) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(as_json(view.catalogue, row))) for row in range(ITEMS)]


def as_json(catalogue: Catalogue, row: int) -> dict[str, Any]:
    published = catalogue.published[row]
    return {
        "item_id": catalogue.ids[row],
        "published_at": datetime.fromtimestamp(published, UTC).isoformat() if np.isfinite(published) else None,
        "categories": catalogue.categories(row),
        "attributes": dict(catalogue.attributes(row)),
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_a_filtered_list_is_that_of_brute_force(view: View, items: list[dict[str, Any]], shape: str) -> None:
    written = SHAPES[shape](np.random.default_rng(11))
    wanted = parse(written)
    matching = [row for row, item in enumerate(items) if lets_through(wanted.root, item)]
    assert np.flatnonzero(view.catalogue.matches(wanted)).tolist() == matching, written

    assert view.version is not None
    values = view.version.vectors.values
    scores = values @ values[:SEEN].mean(axis=0)
    # Rows below `SEEN` are the user's own, and the second of every thousand is deleted.
    allowed = [row for row in matching if row >= SEEN and row % 1_000 != 1]
    best = sorted(allowed, key=lambda row: (-scores[row], row))[:100]
    history = SequenceState.of(SequenceEvent(n, f"i{n}", n, "view") for n in range(SEEN))
    ranked = rank(view, history, RankingOptions(filter=written, limit=100), now=NOW, seed=0)
    assert list(ranked.rows) == best
    assert ranked.scores == pytest.approx(scores[best].tolist(), abs=1e-6)

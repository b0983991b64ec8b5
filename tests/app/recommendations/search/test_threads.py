"""Searches in threads while rows are written: every answer fits a state that there was."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.recommendations.search.exact import ExactIndex
from app.recommendations.search.hnsw import HnswIndex
from app.recommendations.search.quantised import QuantisedIndex
from tests.app.recommendations.search.catalogues import Build, catalogue, users

ROWS, CHANGES, K = 5_000, 60, 5


@pytest.mark.parametrize("build", [ExactIndex, QuantisedIndex, HnswIndex])
@pytest.mark.parametrize("batch", [1, 4])
def test_searches_go_on_while_rows_change(build: Build, batch: int) -> None:
    vectors = catalogue(ROWS)
    index = build(vectors)
    asked = users(1).repeat(batch, axis=0)
    stop = threading.Event()

    def search() -> int:
        newest = searches = 0
        while not stop.is_set() or not searches:
            rows, scores = index.search(asked, K)
            best = int(rows[0, 0])
            assert best >= newest, "a row that had been found was lost"
            newest = best if best >= ROWS else newest
            assert np.isfinite(scores).all()
            searches += 1
        return searches

    with ThreadPoolExecutor(2) as threads:
        searching = [threads.submit(search) for _ in range(2)]
        try:
            for change in range(1, CHANGES + 1):
                # Each new row is better than all before it.
                index.changed(vectors.write(ROWS - 1 + change, asked[0] * (10 + change)))
                assert index.search(asked, 1)[0][0, 0] == ROWS - 1 + change
        finally:
            stop.set()
        assert all(one.result() > 0 for one in searching)

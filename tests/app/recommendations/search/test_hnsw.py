import numpy as np
import pytest

from app.recommendations.search.exact import ExactIndex
from app.recommendations.search.hnsw import WIDTHS, HnswIndex
from app.recommendations.search.recall import truths
from tests.app.recommendations.search.catalogues import Vectors, assert_exact, catalogue, slow_search, users


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    return catalogue(3_000, absent=0.1)


@pytest.fixture(scope="module")
def index(vectors: Vectors) -> HnswIndex:
    return HnswIndex(vectors)


def test_finds_nearly_all_and_scores_them_exactly(vectors: Vectors, index: HnswIndex) -> None:
    found, scores = index.search(users(50), 10)
    expected, _ = slow_search(vectors, users(50), 10)
    hits = [len({*row} & {*best}) for row, best in zip(found.tolist(), expected, strict=True)]
    assert sum(hits) >= 0.95 * 500
    exact = np.einsum("bkd,bd->bk", vectors.values[found].astype(float), users(50).astype(float))
    assert scores.tolist() == exact.astype(np.float32).tolist()
    assert (np.diff(scores) <= 0).all()
    assert vectors.present[found].all()


def test_a_wider_search_finds_more(vectors: Vectors) -> None:
    index = HnswIndex(vectors)
    truth = truths(vectors, ExactIndex(vectors), (10,))
    index.width = 1
    narrow = truth[0].recall(index)
    assert index.tuned(truth, 1.1) > narrow
    assert index.report.settings["width"] == index.width == WIDTHS[-1]


def test_changed_and_new_rows_are_found_at_once() -> None:
    vectors = catalogue(2_000)
    index = HnswIndex(vectors)
    user = users(1)
    best = int(index.search(user, 1)[0][0, 0])
    index.changed(vectors.write(best, None))
    index.changed(vectors.write(7, user[0] * 100))
    index.changed(vectors.write(2_000, user[0] * 200))
    found = index.search(user, 10)[0][0].tolist()
    assert found[:2] == [2_000, 7]
    assert best not in found
    assert len({*found}) == 10


def test_more_asked_for_than_there_is(vectors: Vectors, index: HnswIndex) -> None:
    few = catalogue(30, absent=0.5)
    assert_exact(HnswIndex(few), few, users(2), 40)
    assert_exact(index, vectors, users(1), 2_990)


def test_many_changes_wear_it_out(vectors: Vectors) -> None:
    index = HnswIndex(vectors)
    index.changed(np.arange(1_025))
    assert index.is_worn
    assert_exact(index, vectors, users(1), 1)


def test_memory_is_counted(index: HnswIndex, vectors: Vectors) -> None:
    items = int(vectors.present.sum())
    # 16 codes and the row of each, and 64 links of 4 bytes on the lowest layer.
    assert index.report.size_bytes >= items * (16 + 8 + 64 * 4)
    assert index.report.size_bytes <= 1.2 * items * (16 + 8 + 64 * 4 + 8)

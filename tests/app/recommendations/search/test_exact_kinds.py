"""The kinds that promise exact answers, held against a slow search in every corner."""

import numpy as np
import pytest

from app.recommendations.search import codes as codes_module
from app.recommendations.search import exact as exact_module
from app.recommendations.search import quantised as quantised_module
from app.recommendations.search.exact import ExactIndex
from app.recommendations.search.quantised import QuantisedIndex
from tests.app.recommendations.search.catalogues import Build, assert_exact, catalogue, clusters, users

KINDS: dict[str, Build] = {
    "exact": ExactIndex,
    "quantised": QuantisedIndex,
    "quantised, users apart": QuantisedIndex,
    "quantised, users together": QuantisedIndex,
}
FEW, MANY = 300, 4_500
"""Below and above the size from which the exact index no longer compares all scores."""


@pytest.fixture(params=KINDS)
def build(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Build:
    if request.param == "quantised, users apart":
        # However many, and however much of the codes has to be looked at.
        monkeypatch.setattr(quantised_module, "MANY_USERS", 1_000)
        monkeypatch.setattr(codes_module, "ROOM", 1e-3)
    if request.param == "quantised, users together":
        monkeypatch.setattr(quantised_module, "MANY_USERS", 1)
        monkeypatch.setattr(quantised_module, "SOME_USERS", 1)
    return KINDS[request.param]


@pytest.mark.parametrize("rows", [1, 17, FEW, MANY])
@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("k", [1, 10, 200])
def test_finds_the_best_of_every_user(build: Build, rows: int, batch: int, k: int) -> None:
    vectors = catalogue(rows)
    assert_exact(build(vectors), vectors, users(batch), k)


@pytest.mark.parametrize("width", [1, 7, 64, 100, 200])
def test_any_width(build: Build, width: int) -> None:
    vectors = catalogue(MANY, width)
    assert_exact(build(vectors), vectors, users(3, width), 10)


@pytest.mark.parametrize("rows", [FEW, MANY])
@pytest.mark.parametrize("batch", [1, 3])
def test_absent_rows_are_never_found_even_where_all_others_score_below_zero(
    build: Build, rows: int, batch: int
) -> None:
    vectors = catalogue(rows, absent=0.5)
    vectors.values = -np.abs(vectors.values)
    assert_exact(build(vectors), vectors, np.abs(users(batch)), 10)


@pytest.mark.parametrize("rows", [FEW, MANY])
def test_more_asked_for_than_there_is(build: Build, rows: int) -> None:
    vectors = catalogue(rows, absent=0.95)
    assert_exact(build(vectors), vectors, users(2), 400)
    assert_exact(build(vectors), vectors, users(2), rows + 1)


@pytest.mark.parametrize("rows", [FEW, MANY])
@pytest.mark.parametrize("batch", [1, 4])
def test_among_equals_the_lower_row_comes_first(build: Build, rows: int, batch: int) -> None:
    vectors = catalogue(rows)
    vectors.values[:] = vectors.values[np.arange(rows) % 3]
    assert_exact(build(vectors), vectors, users(batch), 10)


def test_a_user_gets_the_same_in_any_company(build: Build) -> None:
    vectors = catalogue(MANY, 20, absent=0.1)
    vectors.values[100:140] = vectors.values[60:100]
    index, asked = build(vectors), users(33, 20)
    assert_exact(index, vectors, asked, 12)
    rows, scores = index.search(asked, 12)
    for count in range(1, 33):
        some_rows, some_scores = index.search(asked[:count], 12)
        assert some_rows.tolist() == rows[:count].tolist()
        assert some_scores.tolist() == scores[:count].tolist()


def test_users_and_items_of_zeros(build: Build) -> None:
    vectors = catalogue(MANY)
    vectors.values[: MANY // 2] = 0
    assert_exact(build(vectors), vectors, np.zeros((2, 16), np.float32), 5)


def test_rows_of_very_different_lengths(build: Build) -> None:
    vectors = catalogue(MANY)
    vectors.values *= np.geomspace(1e-6, 1e4, MANY, dtype=np.float32)[:, None]
    assert_exact(build(vectors), vectors, users(3), 10)


def test_clusters_that_8_bits_cannot_tell_apart(build: Build) -> None:
    vectors = clusters(MANY, centres=3, spread=1e-4)
    assert_exact(build(vectors), vectors, users(3), 10)


@pytest.mark.parametrize("rows", [FEW, MANY])
def test_changed_and_new_rows_are_found_at_once(build: Build, rows: int) -> None:
    vectors = catalogue(rows)
    index = build(vectors)
    user = users(1)
    best = int(index.search(user, 1)[0][0, 0])
    index.changed(vectors.write(best, None))
    assert_exact(index, vectors, user, 10)
    index.changed(vectors.write(7, user[0] * 100))
    index.changed(vectors.write(rows, user[0] * 200))
    assert index.search(user, 2)[0].tolist() == [[rows, 7]]
    assert_exact(index, vectors, user, 10)
    index.changed(vectors.write(rows + 5_000, user[0]))
    assert_exact(index, vectors, users(4), 20)


def test_rows_without_a_vector_that_nobody_told_of_do_not_disturb(build: Build) -> None:
    vectors = catalogue(MANY)
    index = build(vectors)
    vectors.write(MANY + 300, None)
    assert_exact(index, vectors, users(3), 10)


def test_nothing_yet(build: Build) -> None:
    vectors = catalogue(0)
    index = build(vectors)
    assert_exact(index, vectors, users(2), 3)
    index.changed(vectors.write(4, users(1)[0]))
    assert_exact(index, vectors, users(2), 3)


def test_a_batch_is_computed_in_parts_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_module, "SCORES_AT_ONCE", 4 * 1_024)
    vectors = catalogue(6_000)
    assert_exact(ExactIndex(vectors), vectors, users(4), 10)


def test_what_has_changed_wears_the_codes_out_and_not_the_vectors() -> None:
    vectors = catalogue(MANY)
    exact, quantised = ExactIndex(vectors), QuantisedIndex(vectors)
    for index in (exact, quantised):
        index.changed(np.arange(1_024))
        assert not index.is_worn
        index.changed(np.arange(1_025))
    assert (exact.is_worn, quantised.is_worn) == (False, True)
    assert_exact(quantised, vectors, users(2), 10)


def test_reports() -> None:
    vectors = catalogue(1_000, 64, absent=0.5)
    exact, codes = ExactIndex(vectors).report, QuantisedIndex(vectors).report
    assert (exact.kind, exact.items, exact.recall, exact.size_bytes) == ("exact", vectors.present.sum(), None, 0)
    # 1,000 rows are filled up to 1,024 of 64 codes, one scale and two floats of ONNX Runtime; and for batches again,
    # with the number of each row, and a scale and two bounds for 16 rows.
    assert (codes.kind, codes.items, codes.recall) == ("quantised", vectors.present.sum(), 1.0)
    assert codes.size_bytes == 1_024 * (64 + 12) + 1_024 * (64 + 4) + 1_024 // 16 * 12

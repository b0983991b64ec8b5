"""What a batch's shortlists promise: no row that isn't listed scores more than the bound."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.recommendations.search import batch_codes, batch_scan, products
from app.recommendations.search.batch_codes import BatchCodes
from tests.app.recommendations.search.catalogues import catalogue, clusters, users

COUNT = 20


def assert_promised(values: NDArray[np.float32], asked: NDArray[np.float32], *, proven: float = 1.0) -> None:
    """Of each user what isn't listed lies below the bound, and for a share of users the best lie above it."""
    codes = BatchCodes(values)
    assert codes.can_find(COUNT)
    found = codes.shortlist(asked, COUNT)
    scores = asked.astype(float) @ values.T.astype(float)
    above = 0
    for user, (rows, rest) in enumerate(zip(found.rows, found.rest, strict=True)):
        listed = rows[rows >= 0]
        assert len(np.unique(listed)) == len(listed)
        assert (np.delete(scores[user], listed) <= rest).all()
        above += int(np.sort(scores[user, listed])[-COUNT // 2] > rest)
    assert above >= proven * len(asked)


@pytest.mark.parametrize("width", [1, 3, 16, 64, 100, 200, 300])
@pytest.mark.parametrize("batch", [1, 3, 16, 17, 33])
def test_nothing_above_the_bound_is_left_out(width: int, batch: int) -> None:
    asked = users(batch, width) * np.geomspace(0.1, 5, batch, dtype=np.float32)[:, None]
    assert_promised(catalogue(3_000, width, absent=0.2).values, asked, proven=0.0 if width < 16 else 0.9)


@pytest.mark.parametrize("rows", [1_999, 2_048, 2_049, 5_003])
def test_any_number_of_rows_in_any_number_of_parts(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_codes, "TILE", 512)
    monkeypatch.setattr(products, "TILES_AT_ONCE", 3)
    monkeypatch.setattr(batch_scan, "TILES_AT_ONCE", 3)
    assert_promised(catalogue(rows, 32).values, users(5, 32))


def test_maxima_of_groups_make_a_threshold_where_there_are_plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_scan, "PLENTY", 1)
    assert_promised(catalogue(6_000, 32).values, users(5, 32))


def test_rows_of_very_different_lengths() -> None:
    vectors = catalogue(3_000, 32)
    vectors.values *= np.geomspace(1e-12, 1e4, 3_000, dtype=np.float32)[:, None]
    assert_promised(vectors.values, users(5, 32))


def test_what_rounding_took_from_the_best_row_is_allowed_for() -> None:
    # With 127 in each row a step is 1. By the codes the best row has 127 + 15 * 9 = 262, and truly 269.35.
    values = np.full((3_000, 16), 3, np.float32)
    values[:, 0] = 127
    values[1_001, 1:] = 9.49
    # These have 127 + 15 * 9 + 6 = 268 by both.
    values[::32, 1:] = 9
    values[::32, 1] = 15
    found = BatchCodes(values).shortlist(np.ones((3, 16), np.float32), COUNT)
    assert (found.rows == 1_001).any(axis=1).all()
    assert (found.rest < 269.35).all()


def test_what_rounding_took_from_a_user_is_allowed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_scan, "MOST", 100)
    # Both steps are 1: by the codes the row has 127 * (127 + 15 * 9) = 127 * 262, and truly 127 * 269.35.
    user = np.full((1, 16), 9.49, np.float32)
    user[0, 0] = 127
    values = np.zeros((3_000, 16), np.float32)
    values[1_001] = 127
    # Forty blocks of these have between 127 * 265 and 127 * 269 by both.
    values[:640, 0] = np.linspace(265, 269, 640)
    found = BatchCodes(values).shortlist(user, COUNT)
    assert 1_001 in found.rows
    assert 127 * 265 < found.rest < 127 * 269


@pytest.mark.parametrize("spread", [0.0, 1e-6])
def test_where_too_many_come_near_there_are_none_and_no_proof(spread: float) -> None:
    found = BatchCodes(clusters(3_000, 32, centres=1, spread=spread).values).shortlist(users(3, 32), COUNT)
    assert (found.rows == -1).all()
    assert np.isposinf(found.rest).all()


def test_one_user_with_too_many_leaves_the_others_what_they_have() -> None:
    values = catalogue(3_000, 32).values
    asked = users(3, 32)
    asked[1] = 0
    found = BatchCodes(values).shortlist(asked, COUNT)
    assert np.isposinf(found.rest).tolist() == [False, True, False]
    alone = BatchCodes(values).shortlist(asked[:1], COUNT)
    assert {*found.rows[0].tolist()} - {-1} == {*alone.rows[0].tolist()} - {-1}


def test_it_tells_how_many_it_can_find() -> None:
    # 2,048 rows are 128 blocks of sixteen, and half as many rows make a threshold.
    codes = BatchCodes(catalogue(2_048).values)
    assert codes.can_find(64)
    assert not codes.can_find(65)

"""The bound of what 8 bits can be off, which every proof rests on."""

import numpy as np
import pytest

from app.recommendations.search.codes import Codes
from tests.app.recommendations.search.catalogues import catalogue, users


@pytest.mark.parametrize("width", [3, 16, 64, 100, 128, 200, 300])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_no_score_is_off_by_more_than_the_bound(width: int, batch: int) -> None:
    vectors = catalogue(1_000, width)
    vectors.values *= np.geomspace(0.01, 10, 1_000, dtype=np.float32)[:, None]
    codes = Codes(vectors.values)
    asked = users(batch, width) * np.geomspace(0.1, 5, batch, dtype=np.float32)[:, None]
    scores, rows = codes.best(asked, 1_000)
    # 1,000 rows are filled up to 1,024, and all blocks are looked at.
    exact = np.vstack([vectors.values, np.zeros((24, width), np.float32)]).astype(float) @ asked.T.astype(float)
    off = np.abs(scores - np.take_along_axis(exact.T, rows, 1))
    bound = codes.error(asked)
    assert (off <= bound[:, None]).all()
    # It means something: far less than the scores themselves.
    assert (bound < 0.2 * np.abs(exact).max(axis=0)).all()


def test_the_highest_come_from_any_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.recommendations.search.codes.ROWS_AT_ONCE", 512)
    vectors = catalogue(2_000, 32)
    asked = users(3, 32)
    _, rows = Codes(vectors.values).best(asked, 60)
    # Of scores this far apart 8 bits lose none of the best ten among sixty.
    best = np.argsort(-(asked @ vectors.values.T), axis=1)[:, :10]
    assert all({*row} >= {*ten} for row, ten in zip(rows.tolist(), best.tolist(), strict=True))

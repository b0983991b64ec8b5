import math
from collections.abc import Mapping
from typing import Any

import pytest

from model.compare.plan import Cell
from model.compare.report import mean_of, rows_of


def cell(label: str, *modalities: str, seed: int = 0) -> Cell:
    return Cell(label, label.partition(":")[0], modalities, seed, {})


def result(
    ndcg: float, *, seconds: float = 1.0, memory: int = 10, parameters: int = 100, best: int = 3
) -> dict[str, Any]:
    return {
        "metrics": {"test": {"hr10": 2 * ndcg, "ndcg10": ndcg, "mrr": ndcg / 2, "users": 9.0}},
        "seconds_per_epoch": seconds,
        "cpu_seconds_per_epoch": 2 * seconds,
        "best_epoch": best,
        "peak_bytes": memory,
        "parameters": {"tower": parameters - 1, "user_encoder": 1, "total": parameters},
    }


def test_mean_and_standard_error() -> None:
    # 1, 2, 6: mean 3, squares 4 + 1 + 9 = 14, variance 14 / 2 = 7, error sqrt(7 / 3)
    found = mean_of([1.0, 2.0, 6.0])
    assert found is not None
    assert (found.mean, found.count) == (3.0, 3)
    assert found.error == pytest.approx(math.sqrt(7 / 3))


def test_one_seed_has_no_error_and_none_no_mean() -> None:
    one = mean_of([5.0])
    assert one is not None
    assert (one.mean, one.error) == (5.0, None)
    assert mean_of([]) is None


def test_seeds_become_one_row_for_each_variant_and_subset() -> None:
    cells = [cell("crossan", "text", seed=0), cell("crossan", "text", seed=1), cell("crossan", "image"), cell("id")]
    results = [result(0.1, best=2), result(0.3, best=5), result(0.5), result(0.7)]
    rows = rows_of(cells, results)
    assert [(row.label, row.modalities) for row in rows] == [
        ("crossan", ("text",)),
        ("crossan", ("image",)),
        ("id", ()),
    ]
    first = rows[0]
    # 0.1 and 0.3: mean 0.2, variance 0.02, error sqrt(0.02 / 2) = 0.1
    assert first.quality["ndcg10"].mean == pytest.approx(0.2)
    assert first.quality["ndcg10"].error == pytest.approx(0.1)
    assert first.quality["hr10"].mean == pytest.approx(0.4)
    assert "coverage10" not in first.quality
    assert first.best_epoch is not None
    assert first.best_epoch.mean == 3.5
    assert first.parameters == 100
    assert first.document()["quality"]["mrr"] == {"mean": pytest.approx(0.1), "error": pytest.approx(0.05), "count": 2}


def test_cold_targets_are_a_column_of_their_own() -> None:
    def told(number: float, **metrics: float) -> dict[str, Any]:
        found = result(0.1)
        found["metrics"]["slices"] = {"items_by_events": {"0-5": {"users": number, **metrics}, "6+": {"users": 9.0}}}
        return found

    cells = [cell("crossan", seed=0), cell("crossan", seed=1), cell("id"), cell("full")]
    first, none, silent = rows_of(cells, [told(4.0, hr50=0.25), told(4.0, hr50=0.75), told(0.0), result(0.1)])
    # 0.25 and 0.75: mean 0.5, variance 0.125, error sqrt(0.125 / 2) = 0.25
    assert first.cold is not None
    assert (first.cold.mean, first.cold.error, first.cold_targets) == (0.5, pytest.approx(0.25), 4)
    assert (none.cold, none.cold_targets) == (None, 0)
    assert (silent.cold, silent.cold_targets) == (None, None)
    assert first.document()["cold_targets"] == 4


def test_tpme_is_relative_to_full_on_the_same_modalities() -> None:
    cells = [cell("crossan", "text"), cell("crossan", "image"), cell("full", "text"), cell("full:dropout=0.1", "text")]
    results = [
        result(0.1, seconds=1.0, memory=10, parameters=100),
        result(0.1),
        result(0.1, seconds=20.0, memory=50, parameters=1000),
        result(0.1, seconds=10.0, memory=50, parameters=1000),
    ]
    found = [row.tpme for row in rows_of(cells, results)]
    # 0.45 * 1/20 + 0.1 * 100/1000 + 0.45 * 10/50 = 0.0225 + 0.01 + 0.09
    # 0.45 * 10/20 + 0.1 + 0.45 = 0.775
    assert found[0] == pytest.approx(0.1225)
    assert found[1] is None
    assert found[2] == pytest.approx(1.0)
    assert found[3] == pytest.approx(0.775)


def test_failed_and_waiting_seeds_are_told() -> None:
    cells = [cell("crossan", "text", seed=seed) for seed in range(3)]
    results: list[Mapping[str, Any] | None] = [{"error": "the loss is nan"}, result(0.4), None]
    [row] = rows_of(cells, results)
    assert (row.errors, row.waiting) == (["the loss is nan"], 1)
    assert row.quality["ndcg10"].mean == 0.4
    assert rows_of(cells[:1], results[:1])[0].quality == {}


def test_a_baseline_has_no_costs() -> None:
    cells = [Cell("popular", "popular", (), 0, {}), cell("full")]
    [row, _] = rows_of(cells, [{"metrics": {"test": {"hr10": 0.1}}, "seconds": 0.1}, result(0.1)])
    assert (row.seconds, row.peak_bytes, row.parameters, row.tpme) == (None, None, None, None)

from pathlib import Path

import pytest

from bench import latest, table
from bench.measuring import Figure
from bench.targets import TARGETS


def test_a_line_says_floor_ratio_and_whether_the_target_is_reached() -> None:
    drawn = table.render({"tail": Figure(3.456, 0.2, 1.25, 5), "recommend_cold": Figure(0.4, 0.012, 6_123.4, 5)})
    assert drawn.splitlines()[2:] == [
        "| `recommend_cold` | `/recommend`, 1.7k items, vector not cached | a bare FastAPI route with the same JSON: "
        "6,123 requests/s | 0.40 x | 0.01 | ≥ 0.35 x |",
        "| `tail` | its 99th percentile of latency | the 50th: 1.25 ms | 3.46 x | 0.20 | ≤ 3.00 x (missed) |",
    ]


def test_what_is_only_measured_has_no_target() -> None:
    assert table.render({"implicit_recommend": Figure(1.0, 0.1, 2.0, 3)}).endswith("| 1.00 x | 0.10 | - |")


def test_it_replaces_what_stood_between_the_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    for _ in range(2):
        table.write({"tail": Figure(1.0, 0.1, 2.0, 3)}, readme)
    found = readme.read_text()
    assert found.startswith(f"before\n{table.BEGIN}\n\n| figure |")
    assert found.endswith(f"|\n\n{table.END}\nafter\n")
    assert "old" not in found


def test_a_text_without_markers_is_refused() -> None:
    with pytest.raises(table.NoMarkers):
        table.placed_between(f"{table.END} {table.BEGIN}", "table")


def test_the_readme_has_a_place_for_the_table() -> None:
    table.placed_between(table.README.read_text(), table.render(latest.read()))


def test_targets_know_which_way_is_good() -> None:
    cold, tail, peer = TARGETS["recommend_cold"], TARGETS["tail"], TARGETS["implicit_recommend"]
    assert [cold.is_met(Figure(ratio, 0, 1, 3)) for ratio in (0.34, 0.35)] == [False, True]
    assert [tail.is_met(Figure(ratio, 0, 1, 3)) for ratio in (3.0, 3.01)] == [True, False]
    assert peer.is_met(Figure(1.0, 0, 1, 3)) is None

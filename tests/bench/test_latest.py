import json
from pathlib import Path

from bench import latest
from bench.measuring import Figure
from bench.targets import TARGETS


def test_a_figure_that_was_not_measured_keeps_its_old_entry(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"
    latest.merge({"tail": Figure(2.0, 0.1, 3.0, 5), "events": Figure(1.0, 0.1, 5_000.0, 5)}, path)
    latest.merge({"tail": Figure(1.23456, 0.00987654, 123456.0, 3)}, path)
    assert json.loads(path.read_text()) == {
        "events": {"ratio": 1.0, "spread": 0.1, "floor": 5000.0, "runs": 5},
        "tail": {"ratio": 1.235, "spread": 0.009877, "floor": 123500.0, "runs": 3},
    }
    assert latest.read(path)["tail"] == Figure(1.235, 0.009877, 123500.0, 3)


def test_nothing_is_known_before_the_first_run(tmp_path: Path) -> None:
    assert latest.read(tmp_path / "latest.json") == {}


def test_what_is_kept_has_a_target() -> None:
    assert latest.read().keys() <= TARGETS.keys()

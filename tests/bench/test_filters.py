import json
import sys

import pytest

from bench import filters


def test_it_prints_every_shape(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["filters", "--items", "2000", "--width", "4", "--runs", "3"])
    filters.main()
    found = json.loads(capsys.readouterr().out)
    assert found["shapes"].keys() == filters.SHAPES.keys()
    assert found["worst_ratio"]["new"] == max(shape["new"]["ratio"] for shape in found["shapes"].values())
    assert all(0 < shape["matches"] <= 2_000 for name, shape in found["shapes"].items() if name != "narrow")

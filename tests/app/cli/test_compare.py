"""`crossan compare` on a tiny folder, with real encoders in tiny and real trainings in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.comparing.lock import locked
from app.cli.comparing.run import Order, plan
from app.cli.main import app
from app.core.config import Settings
from crossan.client import ClientError
from model.compare import plan as plan_module
from model.encoders.spec import EncoderSpec
from tests.app.cli.comparing.tiny_folder import ITEMS, make_folder
from tests.fixtures.tiny_models import tiny_specs

runner = CliRunner()
SMALL = ("item_width=8", "max_length=6", "batch_size=16")


@pytest.fixture(scope="session")
def specs(tmp_path_factory: pytest.TempPathFactory) -> Sequence[EncoderSpec]:
    return tiny_specs(tmp_path_factory.mktemp("encoders"))[:2]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("compare") / "folder")


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, specs: Sequence[EncoderSpec], tmp_path: Path) -> None:
    monkeypatch.setenv("CROSSAN_ENCODERS", json.dumps([spec.to_dict() for spec in specs]))
    monkeypatch.setenv("CROSSAN_DEVICE", "cpu")
    monkeypatch.setenv("CROSSAN_DATA_DIR", str(tmp_path / "data"))


def arguments(folder: Path, out: Path, *more: str) -> list[str]:
    small = [part for one in SMALL for part in ("--set", one)]
    return ["compare", str(folder), "--json", str(out), *small, *more]


def compare(folder: Path, out: Path, *more: str, code: int = 0) -> tuple[str, dict[str, Any]]:
    """Runs the command; returns what it has printed and written."""
    result = runner.invoke(app, arguments(folder, out, *more), catch_exceptions=False)
    assert result.exit_code == code, result.output
    document: dict[str, Any] = json.loads(out.read_text())
    return result.stdout, document


@pytest.mark.e2e
def test_a_comparison(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    asked = ("--methods", "crossan:cross_path=none,id", "--seeds", "1", "--epochs", "1", "--no-baselines")
    printed, document = compare(folder, out, *asked, "--modalities", "text,image")
    assert [(row["label"], row["modalities"]) for row in document["table"]] == [
        ("crossan:cross_path=none", ["text", "image"]),
        ("id", []),
    ]
    assert all(row["quality"]["ndcg10"]["count"] == 1 for row in document["table"])
    assert all(row["label"] in printed for row in document["table"])
    assert {row["cold_targets"] for row in document["table"]} == {
        cell["metrics"]["slices"]["items_by_events"]["0-5"]["users"] for cell in document["cells"]
    }
    assert "cold HR@50" in printed
    assert (document["items_undescribed"], document["skipped"]) == (0, {})
    assert document["dataset"]["items"] == ITEMS
    assert {cell["config"]["epochs"] for cell in document["cells"]} == {1}
    assert {cell["metrics"]["test"]["users"] for cell in document["cells"]} == {20.0}
    assert [cell["config"].get("cross_path") for cell in document["cells"]] == ["none", None]
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "out-seconds.png",
        "out-memory.png",
        "out-parameters.png",
    }
    # The same command again runs nothing: the very same figures come out, to the last digit of the seconds.
    assert compare(folder, out, *asked, "--modalities", "text,image")[1] == document


@pytest.mark.e2e
def test_full_fine_tuning_beside_the_cached_method(folder: Path, tmp_path: Path) -> None:
    asked = ("--methods", "crossan,full", "--seeds", "1", "--epochs", "1", "--items", "8", "--users", "10")
    printed, document = compare(folder, tmp_path / "out.json", *asked, "--modalities", "text", "--no-baselines")
    crossan, full = document["table"]
    assert (document["dataset"]["items"], document["dataset"]["users"]) == (8, 10)
    assert full["tpme"] == pytest.approx(1.0)
    ratios = (
        crossan["seconds"]["mean"] / full["seconds"]["mean"],
        crossan["parameters"] / full["parameters"],
        crossan["peak_bytes"]["mean"] / full["peak_bytes"]["mean"],
    )
    assert crossan["tpme"] == pytest.approx(0.45 * ratios[0] + 0.1 * ratios[1] + 0.45 * ratios[2])
    assert document["cells"][1]["parameters"]["encoders"] > 0
    assert "TPME" in printed


@pytest.mark.e2e
def test_a_failed_run_stops_no_other(folder: Path, tmp_path: Path) -> None:
    # Half precision with its scaled gradients is not possible on a CPU, which only the run itself finds out.
    asked = ("--methods", "id:precision=fp16", "--seeds", "1", "--epochs", "1", "--modalities", "text", "--jobs", "3")
    printed, document = compare(folder, tmp_path / "out.json", *asked, code=1)
    rows = {row["label"]: row for row in document["table"]}
    assert "precision" in rows["id:precision=fp16"]["errors"][0]
    assert "precision" in printed
    for name in ("popular", "markov", "item_knn"):
        assert rows[name]["quality"]["ndcg10"]["count"] == 1


@pytest.mark.e2e
def test_a_killed_comparison_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    asked = ("--methods", "id", "--seeds", "2", "--epochs", "1", "--modalities", "text", "--no-baselines")
    cells = tmp_path / "data" / "compare" / "work" / "cells"
    command = [sys.executable, "-m", "app.cli.main", *arguments(folder, out, *asked)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while time.monotonic() < until and not list(cells.glob("*/result.json")):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    finished = {path: path.read_bytes() for path in cells.glob("*/result.json")}
    assert finished
    assert len(json.loads(out.read_text())["cells"]) == 2
    _, document = compare(folder, out, *asked)
    assert len(list(cells.glob("*/result.json"))) == 2
    assert all(path.read_bytes() == before for path, before in finished.items())
    assert [row["quality"]["ndcg10"]["count"] for row in document["table"]] == [2]
    assert not any("waiting" in cell for cell in document["cells"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--methods", "crosan"), "'crosan' is none of"),
        (("--modalities", "video"), "no item has video"),
        (("--set", "nonsense=1"), "no such option"),
        (("--methods", "crossan", "--set", "dropout=7"), "dropout"),
    ],
)
def test_what_cannot_be_compared_is_told_before_anything_runs(
    folder: Path, tmp_path: Path, more: Sequence[str], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        runner.invoke(app, arguments(folder, tmp_path / "out.json", *more), catch_exceptions=False)
    assert not (tmp_path / "data" / "compare").exists()


def test_an_output_that_cannot_be_written_is_told_before_anything_runs(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out, message in ((tmp_path / "file" / "out.json", "can't be written"), (tmp_path, "is a folder")):
        with pytest.raises(ClientError, match=message):
            runner.invoke(app, arguments(folder, out), catch_exceptions=False)
    assert not (tmp_path / "data" / "compare").exists()


def test_two_comparisons_need_two_folders(folder: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "data" / "compare" / "work"), pytest.raises(ClientError, match="--work"):
        runner.invoke(app, arguments(folder, tmp_path / "out.json"), catch_exceptions=False)


def test_what_every_row_leaves_out_is_counted(folder: Path) -> None:
    # One of the items has no picture.
    planned = plan(Order(folder, ["crossan"], ["text;image"]), Settings())
    assert (len(planned.catalogue.ids), planned.undescribed) == (ITEMS - 1, 1)
    assert plan(Order(folder, ["crossan"], ["text,image"], items=5), Settings()).undescribed == 0


def test_a_baseline_whose_library_is_missing_is_skipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "find_spec", lambda name: None)
    planned = plan(Order(folder, ["id"], seeds=1), Settings())
    assert [cell.method for cell in planned.cells] == ["popular", "markov", "item_knn", "id"]
    assert "crossan[compare]" in planned.skipped["als"]
    assert plan(Order(folder, ["id"], baselines=False), Settings()).skipped == {}


def test_nothing_heavy_is_imported_by_the_command() -> None:
    code = "import sys, app.cli.compare; sys.exit(any(name in sys.modules for name in ('torch', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ)).returncode == 0

"""The command: its order, what it shows, and the whole way with a real search beside a real database."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from app.cli import options, tune, tune_child
from app.cli.main import app, main
from app.cli.train import parse_settings
from app.core.errors import ScopeMissing
from app.core.types import ProjectId, Scope
from crossan.client import ApiError, AsyncClient, ClientError
from model.config import parse_config
from tests.app.cli.fake_service import KEY, URL, FakeService
from tests.fixtures.service import Service
from tests.fixtures.trained import fill
from tests.worker.conftest import _set_environment
from worker.tune_study import SCHEMA

runner = CliRunner()
FIXED = {"epochs": 2, "item_width": 8, "heads": 2, "max_length": 10, "batch_size": 16, "blocks": 1}
SET = [part for name, value in FIXED.items() for part in ("--set", f"{name}={value}")]
RESULT: dict[str, Any] = {
    "study": "id",
    "method": "id",
    "hyperparameters": {"learning_rate": 0.01, "heads": 2},
    "validation": {"hr10": 0.5, "ndcg10": 0.25},
    "trial": 3,
    "defaults": {"hr10": 0.4, "ndcg10": 0.2},
    "trials": {"complete": 3, "pruned": 1},
}


def run(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, ["tune", *arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeService:
    """A fake service whose key lies in the data folder."""
    fake = FakeService()
    monkeypatch.setattr(options, "AsyncClient", partial(AsyncClient, transport=fake.transport()))
    monkeypatch.setattr(tune, "_project_of", lambda key: 7)
    monkeypatch.setenv("CROSSAN_DATA_DIR", str(tmp_path))
    for name in ("CROSSAN_URL", "CROSSAN_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / options.KEY_FILE).write_text(f"{KEY}\n")
    (tmp_path / options.ADDRESS_FILE).write_text(f"{URL}\n")
    return fake


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What searches are ordered; each gives `RESULT`."""
    seen: list[dict[str, Any]] = []

    def search(order: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
        seen.append({**order, "quiet": quiet})
        return dict(RESULT)

    monkeypatch.setattr(tune, "run_search", search)
    return seen


def test_the_order(service: FakeService, orders: list[dict[str, Any]]) -> None:
    run("--minutes", "5", "--trials", "9", "--study", "mine", "--modalities", "text,image", "--set", "epochs=3")
    assert orders == [
        {
            "project": 7,
            "study": "mine",
            "method": "crossan",
            "fixed": {"epochs": 3, "modalities": "text,image"},
            "minutes": 5.0,
            "trials": 9,
            "quiet": False,
        }
    ]


def test_the_same_command_names_the_same_study(service: FakeService, orders: list[dict[str, Any]]) -> None:
    run("--method", "id")
    run("--method", "id", "--set", "epochs=3", "--set", "blocks=1")
    run("--method", "id", "--set", "blocks=1", "--set", "epochs=3", "--minutes", "1")
    run("--method", "id", "--set", "epochs=4")
    plain, first, same, other = (order["study"] for order in orders)
    assert plain == "id"
    assert first == same
    assert len({plain, first, other}) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "nonsense=1"], "nonsense: unknown hyperparameter"),
        (["--method", "id", "--modalities", "text"], "modalities: unknown hyperparameter"),
        (["--method", "none"], "method: must be one of"),
        (["--study", ""], "--study takes a name"),
        (["--study", "a\nb"], "--study takes a name"),
    ],
)
def test_wrong_orders_are_refused_before_anything_starts(
    service: FakeService, orders: list[dict[str, Any]], arguments: list[str], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        run(*arguments)
    assert orders == []


def test_without_optuna_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "find_spec", lambda name: None)
    with pytest.raises(ClientError, match=r"crossan\[tune\]"):
        run()


def test_what_is_shown(service: FakeService, orders: list[dict[str, Any]]) -> None:
    shown = run("--method", "id")
    assert "4 trials (3 complete, 1 pruned)" in shown
    assert "best (trial 3)" in shown
    assert "0.2500" in shown
    assert "0.2000" in shown
    assert shown.splitlines()[-1] == "crossan train --method id --set learning_rate=0.01 --set heads=2"
    assert service.trainings == []


def test_the_best_can_be_trained(service: FakeService, orders: list[dict[str, Any]]) -> None:
    found = json.loads(run("--method", "id", "--train", "--json"))
    assert orders[0]["quiet"]
    assert found["training"]["id"] == "t0"
    assert [service.trainings[0][name] for name in ("method", "hyperparameters")] == [
        "id",
        RESULT["hyperparameters"],
    ]
    assert "training t1 queued" in run("--method", "id", "--train")


def test_a_service_that_could_not_train_is_found_out_first(service: FakeService, orders: list[dict[str, Any]]) -> None:
    service.outages = [403]
    with pytest.raises(ApiError):
        run("--train")
    assert orders == []


def test_the_command_line_says_exactly_the_hyperparameters() -> None:
    wanted = {
        "learning_rate": 1e-05,
        "modalities": "text,image",
        "loss": "full",
        "cached": True,
        "note": "1",
        "w": "a b",
    }
    words = shlex.split(tune.command_of("crossan", wanted))
    assert words[:4] == ["crossan", "train", "--method", "crossan"]
    assert parse_settings([word for word in words[4:] if word != "--set"]) == wanted


@pytest.fixture
def filled(light: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service with data, as the environment of this process knows it."""
    fill(light)
    light.run_jobs()
    _set_environment(monkeypatch, light.settings)
    monkeypatch.setenv("CROSSAN_API_KEY", light.key)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return light


def test_the_whole_way(filled: Service) -> None:
    found = json.loads(run("--method", "id", *SET, "--trials", "2", "--json"))
    assert found["trials"] == {"complete": 2}
    words = shlex.split(found["command"])[4:]
    chosen = parse_settings([word for word in words if word != "--set"])
    assert chosen == found["hyperparameters"]
    assert parse_config("id", chosen).hyperparameters().items() >= FIXED.items()
    training = filled.train(method="id", hyperparameters=chosen)
    assert training["state"] == "succeeded", training["error"]
    # The training is the trial once more.
    assert training["result"]["metrics"]["validation"]["ndcg10"] == pytest.approx(found["validation"]["ndcg10"])


def test_a_key_tells_the_project(filled: Service) -> None:
    other = filled.project_client("other")
    key = other.headers["authorization"].removeprefix("Bearer ")
    assert ProjectId(tune._project_of(filled.key)) == filled.project
    assert tune._project_of(key) != filled.project
    with pytest.raises(ClientError, match="unknown or revoked"):
        tune._project_of("crs_nobody")


def test_only_an_admin_key_searches(filled: Service) -> None:
    for scopes in ((Scope.RECOMMEND, Scope.INGEST), ()):
        key = filled.headers(*scopes)["Authorization"].removeprefix("Bearer ")
        with pytest.raises(ScopeMissing, match="'admin'"):
            tune._project_of(key)
    assert tune._project_of(filled.headers(Scope.ADMIN)["Authorization"].removeprefix("Bearer ")) == filled.project


def test_a_database_that_does_not_answer_is_one_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROSSAN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CROSSAN_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("CROSSAN_API_KEY", KEY)
    for more in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", ["crossan", "tune", "--method", "id", *more])
        with pytest.raises(SystemExit, match="1"):
            main()
        out, err = capsys.readouterr()
        told = json.loads(out)["error"]["detail"] if more else err
        assert "CROSSAN_DATABASE_URL" in told
        assert "Traceback" not in out + err


def epochs_of_studies(service: Service) -> int:
    """How many have been completed in this database."""
    table = f"{SCHEMA}.trial_intermediate_values"
    with service.context.database.transaction() as transaction:
        if transaction.session.scalar(text("SELECT to_regclass(:table)"), {"table": table}) is None:
            return 0
        return int(transaction.session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def test_ctrl_c_ends_it_with_a_result(filled: Service) -> None:
    command = [sys.executable, "-m", "app.cli.main", "tune", "--method", "id", *SET, "--set", "patience=10000"]
    before = epochs_of_studies(filled)
    with subprocess.Popen(
        [*command, "--set", "epochs=10000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stderr is not None
        assert "study id-" in process.stderr.readline()
        while epochs_of_studies(filled) == before:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        shown, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "1 trials (1 stopped)" in shown


def played(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a script in the place of the process that searches."""
    monkeypatch.setattr(tune_child, "WORKER", ("-c", script))


def test_a_search_that_breaks_says_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, "raise SystemExit('out of everything')")
    with pytest.raises(ClientError, match=r"(?s)ended unexpectedly \(code 1\).*out of everything"):
        tune_child.run_search({"study": "s", "minutes": 1.0}, quiet=True)
    played(monkeypatch, "import os; os.kill(os.getpid(), 15)")
    with pytest.raises(ClientError, match="ended before it had begun"):
        tune_child.run_search({"study": "s", "minutes": 1.0}, quiet=True)


def test_an_expected_error_is_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    error = {"event": "error", "title": "Training failed", "detail": "no data"}
    played(monkeypatch, f"import json; print(json.dumps({error!r})); raise SystemExit(1)")
    with pytest.raises(ClientError, match="Training failed: no data"):
        tune_child.run_search({"study": "s", "minutes": 1.0}, quiet=True)


def test_the_child_gets_the_order_and_gives_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, "import json, sys; print(json.dumps({'event': 'result', **json.loads(sys.argv[1])}))")
    order = {"study": "s", "minutes": 1.0, "fixed": {"epochs": 2}}
    assert tune_child.run_search(order, quiet=True) == order


class Notes:
    """What the display has said."""

    is_terminal = False

    def __init__(self) -> None:
        self.lines: list[str] = []

    def print(self, line: str, **options: Any) -> None:
        self.lines.append(line)


def test_the_display(monkeypatch: pytest.MonkeyPatch) -> None:
    said = Notes()
    monkeypatch.setattr(tune_child, "notes", said)
    with tune_child.Progress(disable=True) as progress:
        display = tune_child._Display(progress, {"study": "s", "minutes": 2.0}, quiet=False)
        data = {"items": 3, "events": 9, "users": 2, "trials": {"complete": 4}, "before": {"events": 8}}
        display.show("data", {**data, "best": {"ndcg10": 0.2, "hr10": 0.3, "trial": 1}})
        display.show("epoch", {"trial": 4, "epoch": 1, "epochs": 5})
        assert progress.tasks[0].description == "trial 4 · epoch 1/5 · best NDCG@10 0.2000 (trial 1)"
        ended = {"trial": 4, "outcome": "complete", "seconds": 1.0, "error": None}
        display.show("ended", {**ended, "validation": {"ndcg10": 0.25, "hr10": 0.3}})
        assert progress.tasks[0].description == "trial 4 complete · best NDCG@10 0.2500 (trial 4)"
        assert progress.tasks[0].total == 120.0
        left = tune_child._TimeLeft().render(progress.tasks[0])
    assert str(left) in ("02:00 left", "01:59 left")
    assert said.lines == [
        "study s · 3 items, 9 events of 2 users",
        "  goes on after 4 trials",
        "  the study began with 8 events: its earlier trials were judged by those",
        "  trial 4 complete · NDCG@10 0.2500 · 1.0 s",
    ]


def test_help_names_it() -> None:
    assert "tune" in runner.invoke(app, ["--help"]).output

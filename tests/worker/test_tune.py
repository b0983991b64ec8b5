"""Searches on a real database and a tiny catalogue; what matters of the trainings is real, too."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from sqlalchemy import create_engine, inspect, text

from app.core.config import Settings
from app.core.errors import TrainingFailed
from app.db.base import Base
from app.training.cut import read_cut
from model.config import parse_config
from model.train import Progress, Trained, TrainingDiverged, fit
from model.tuning_space import defaults_of
from tests.fixtures.service import Service
from tests.fixtures.trained import fill
from tests.worker.conftest import _set_environment
from tests.worker.test_tune_study import end_holders
from worker import tune, tune_study, tune_trials
from worker.tune import NothingLearned, Order, search
from worker.tune_study import StudyUnusable, opened

FIXED = {"epochs": 2, "item_width": 8, "heads": 2, "max_length": 10, "batch_size": 16, "blocks": 1}
SIDE = {"side_width": 8, "bottleneck": 4, "side_layers": 2}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def filled(light: Service) -> Service:
    """A service with a small catalogue and events."""
    fill(light)
    light.run_jobs()
    return light


class Searches:
    """Searches of one project, and what they told."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.asked = threading.Event()

    def order(self, **changes: Any) -> Order:
        usual: dict[str, Any] = {"study": "s", "method": "id", "fixed": FIXED, "minutes": 5.0, "trials": 2}
        return Order(**{"project": self.service.project, **usual, **changes})

    def run(self, **changes: Any) -> dict[str, Any]:
        self.told.clear()
        return search(
            self.service.settings,
            self.order(**changes),
            asked=self.asked,
            tell=lambda kind, event: self.told.append((kind, json.loads(json.dumps(event)))),
        )

    def ended(self) -> list[dict[str, Any]]:
        return [event for kind, event in self.told if kind == "ended"]

    def trials(self, **changes: Any) -> list[optuna.trial.FrozenTrial]:
        with opened(self.service.settings.database, self.order(**changes).key) as held:
            return held.study.get_trials()


@pytest.fixture
def searches(filled: Service) -> Searches:
    return Searches(filled)


def acting(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[int, Callable[[Progress], None]], Mapping[str, float]]
) -> None:
    """Put a play in the place of the training: `act` gets the number of the call and where to report epochs."""
    calls = iter(range(10_000))

    def play(dataset: Any, config: Any, *, on_progress: Any, should_stop: Any, device: str, test: bool) -> Any:
        assert not test
        validation = act(next(calls), on_progress)
        return type("Played", (), {"metrics": {"validation": dict(validation)}})

    monkeypatch.setattr(tune_trials, "fit", play)


def epoch(number: int, ndcg10: float, epochs: int = 10) -> Progress:
    return Progress(epoch=number, epochs=epochs, loss=1.0, hr10=2 * ndcg10, ndcg10=ndcg10, seconds=0.1)


def test_the_best_is_the_best_of_the_trials_and_the_service_takes_it(searches: Searches) -> None:
    fixed = {**FIXED, **SIDE, "modalities": "text"}
    result = searches.run(method="crossan", fixed=fixed, trials=3)
    assert result["trials"] == {"complete": 3}
    assert [event["trial"] for event in searches.ended()] == [0, 1, 2]
    reached = [event["validation"]["ndcg10"] for event in searches.ended()]
    assert result["validation"]["ndcg10"] == max(reached) >= result["defaults"]["ndcg10"] == reached[0]
    assert result["trial"] == reached.index(max(reached))
    assert searches.ended()[0]["hyperparameters"] == {**fixed, **defaults_of("crossan", fixed)}
    chosen = result["hyperparameters"]
    assert parse_config("crossan", chosen).hyperparameters().items() >= chosen.items() >= fixed.items()
    answer = searches.service.client.post(
        "/admin/trainings", json={"method": "crossan", "hyperparameters": json.loads(json.dumps(chosen))}
    )
    assert answer.status_code == 202, answer.text


def test_a_trial_is_the_training_that_its_hyperparameters_give(searches: Searches) -> None:
    result = searches.run()
    context = searches.service.context
    scratch = context.artifacts.new_folder(searches.service.project)
    cut = read_cut(context.database, context.features, searches.service.project, modalities=(), scratch=scratch)
    for event in searches.ended():
        config = parse_config("id", event["hyperparameters"])
        trained = fit(cut.dataset, config, on_progress=lambda seen: None, should_stop=lambda: False)
        assert trained.metrics["validation"] == pytest.approx(event["validation"])
    assert result["begun"] == 2


def test_the_test_set_is_not_looked_at(searches: Searches, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Trained] = []

    def watched(*args: Any, **options: Any) -> Trained:
        looks.append(fit(*args, **options))
        return looks[-1]

    monkeypatch.setattr(tune_trials, "fit", watched)
    searches.run()
    assert len(looks) == 2
    assert not any({"test", "baselines"} & set(trained.metrics) for trained in looks)


def test_a_study_goes_on_where_it_stopped(searches: Searches) -> None:
    first = searches.run()
    firsts = [event["hyperparameters"] for event in searches.ended()]
    second = searches.run()
    assert first["trials"] == {"complete": 2}
    assert second["trials"] == {"complete": 4}
    assert second["validation"]["ndcg10"] >= first["validation"]["ndcg10"]
    seconds = [event["hyperparameters"] for event in searches.ended()]
    assert [event["trial"] for event in searches.ended()] == [2, 3]
    # Neither the defaults again nor what the same seed would have proposed at the beginning.
    assert not [settings for settings in seconds if settings in firsts]
    data = dict(searches.told)["data"]
    assert data["trials"] == {"complete": 2}
    assert data["before"]["events"] == data["events"]
    assert data["best"] == {"trial": first["trial"], **first["validation"]}


def test_studies_belong_to_their_projects(searches: Searches) -> None:
    searches.run(trials=1)
    other = searches.service.project_client("other")
    assert other.headers != searches.service.client.headers
    with pytest.raises(TrainingFailed, match="5 trials in a row failed"):
        searches.run(project=searches.service.project + 1, trials=None)
    assert len(searches.ended()) == 5
    assert len(searches.trials()) == 1


def test_nothing_lands_in_the_schema_of_the_service(searches: Searches) -> None:
    searches.run(trials=1)
    engine = create_engine(searches.service.settings.database)
    found = inspect(engine)
    assert set(found.get_table_names()) == {*Base.metadata.tables, "alembic_version"}
    assert {"studies", "trials", "alembic_version"} <= set(found.get_table_names(schema="optuna"))
    with engine.connect() as connection:
        kinds = "SELECT typname FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace"
        public = connection.execute(text(f"{kinds} WHERE nspname = 'public' AND typtype = 'e'")).all()
        revision = connection.execute(text("SELECT version_num FROM public.alembic_version")).scalar_one()
    engine.dispose()
    assert not [name for (name,) in public if name in ("trialstate", "studydirection")]
    assert not revision.startswith("v")


def test_a_trial_that_falls_behind_is_pruned(searches: Searches, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def act(call: int, report: Callable[[Progress], None]) -> Mapping[str, float]:
        level = 0.5 if call < tune_study.FREE_TRIALS else 0.1
        for number in range(1, 11):
            seen.append((call, number))
            report(epoch(number, level))
        return {"ndcg10": level, "hr10": level}

    acting(monkeypatch, act)
    result = searches.run(trials=tune_study.FREE_TRIALS + 1)
    assert result["trials"] == {"complete": tune_study.FREE_TRIALS, "pruned": 1}
    # Epochs up to FREE_EPOCHS are not judged; the first one after them is below the median of the others.
    last = tune_study.FREE_TRIALS
    assert [number for call, number in seen if call == last] == list(range(1, tune_study.FREE_EPOCHS + 2))
    assert searches.ended()[-1]["validation"] is None


def test_a_training_that_diverges_is_a_failed_trial(searches: Searches, monkeypatch: pytest.MonkeyPatch) -> None:
    def act(call: int, report: Callable[[Progress], None]) -> Mapping[str, float]:
        if call == 1:
            raise TrainingDiverged("the loss is nan")
        return {"ndcg10": 0.1 * (call + 1), "hr10": 0.5}

    acting(monkeypatch, act)
    result = searches.run(trials=3)
    assert result["trials"] == {"complete": 2, "failed": 1}
    assert searches.ended()[1]["error"] == "the loss is nan"
    assert result["trial"] == 2


def test_failures_without_end_end_the_search_with_what_there_is(
    searches: Searches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(call: int, report: Callable[[Progress], None]) -> Mapping[str, float]:
        if call:
            raise TrainingDiverged("the loss is nan")
        return {"ndcg10": 0.1, "hr10": 0.5}

    acting(monkeypatch, act)
    result = searches.run(trials=None)
    assert result["trials"] == {"complete": 1, "failed": tune_trials.HOPELESS}
    assert result["trial"] == 0


def test_an_asked_for_end_keeps_what_the_trial_has_reached_and_repeats_it(searches: Searches) -> None:
    def tell(kind: str, event: Mapping[str, Any]) -> None:
        if kind == "epoch" and event["epoch"] == 2:
            searches.asked.set()

    order = searches.order(fixed={**FIXED, "epochs": 50, "patience": 50}, trials=None)
    result = search(searches.service.settings, order, asked=searches.asked, tell=tell)
    assert result["trials"] == {"stopped": 1}
    assert (result["trial"], result["validation"]) == (0, result["defaults"])
    stopped, again = searches.trials(fixed=order.fixed)
    assert set(stopped.intermediate_values) == {1, 2}
    assert result["validation"]["ndcg10"] == max(stopped.intermediate_values.values())
    assert again.state is optuna.trial.TrialState.WAITING
    assert again.system_attrs["fixed_params"] == stopped.params == defaults_of("id", order.fixed)


def test_without_time_for_an_epoch_there_is_no_result(searches: Searches) -> None:
    searches.asked.set()
    with pytest.raises(NothingLearned, match=r"were too short\. The study 's' goes on"):
        searches.run()
    searches.asked.clear()
    assert searches.run(trials=1)["defaults"] is not None


def test_the_budget_in_minutes_ends_a_trial(searches: Searches, monkeypatch: pytest.MonkeyPatch) -> None:
    late = [0.0]
    monkeypatch.setattr(tune_trials, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late[0]))

    def tell(kind: str, event: Mapping[str, Any]) -> None:
        if kind == "epoch" and event["epoch"] == 3:
            late[0] = 60.0 * order.minutes

    order = searches.order(fixed={**FIXED, "epochs": 50, "patience": 50}, trials=None, minutes=10.0)
    result = search(searches.service.settings, order, asked=searches.asked, tell=tell)
    assert (result["trials"], result["begun"]) == ({"stopped": 1}, 1)
    assert set(searches.trials(fixed=order.fixed)[0].intermediate_values) == {1, 2, 3}


def test_a_study_is_for_one_process_and_one_search(searches: Searches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune_study, "PATIENCE_S", 0.2)
    searches.run(trials=1)
    with (
        opened(searches.service.settings.database, searches.order().key),
        pytest.raises(StudyUnusable, match="'s' is being searched"),
    ):
        searches.run()
    with pytest.raises(StudyUnusable, match="searches id with"):
        searches.run(fixed={**FIXED, "epochs": 3})
    assert searches.run(study="another", fixed={**FIXED, "epochs": 1}, trials=1)["trials"] == {"complete": 1}


def test_a_search_whose_study_another_may_have_ends(searches: Searches) -> None:
    def tell(kind: str, event: Mapping[str, Any]) -> None:
        if kind == "ended":
            end_holders(searches.service.settings.database)

    with pytest.raises(StudyUnusable, match="goes on from there"):
        search(searches.service.settings, searches.order(trials=None), asked=searches.asked, tell=tell)
    assert [trial.state.name for trial in searches.trials()] == ["COMPLETE"]
    assert searches.run(trials=1)["trials"] == {"complete": 2}


def test_the_scratch_folder_goes_away(searches: Searches) -> None:
    searches.run(trials=1)
    assert list(searches.service.settings.artifacts_dir.glob("*/.partial-*")) == []


@pytest.fixture
def environment(searches: Searches, monkeypatch: pytest.MonkeyPatch) -> Settings:
    _set_environment(monkeypatch, searches.service.settings)
    return searches.service.settings


def start(order: Order) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "worker.tune", json.dumps(vars(order))],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def next_event(process: "subprocess.Popen[str]", kind: str) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == kind:
            return event
    raise AssertionError(f"it ended without {kind}")


@pytest.mark.usefixtures("environment")
def test_a_killed_search_goes_on(searches: Searches) -> None:
    fixed = {**FIXED, "epochs": 200, "patience": 200}
    with start(searches.order(fixed=fixed, trials=None)) as process:
        next_event(process, "epoch")
        process.kill()
    # The killed trial was the defaults: it is tried again, and asked to end after a while it gives a result.
    with start(searches.order(fixed=fixed, trials=None)) as process:
        assert next_event(process, "data")["trials"] == {"stopped": 1}
        assert next_event(process, "epoch")["trial"] == 1
        process.send_signal(signal.SIGTERM)
        result = next_event(process, "result")
    assert process.returncode == 0
    assert result["trials"] == {"stopped": 2}
    assert result["trial"] == 1
    assert result["hyperparameters"] == {**fixed, **defaults_of("id", fixed)}
    # Three attempts at the most.
    with opened(searches.service.settings.database, searches.order(fixed=fixed).key) as held:
        assert held.study.ask().user_attrs["attempt"] == tune_study.ATTEMPTS
    assert [trial.state.name for trial in searches.trials(fixed=fixed)] == ["FAIL", "PRUNED", "FAIL"]


@pytest.mark.usefixtures("environment")
def test_an_expected_error_is_a_line(
    searches: Searches, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tune.signal, "signal", lambda *_: None)
    monkeypatch.setattr(tune, "configure_logging", lambda level: None)
    monkeypatch.setattr(
        "sys.argv", ["tune", json.dumps(vars(searches.order(method="crossan", fixed={}, project=0, trials=None)))]
    )
    with pytest.raises(SystemExit, match="1"):
        tune.main()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["data", *["ended"] * 5, "error"]
    assert events[-1]["title"] == "Training failed"
    assert events[-1]["detail"].startswith("5 trials in a row failed, the last one because: crossan needs at least")


@pytest.mark.usefixtures("environment")
def test_a_database_that_does_not_answer_is_a_line(
    searches: Searches, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tune.signal, "signal", lambda *_: None)
    monkeypatch.setattr(tune, "configure_logging", lambda level: None)
    monkeypatch.setattr("sys.argv", ["tune", json.dumps(vars(searches.order()))])
    monkeypatch.setenv("CROSSAN_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(SystemExit, match="1"):
        tune.main()
    [event] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (event["event"], event["title"]) == ("error", "Dependency unavailable")
    assert "CROSSAN_DATABASE_URL" in event["detail"]

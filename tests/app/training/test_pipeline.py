"""From the claim to the live version; the network's part is a replay, so that nothing here waits for it."""

import dataclasses
import shutil
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import func, select, update

from app.core.errors import TrainingFailed
from app.core.jobs import JobKind
from app.core.types import JobState
from app.db.tables import ItemRow, ItemVectorRow, JobRow, ModelVersionRow
from app.jobs.repository import JobRepository
from app.jobs.run import JobInterrupted, run_job
from app.training.pipeline import Folders, TrainingPipeline
from app.training.upkeep import discard_ended
from model.artifact import load_item_vectors, load_manifest
from model.checkpoint import identity_of
from model.config import TrainingConfig
from model.data.dataset import Dataset, Interactions
from model.data.splits import SPLITS
from model.evaluation.artifact import evaluate_artifact
from model.runtime import ItemTower
from tests.fixtures.fake_encoders import FakeEncoder, states_of
from tests.fixtures.service import Service
from tests.fixtures.trained import EVENTS_A_USER, ITEMS, USERS, ReplayTrainer, client_of, put_item


def replay(service: Service, **changes: Any) -> ReplayTrainer:
    trainer = service.parts.trainer
    assert isinstance(trainer, ReplayTrainer)
    changed = dataclasses.replace(trainer, **changes)
    service.parts = dataclasses.replace(service.parts, trainer=changed)
    return changed


def live(service: Service) -> str | None:
    name: str | None = service.client.get("/admin/status").json()["live_model"]
    return name


def versions(service: Service) -> list[str]:
    return [one["version"] for one in service.client.get("/admin/models").json()["models"]]


def order(service: Service, **body: Any) -> str:
    answer = service.client.post("/admin/trainings", json=body)
    assert answer.status_code == 202, answer.text
    training_id: str = answer.json()["id"]
    return training_id


def read(service: Service, training_id: str) -> dict[str, Any]:
    training: dict[str, Any] = service.client.get(f"/admin/trainings/{training_id}").json()
    return training


def test_the_first_version_is_published_whole(trained: Service) -> None:
    (training,) = trained.client.get("/admin/trainings").json()["trainings"]
    assert training["state"] == "succeeded"
    assert training["result"]["model_version"] == "v1"
    assert training["result"]["promoted"]
    assert training["result"]["live_before"] is None
    assert {"validation", "test", "baselines"} <= set(training["result"]["metrics"])
    assert training["data_cut"]["items"] == ITEMS
    assert training["data_cut"]["events"] == USERS * EVENTS_A_USER
    assert training["progress"]["stage"] == "publishing"
    (model,) = trained.client.get("/admin/models").json()["models"]
    assert (model["version"], model["live"], model["items"]) == ("v1", True, ITEMS)
    assert max(model["parity"].values()) <= 1e-4
    assert model["data_cut"]["events"] == USERS * EVENTS_A_USER
    assert {item["state"] for item in trained.client.get("/items").json()["items"]} == {"ready"}


def stored_vectors(service: Service, version: str) -> dict[str, tuple[Any, Any]]:
    with service.context.database.transaction() as transaction:
        query = (
            select(ItemRow.item_id, ItemVectorRow.vector, ItemVectorRow.shares)
            .join(ItemVectorRow, ItemVectorRow.item_pk == ItemRow.id)
            .join(ModelVersionRow, ModelVersionRow.id == ItemVectorRow.version_id)
            .where(ModelVersionRow.number == int(version[1:]))
        )
        return {
            item: (np.frombuffer(vector, "<f4"), np.frombuffer(shares, "<f4"))
            for item, vector, shares in transaction.session.execute(query)
        }


def test_vectors_in_the_database_are_what_the_item_tower_says(trained: Service, fakes: dict[str, FakeEncoder]) -> None:
    (model,) = trained.client.get("/admin/trainings").json()["trainings"]
    folder = trained.parts.artifacts.path(f"{trained.project}/{model['id']}")
    put_item(trained, "new", "harbour boat 1")  # the same words as i1, and no picture
    trained.run_jobs()
    stored = stored_vectors(trained, "v1")
    ids, vectors, shares = load_item_vectors(folder)
    assert set(stored) == {*ids, "new"}
    for item, vector, share in zip(ids, vectors, shares, strict=True):
        np.testing.assert_array_equal(stored[item][0], vector)
        np.testing.assert_array_equal(stored[item][1], share)
    states = states_of("harbour boat 1", fakes["text"].fingerprint)[None]
    expected, expected_shares = ItemTower(folder).encode({"text": states}, np.array([[True, False]]))
    np.testing.assert_allclose(stored["new"][0], expected[0], atol=1e-5)
    np.testing.assert_allclose(stored["new"][1], expected_shares[0], atol=1e-5)
    assert expected_shares[0].tolist() == pytest.approx([1, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("promote", "ndcg10", "promoted"),
    [
        ("if_better", 1.0, True),
        ("if_better", -1.0, False),
        ("always", -1.0, True),
        ("never", 1.0, False),
    ],
)
def test_promotion(trained: Service, promote: str, ndcg10: float, promoted: bool) -> None:
    replay(trained, ndcg10=ndcg10)
    training = trained.train(promote=promote)
    assert training["state"] == "succeeded", training["error"]
    assert training["result"]["promoted"] == promoted
    assert live(trained) == ("v2" if promoted else "v1")
    assert versions(trained) == ["v2", "v1"]
    served = trained.client.get("/recommend/u0").json()
    assert served["model_version"] == live(trained)
    assert served["personalised"]


def test_a_version_as_good_as_the_live_one_is_promoted_and_one_a_little_worse_is_not(trained: Service) -> None:
    first = trained.train(promote="never")
    before: float = first["result"]["live_before"]["validation"]["ndcg10"]
    replay(trained, ndcg10=float(np.nextafter(before, -1)))
    assert not trained.train()["result"]["promoted"]
    replay(trained, ndcg10=before)
    assert trained.train()["result"]["promoted"]


def test_the_live_version_is_scored_on_the_users_of_now(trained: Service) -> None:
    events = [
        {"user_id": f"n{user}", "item_id": f"i{(user + step) % ITEMS}", "timestamp": 1_700_100_000 + step}
        for user in range(6)
        for step in range(5)
    ]
    trained.client.post("/events", json=events)
    trainer = replay(trained)
    training = trained.train(promote="never")
    (dataset,) = trainer.datasets
    assert len(dataset.interactions) == USERS + 6
    expected = expected_of_the_live_version(trained, dataset, dataset.interactions, "leave_one_out")
    assert training["result"]["live_before"]["validation"] == pytest.approx(expected)


def expected_of_the_live_version(service: Service, dataset: Dataset, events: Interactions, split: str) -> Any:
    """Slow way round: the artifact in the folder, on a split of some of the events that were trained on."""
    (first, *_) = service.client.get("/admin/trainings").json()["trainings"][::-1]
    folder = service.parts.artifacts.path(f"{service.project}/{first['id']}")
    holdout = SPLITS[split](events).validation
    return evaluate_artifact(folder, dataset, holdout, item_ids=[f"i{n}" for n in range(ITEMS)])


def test_the_live_version_is_asked_at_the_split_of_the_new_one(trained: Service) -> None:
    # Half of the users come back after everybody else: only they are on both sides of the cuts.
    events = [
        {"user_id": f"u{user}", "item_id": f"i{(user + step) % ITEMS}", "timestamp": 1_700_100_000 + step}
        for user in range(USERS // 2)
        for step in range(4)
    ]
    assert trained.client.post("/events", json=events).json()["accepted"] == len(events)
    trainer = replay(trained)
    training = trained.train(promote="never", hyperparameters={"split": "global_time"})
    found = training["result"]["live_before"]["validation"]
    (dataset,) = trainer.datasets
    expected = expected_of_the_live_version(trained, dataset, dataset.interactions, "global_time")
    assert found == pytest.approx(expected)
    assert found["users"] == USERS // 2


def test_the_live_version_is_asked_about_what_the_new_one_can_describe(trained: Service) -> None:
    trainer = replay(trained)
    training = trained.train(promote="never", hyperparameters={"modalities": "image"})
    (dataset,) = trainer.datasets
    described = dataset.only("image").present[:, 0]
    assert 0 < described.sum() < ITEMS
    events = dataset.interactions.keep(described[dataset.interactions.items])
    expected = expected_of_the_live_version(trained, dataset, events, "leave_one_out")
    assert training["result"]["live_before"]["validation"] == pytest.approx(expected)


def test_events_of_items_without_content_do_not_decide_the_comparison(trained: Service) -> None:
    """A training never asks for items it cannot describe; then the live version must not be asked for them either."""
    before = trained.train(promote="never")["result"]["live_before"]["validation"]
    put_item(trained, "bare", "")
    last = 1_800_000_000 - 100_000_000
    events = [
        {"user_id": f"u{n}", "item_id": "bare", "timestamp": last + 900 + step} for n in range(USERS) for step in (0, 1)
    ]
    trained.client.post("/events", json=events)
    after = trained.train(promote="never")["result"]["live_before"]["validation"]
    assert after["ndcg10"] == pytest.approx(before["ndcg10"])


def test_rollback_and_forth(trained: Service) -> None:
    trained.train(promote="always")
    assert live(trained) == "v2"
    rolled = trained.client.post("/admin/models/v1/promote")
    assert (rolled.status_code, rolled.json()["live"]) == (200, True)
    assert trained.client.get("/recommend/u0").json()["model_version"] == "v1"
    for unknown in ("v3", "v0", "x", "v", "v-1", "1" * 30, "v1 ", "v1.0"):
        answer = trained.client.post(f"/admin/models/{unknown}/promote")
        assert answer.status_code == 404, unknown
        assert answer.json()["type"].endswith("model-not-found")
    assert live(trained) == "v1"


def test_an_item_that_comes_before_a_rollback_gets_its_vector_under_the_old_version(trained: Service) -> None:
    trained.train(promote="always")
    put_item(trained, "between", "harbour boat")
    trained.run_jobs()
    trained.client.post("/admin/models/v1/promote")
    assert trained.client.get("/items/between").json()["state"] == "encoded"
    trained.run_jobs()
    assert trained.client.get("/items/between").json()["state"] == "ready"
    assert "between" in stored_vectors(trained, "v1")
    assert "between" in [item["item_id"] for item in trained.client.get("/recommend/u1?limit=1000").json()["items"]]


def test_items_that_come_change_and_go_during_a_training(trained: Service) -> None:
    def meanwhile() -> None:
        put_item(trained, "came", "harbour boat")
        put_item(trained, "i1", "techno night, all of a sudden")
        assert trained.client.delete("/items/i2").status_code == 204
        encode = trained._next_job()
        assert encode is not None
        run_job(trained.context.database, encode.id, trained._encode, heartbeat_s=9, shutting_down=threading.Event())

    replay(trained, before_return=meanwhile)
    training = trained.train(promote="always")
    assert training["state"] == "succeeded", training["error"]
    stored = stored_vectors(trained, "v2")
    assert set(stored) == {f"i{n}" for n in range(ITEMS) if n != 2} | {"came"}
    np.testing.assert_allclose(stored["i1"][0], stored_vectors(trained, "v1")["i1"][0], atol=1e-5)
    assert not np.allclose(stored["i1"][0], load_of(trained, training["id"], "i1"), atol=1e-3)
    states = {item["item_id"]: item["state"] for item in trained.client.get("/items").json()["items"]}
    assert set(states.values()) == {"ready"}


def load_of(service: Service, training_id: str, item_id: str) -> Any:
    ids, vectors, _ = load_item_vectors(service.parts.artifacts.path(f"{service.project}/{training_id}"))
    return vectors[ids.index(item_id)]


def run_with_takeover(service: Service, training_id: str, second: Callable[[], None]) -> None:
    """Run a training whose worker is thought dead in the middle: another one claims it, and does `second`."""

    def taken_over() -> None:
        with service.context.database.transaction() as transaction:
            row = update(JobRow).where(JobRow.id == UUID(training_id))
            transaction.session.execute(row.values(state=JobState.QUEUED))
        replay(service, before_return=lambda: None)
        second()

    replay(service, before_return=taken_over)
    slow_parts = service.parts
    run_job(
        service.context.database,
        UUID(training_id),
        lambda run: TrainingPipeline(slow_parts, run).train(),
        heartbeat_s=60,
        shutting_down=threading.Event(),
    )


def test_a_training_done_twice_publishes_once(trained: Service) -> None:
    training_id = order(trained, promote="always")
    artifact: list[tuple[int, int]] = []

    def second() -> None:
        trained.run_jobs()
        with trained.context.database.transaction() as transaction:
            path = transaction.session.scalars(
                select(ModelVersionRow.artifact).where(ModelVersionRow.number == 2)
            ).one()
        stat = trained.parts.artifacts.path(path).stat()
        artifact.append((stat.st_ino, stat.st_mtime_ns))

    run_with_takeover(trained, training_id, second)
    assert versions(trained) == ["v2", "v1"]
    training = read(trained, training_id)
    assert (training["state"], training["attempts"]) == ("succeeded", 2)
    with trained.context.database.transaction() as transaction:
        path = transaction.session.scalars(select(ModelVersionRow.artifact).where(ModelVersionRow.number == 2)).one()
    stat = trained.parts.artifacts.path(path).stat()
    assert artifact == [(stat.st_ino, stat.st_mtime_ns)], "the slow worker must not touch what the other published"


def test_a_queued_training_is_cancelled_at_once(trained: Service) -> None:
    training_id = order(trained)
    cancelled = trained.client.delete(f"/admin/trainings/{training_id}")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    assert trained.run_jobs() == []
    assert trained.client.delete(f"/admin/trainings/{training_id}").json()["state"] == "cancelled"


def test_a_running_training_is_cancelled_and_leaves_no_version(trained: Service) -> None:
    training_id = order(trained)

    def cancel_and_wait() -> None:
        assert trained.client.delete(f"/admin/trainings/{training_id}").json()["state"] == "running"
        threading.Event().wait(5 * trained.settings.heartbeat_s)

    replay(trained, before_return=cancel_and_wait)
    trained.run_jobs()
    training = read(trained, training_id)
    assert training["state"] == "cancelled"
    assert training["finished_at"] is not None
    assert versions(trained) == ["v1"]


def test_a_training_that_is_over_stays_as_it_is(trained: Service) -> None:
    (first,) = trained.client.get("/admin/trainings").json()["trainings"]
    assert trained.client.delete(f"/admin/trainings/{first['id']}").json() == first


class KeepingTrainer(ReplayTrainer):
    """Leaves its state, and notes what state it found."""

    def train(self, dataset: Dataset, config: TrainingConfig, folders: Folders, **kwargs: Any) -> Any:
        self.found = {path.name for path in folders.kept.iterdir()}
        (folders.kept / "state").touch()
        return super().train(dataset, config, folders, **kwargs)


def keeping(service: Service, before_return: Callable[[], None] = lambda: None) -> KeepingTrainer:
    trainer = KeepingTrainer(replay(service).artifact, before_return=before_return)
    service.parts = dataclasses.replace(service.parts, trainer=trainer)
    return trainer


def scratch_folders(service: Service) -> list[str]:
    folder = service.parts.artifacts.path(str(service.project))
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def first_attempt(service: Service, training_id: str) -> KeepingTrainer:
    """An attempt in whose end the worker is told to leave off."""
    shutting_down = threading.Event()
    first = keeping(service, before_return=shutting_down.set)
    run_job(
        service.context.database,
        UUID(training_id),
        lambda run: TrainingPipeline(service.parts, run).train(),
        heartbeat_s=60,
        shutting_down=shutting_down,
    )
    assert scratch_folders(service) == [f".partial-kept-{training_id}"]
    return first


def test_the_state_of_a_training_that_the_worker_gave_back_is_there_in_the_next_attempt(trained: Service) -> None:
    training_id = order(trained)
    first = first_attempt(trained, training_id)
    second = keeping(trained)
    trained.run_jobs()
    assert read(trained, training_id)["state"] == "succeeded"
    assert (first.found, second.found) == ({"cut"}, {"cut", "state"})
    assert scratch_folders(trained) == []


def test_the_next_attempt_learns_from_the_same_data_whatever_came_meanwhile(
    trained: Service, fakes: dict[str, FakeEncoder]
) -> None:
    training_id = order(trained, promote="always")
    first = first_attempt(trained, training_id)
    put_item(trained, "came", "harbour boat")
    assert trained.client.delete("/items/i2").status_code == 204
    assert trained.client.delete("/items/i3").status_code == 204
    changed = {"i3": "came back as something else", "i6": "all of a sudden"}  # neither has a picture
    for item, title in changed.items():
        put_item(trained, item, title)
    trained.client.post("/events", json=[{"user_id": "u0", "item_id": "i4", "event_id": str(n)} for n in range(3)])
    second = keeping(trained)
    trained.run_jobs()
    training = read(trained, training_id)
    assert (training["state"], training["data_cut"]["events"]) == ("succeeded", USERS * EVENTS_A_USER)
    ((before,), (after,)) = first.datasets, second.datasets
    assert identity_of(TrainingConfig(), before) == identity_of(TrainingConfig(), after)
    stored = stored_vectors(trained, "v2")
    assert set(stored) == {f"i{n}" for n in range(ITEMS) if n != 2} | {"came"}
    tower = ItemTower(trained.parts.artifacts.path(f"{trained.project}/{training_id}"))
    for item, title in changed.items():
        states = states_of(title, fakes["text"].fingerprint)[None]
        expected, _ = tower.encode({"text": states}, np.array([[True, False]]))
        np.testing.assert_allclose(stored[item][0], expected[0], atol=1e-5)
        assert not np.allclose(stored[item][0], load_of(trained, training_id, item), atol=1e-3)
    np.testing.assert_array_equal(stored["i5"][0], load_of(trained, training_id, "i5"))
    assert {item["state"] for item in trained.client.get("/items").json()["items"]} == {"ready"}


@pytest.mark.parametrize("error", [JobInterrupted("killed"), SystemExit(1), KeyboardInterrupt()])
def test_what_is_kept_stays_when_the_sweep_will_revive_the_training(trained: Service, error: BaseException) -> None:
    training_id = order(trained)

    def end() -> None:
        raise error

    keeping(trained, before_return=end)
    with pytest.raises(type(error)):
        trained.run_jobs()
    assert read(trained, training_id)["state"] == "running"
    assert scratch_folders(trained) == [f".partial-kept-{training_id}"]


def test_what_is_kept_goes_with_upkeep_once_no_attempt_can_follow(trained: Service) -> None:
    def upkeep() -> list[str]:
        with trained.context.database.transaction() as transaction:
            discard_ended(transaction, trained.parts.artifacts)
        return scratch_folders(trained)

    assert upkeep() == []
    training_id = order(trained)
    first_attempt(trained, training_id)
    assert upkeep() == [f".partial-kept-{training_id}"]
    with trained.context.database.transaction() as transaction:
        assert list(JobRepository(transaction).open_ids(JobKind.TRAIN)) == [UUID(training_id)]
        assert list(JobRepository(transaction).open_ids(JobKind.ENCODE)) == []
    trained.client.delete(f"/admin/trainings/{training_id}")
    assert scratch_folders(trained) != [], "nobody works on it who could remove it"
    assert upkeep() == []


def test_the_state_of_a_cancelled_or_failed_training_goes(trained: Service) -> None:
    training_id = order(trained)

    def cancel_and_wait() -> None:
        trained.client.delete(f"/admin/trainings/{training_id}")
        threading.Event().wait(5 * trained.settings.heartbeat_s)

    def fail() -> None:
        raise TrainingFailed("not enough")

    keeping(trained, before_return=cancel_and_wait)
    trained.run_jobs()
    assert read(trained, training_id)["state"] == "cancelled"
    assert scratch_folders(trained) == []
    keeping(trained, before_return=fail)
    assert trained.train()["state"] == "failed"
    assert scratch_folders(trained) == []


class FailingTrainer(ReplayTrainer):
    def train(self, *args: Any, **kwargs: Any) -> Any:
        raise TrainingFailed("needs at least 2 users with 3 or more events about known items, found 0")


def test_a_failed_training_says_why_and_changes_nothing(trained: Service) -> None:
    trainer = FailingTrainer(replay(trained).artifact)
    trained.parts = dataclasses.replace(trained.parts, trainer=trainer)
    training = trained.train()
    assert training["state"] == "failed"
    assert training["error"].startswith("needs at least 2 users")
    assert training["data_cut"]["events"] == USERS * EVENTS_A_USER
    assert (versions(trained), live(trained)) == (["v1"], "v1")


@pytest.mark.parametrize("hyperparameters", [{}, {"epochs": 1}])
def test_too_little_data_is_a_failure_with_a_reason(light: Service, hyperparameters: dict[str, Any]) -> None:
    """The real trainer, which does not get as far as learning."""
    training = light.train(hyperparameters=hyperparameters)
    assert training["state"] == "failed"
    assert training["error"]
    put_item(light, "a", "x")
    light.client.post("/events", json=[{"user_id": "u", "item_id": "a", "event_id": str(n)} for n in range(5)])
    light.run_jobs()
    training = light.train(hyperparameters=hyperparameters)
    assert (training["state"], training["result"]) == ("failed", None)
    assert "needs at least 2 users" in training["error"]
    assert light.client.get("/admin/models").json() == {"models": []}


def test_a_live_version_whose_files_are_gone_does_not_stop_the_next_one(trained: Service) -> None:
    (first,) = trained.client.get("/admin/trainings").json()["trainings"]
    shutil.rmtree(trained.parts.artifacts.path(f"{trained.project}/{first['id']}"))
    training = trained.train()
    assert training["state"] == "succeeded", training["error"]
    assert training["result"]["promoted"]
    assert trained.client.get("/recommend/u0").json()["model_version"] == "v2"


def test_another_project_has_versions_of_its_own(trained: Service) -> None:
    other = client_of(trained, "other")
    assert other.get("/admin/models").json() == {"models": []}
    (first,) = trained.client.get("/admin/trainings").json()["trainings"]
    assert other.get(f"/admin/trainings/{first['id']}").status_code == 404
    assert other.delete(f"/admin/trainings/{first['id']}").status_code == 404
    assert other.post("/admin/models/v1/promote").status_code == 404
    with trained.context.database.transaction() as transaction:
        assert transaction.session.scalars(select(func.count()).select_from(ModelVersionRow)).one() == 1


def test_the_manifest_says_what_the_data_were(trained: Service, fakes: dict[str, FakeEncoder]) -> None:
    training = trained.train()
    manifest = load_manifest(trained.parts.artifacts.path(f"{trained.project}/{training['id']}"))
    assert manifest.meta["training"] == training["id"]
    assert manifest.meta["encoders"] == {name: fake.fingerprint for name, fake in fakes.items()}
    assert manifest.meta["data_cut"] == training["data_cut"]

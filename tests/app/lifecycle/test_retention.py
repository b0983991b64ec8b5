"""What is removed, and what stays though it looks like a leftover: also when somebody needs it at that very moment."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from app.core.errors import InvalidMedia
from app.core.jobs import JobKind
from app.core.types import JobState, MediaState, ProjectId
from app.db.tables import EncoderRow, HiddenStatesRow, JobRow, ModelVersionRow
from app.items.encoding_repository import EncodingRepository
from app.jobs.repository import JobRepository
from app.lifecycle import leftovers
from app.lifecycle.leftovers import PARTS, LeftoverRepository, Part
from app.lifecycle.retention import Retention, RetentionPolicy, Stores
from tests.fixtures import media
from tests.fixtures.service import Service
from tests.fixtures.trained import SMALL, put_item

DAY_S = 86_400.0
OLD_S = 3 * DAY_S


def retention(service: Service, *, versions: int = 10) -> Retention:
    context = service.context
    policy = RetentionPolicy(versions=versions, jobs_s=90 * DAY_S, messages_s=7 * DAY_S, leftover_s=DAY_S)
    stores = Stores(context.blobs, context.features, context.artifacts)
    return Retention(context.database, stores, context.queue, policy)


def clean(service: Service, **options: Any) -> None:
    """Every part once."""
    cleaner = retention(service, **options)
    for number in range(PARTS):
        cleaner.apply(number)


@pytest.fixture(autouse=True)
def one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look takes everything: the parts themselves have a test of their own."""
    monkeypatch.setattr(Part, "prefix", "")


@pytest.fixture
def every_blob(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for blobs, which lie in a folder a part."""
    blobs = light.context.blobs
    one = blobs.older_than

    def older_than(project: ProjectId, prefix: str, age_s: float) -> list[str]:
        return [name for number in range(PARTS) for name in one(project, f"{number:02x}", age_s)]

    monkeypatch.setattr(blobs, "older_than", older_than)


def make_old(service: Service) -> None:
    """As if all rows and files had been written days ago."""
    with service.context.database.transaction() as transaction:
        past = func.now() - timedelta(seconds=OLD_S)
        transaction.session.execute(update(HiddenStatesRow).values(created_at=past))
        transaction.session.execute(update(EncoderRow).values(updated_at=past))
    then = time.time() - OLD_S
    for path in service.settings.data_dir.rglob("*"):
        os.utime(path, (then, then))


def blobs(service: Service) -> set[str]:
    folder = service.settings.data_dir / "blobs" / str(service.project)
    return {path.name for path in folder.rglob("*") if path.is_file()}


def shards(service: Service) -> list[Path]:
    return sorted((service.settings.features_dir / str(service.project)).rglob("*.safetensors"))


def states(service: Service) -> int:
    with service.context.database.transaction() as transaction:
        return transaction.session.scalars(select(func.count()).select_from(HiddenStatesRow)).one()


class TestVersions:
    """Which go when there are more than are kept."""

    def train(self, service: Service, promote: str) -> None:
        assert service.train(promote=promote, hyperparameters=SMALL)["state"] == "succeeded"

    def left(self, service: Service) -> list[str]:
        return [model["version"] for model in service.client.get("/admin/models").json()["models"]]

    def test_the_newest_stay_and_what_serves_and_what_served_before(self, trained: Service) -> None:
        self.train(trained, "always")
        for _ in range(3):
            self.train(trained, "never")
        retention(trained, versions=1).apply(0)
        assert self.left(trained) == ["v5", "v2", "v1"], "v2 serves, and v1 is what a rollback goes to"
        trained.client.post("/admin/models/rollback")
        retention(trained, versions=1).apply(0)
        assert self.left(trained) == ["v5", "v1"]
        assert trained.client.get("/recommend/u0").json()["model_version"] == "v1"

    def test_the_archive_and_running_experiments_stay(self, trained: Service) -> None:
        for _ in range(4):
            self.train(trained, "never")
        trained.client.post("/admin/models/v2/archive")
        arms = [{"name": "a", "share": 0.5, "version": "v3"}, {"name": "b", "share": 0.5}]
        order = {"name": "e", "arms": arms, "metric": {"types": ["click"]}}
        experiment = trained.client.post("/admin/experiments", json=order).json()["id"]
        trained.client.post(f"/admin/experiments/{experiment}/start")
        retention(trained, versions=1).apply(0)
        assert self.left(trained) == ["v5", "v3", "v2", "v1"]

    def test_nothing_goes_while_there_are_few(self, trained: Service) -> None:
        self.train(trained, "never")
        retention(trained, versions=2).apply(0)
        assert self.left(trained) == ["v2", "v1"]

    def test_the_files_of_a_version_whose_deleter_died(self, trained: Service) -> None:
        self.train(trained, "never")
        folder = next((trained.settings.artifacts_dir / str(trained.project)).glob("[!.]*"))
        with trained.context.database.transaction() as transaction:
            deleted = update(ModelVersionRow).where(ModelVersionRow.number == 2)
            artifact = transaction.session.scalars(
                deleted.values(deleted_at=func.now()).returning(ModelVersionRow.artifact)
            ).one()
        orphan = trained.context.artifacts.path(artifact)
        retention(trained).apply(0)
        assert orphan.is_dir(), "it is young"
        make_old(trained)
        retention(trained).apply(0)
        assert not orphan.exists()
        assert trained.client.get("/recommend/u0").json()["model_version"] == "v1"
        assert folder.exists() or folder == orphan


class TestStates:
    """Hidden states of items and encoders."""

    def test_what_items_and_encoders_need_stays(self, light: Service) -> None:
        for number in range(3):
            put_item(light, f"i{number}", f"text {number}")
        light.run_jobs()
        make_old(light)
        retention(light).apply(0)
        assert (states(light), len(shards(light))) == (3, 1)

    def test_a_shard_goes_when_all_its_contents_have_gone_and_its_file_later(self, light: Service) -> None:
        for number in range(2):
            put_item(light, f"i{number}", f"text {number}")
        light.run_jobs()
        make_old(light)
        light.client.delete("/items/i0")
        retention(light).apply(0)
        assert (states(light), len(shards(light))) == (2, 1), "the other content is needed"
        light.client.delete("/items/i1")
        retention(light).apply(0)
        assert (states(light), len(shards(light))) == (0, 1), "who has just looked up where it lies can still read it"
        make_old(light)
        retention(light).apply(0)
        assert shards(light) == []

    def test_young_states_stay(self, light: Service) -> None:
        put_item(light, "a", "x")
        light.run_jobs()
        light.client.delete("/items/a")
        retention(light).apply(0)
        assert states(light) == 1

    def test_what_failed_or_waits_for_nobody(self, light: Service) -> None:
        put_item(light, "a", "x")
        put_item(light, "b", "y")
        light.client.delete("/items/a")
        with light.context.database.transaction() as transaction:
            work = EncodingRepository(transaction, light.project)
            work.plan("text", light.encoding._encoders["text"].fingerprint)
            transaction.session.execute(
                HiddenStatesRow.__table__.insert().values(  # type: ignore[attr-defined]
                    project_id=light.project, content_hash="0" * 64, fingerprint="f" * 64, modality="text"
                )
            )
        make_old(light)
        with light.context.database.transaction() as transaction:
            LeftoverRepository(transaction, light.project).drop_lonely_states(Part(0, DAY_S))
        assert states(light) == 1, "b's waits for an encoder"

    def test_states_of_an_encoder_that_nothing_names(self, light: Service) -> None:
        put_item(light, "a", "x")
        light.run_jobs()
        with light.context.database.transaction() as transaction:
            transaction.session.execute(update(HiddenStatesRow).values(fingerprint="f" * 64))
        retention(light).apply(0)
        assert states(light) == 1, "the encoder may come back"
        make_old(light)
        retention(light).apply(0)
        assert states(light) == 0
        assert len(shards(light)) == 1
        make_old(light)
        retention(light).apply(0)
        assert shards(light) == []

    def test_states_of_encoders_that_a_version_names_stay(self, trained: Service) -> None:
        before = states(trained)
        with trained.context.database.transaction() as transaction:
            transaction.session.execute(update(EncoderRow).values(fingerprint="f" * 64))
        make_old(trained)
        retention(trained).apply(0)
        assert states(trained) == before > 0
        with trained.context.database.transaction() as transaction:
            transaction.session.execute(update(ModelVersionRow).values(deleted_at=func.now()))
        retention(trained).apply(0)
        assert states(trained) == 0

    def test_nothing_goes_before_there_are_encoders(self, light: Service) -> None:
        put_item(light, "a", "x")
        light.run_jobs()
        make_old(light)
        with light.context.database.transaction() as transaction:
            transaction.session.execute(delete(EncoderRow))
        retention(light).apply(0)
        assert states(light) == 1

    def test_a_shard_that_a_dying_worker_left(self, light: Service) -> None:
        put_item(light, "a", "x")
        light.run_jobs()
        (shard,) = shards(light)
        orphan, half = shard.with_name("00.safetensors"), shard.with_name("01.partial")
        for path in (orphan, half):
            path.write_bytes(shard.read_bytes())
        retention(light).apply(0)
        assert orphan.exists()
        make_old(light)
        retention(light).apply(0)
        assert shards(light) == [shard]
        assert not half.exists()


@dataclass
class Race:
    """Runs `meanwhile` in the middle of a clean-up: when it has found what to delete, and not yet deleted it."""

    meanwhile: Callable[[], None]
    happened: bool = False

    def install(self, monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
        """Before the statement of this name."""
        original = getattr(leftovers, statement)
        race = self

        def execute(session: Any, clause: Any, *args: Any, **kwargs: Any) -> Any:
            if clause is original and not race.happened:
                race.happened = True
                race.meanwhile()
            return plain(session, clause, *args, **kwargs)

        plain = Session.execute
        monkeypatch.setattr(Session, "execute", execute)


class TestRaces:
    """Somebody uploads what is just being removed."""

    @pytest.fixture
    def lonely(self, light: Service) -> Service:
        put_item(light, "a", "x")
        light.run_jobs()
        light.client.delete("/items/a")
        make_old(light)
        return light

    def test_an_upload_between_look_and_deletion(self, lonely: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        race = Race(lambda: put_item(lonely, "again", "x") and None)
        race.install(monkeypatch, "_DROP_LONELY")
        retention(lonely).apply(0)
        assert race.happened
        assert states(lonely) == 1, "the deletion looks again"
        lonely.run_jobs()
        assert lonely.client.get("/items/again").json()["state"] == "encoded"
        self.assert_readable(lonely)

    def test_an_encoder_that_counts_on_a_row_waits_for_the_deletion_and_lists_it_anew(self, lonely: Service) -> None:
        put_item(lonely, "again", "y")
        with lonely.context.database.transaction() as transaction:
            gone = transaction.session.execute(delete(HiddenStatesRow).returning(HiddenStatesRow.content_hash))
            content = gone.scalars().one()
            with lonely.context.database.transaction() as other:
                other.session.execute(text("UPDATE media SET content_hash = :content"), {"content": content})
            working = threading.Thread(target=lonely.run_jobs)
            working.start()
            working.join(0.5)
            assert working.is_alive(), "planning waits for the rows that are being deleted"
        working.join()
        assert states(lonely) == 1
        self.assert_readable(lonely)

    def test_a_deletion_that_comes_second_finds_the_row_needed(self, lonely: Service) -> None:
        put_item(lonely, "again", "x")
        retention(lonely).apply(0)
        lonely.run_jobs()
        assert states(lonely) == 1
        self.assert_readable(lonely)

    def assert_readable(self, service: Service) -> None:
        """Every encoded content has its states."""
        with service.context.database.transaction() as transaction:
            query = (
                select(HiddenStatesRow.shard)
                .join_from(HiddenStatesRow, EncoderRow, EncoderRow.fingerprint == HiddenStatesRow.fingerprint)
                .where(HiddenStatesRow.state == MediaState.ENCODED)
            )
            found = transaction.session.scalars(query).all()
        assert len(found) == 1
        assert (service.settings.features_dir / str(found[0])).is_file()

    def test_bytes_that_are_stored_again_while_they_are_removed(self, lonely: Service) -> None:
        """Old and unused when found, then uploaded, then removed: whichever way it goes, the bytes are there."""
        store = lonely.context.blobs
        (content,) = blobs(lonely)
        assert store.older_than(lonely.project, content[:2], DAY_S) == [content]
        store.put(lonely.project, content, BytesIO(b"x"))
        assert not store.delete_old(lonely.project, content, DAY_S)
        assert store.get(lonely.project, content) == b"x"

    def test_bytes_that_are_stored_again_after_they_were_removed(self, lonely: Service) -> None:
        store = lonely.context.blobs
        (content,) = blobs(lonely)
        assert store.delete_old(lonely.project, content, DAY_S)
        assert blobs(lonely) == set()
        store.put(lonely.project, content, BytesIO(b"x"))
        assert store.get(lonely.project, content) == b"x"

    def test_uploads_and_removals_all_at_once(self, lonely: Service) -> None:
        store = lonely.context.blobs
        (content,) = blobs(lonely)
        path = next((lonely.settings.data_dir / "blobs").rglob(content))
        for _ in range(500):
            then = time.time() - OLD_S
            os.utime(path, (then, then))
            removing = threading.Thread(target=store.delete_old, args=(lonely.project, content, DAY_S))
            removing.start()
            store.put(lonely.project, content, BytesIO(b"x"))
            removing.join()
            assert store.get(lonely.project, content) == b"x"


@pytest.mark.usefixtures("every_blob")
class TestBlobs:
    """The bytes of media."""

    def test_what_an_item_has_stays_and_the_rest_goes_when_it_is_old(self, light: Service) -> None:
        put_item(light, "a", "x")
        put_item(light, "b", "y")
        light.client.post("/items/a/media/image", content=media.png(1))
        light.run_jobs()
        before = blobs(light)
        light.client.delete("/items/a")
        retention(light).apply(0)
        assert blobs(light) == before
        make_old(light)
        retention(light).apply(0)
        (left,) = blobs(light)
        assert light.client.get("/items/b").json()["media"]["text"]["sha256"] == left

    def test_an_upload_that_came_to_nothing(self, light: Service) -> None:
        stored = light.context.intake.accept_text(light.project, "nobody's")
        folder = next((light.settings.data_dir / "blobs").rglob(stored.content_hash)).parent
        (folder / f"{stored.content_hash}.abc.partial").write_bytes(b"half")
        make_old(light)
        retention(light).apply(0)
        assert blobs(light) == set()
        with pytest.raises(InvalidMedia):
            light.context.intake.accept(light.project, "image", BytesIO(b"nothing"))

    def test_another_projects_bytes_are_its_own(self, light: Service) -> None:
        other = light.project_client("other")
        other.portal = light.client.portal
        assert other.put("/items/a", json={"title": "x"}).status_code == 201
        make_old(light)
        put_item(light, "a", "x")
        light.client.delete("/items/a")
        make_old(light)
        retention(light).apply(0)
        assert blobs(light) == set()
        assert len(list((light.settings.data_dir / "blobs").rglob("?" * 64))) == 1


def test_the_parts_are_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert sorted(Part(number, DAY_S).prefix for number in range(7, 7 + PARTS)) == [f"{n:02x}" for n in range(PARTS)]


def test_ended_jobs_are_forgotten_but_trainings_of_versions_and_of_schedules(trained: Service) -> None:
    with trained.context.database.transaction() as transaction:
        jobs = JobRepository(transaction)
        rows = [jobs.add(trained.project, JobKind.TRAIN, {}) for _ in range(3)]
        transaction.session.execute(
            update(JobRow).values(state=JobState.FAILED, finished_at=func.now() - timedelta(days=91))
        )
        forgotten, recent, scheduled = (row.id for row in rows)
        transaction.session.execute(update(JobRow).where(JobRow.id == recent).values(finished_at=func.now()))
    order = {"cron": "0 3 * * *"}
    assert trained.client.put("/admin/schedules/s", json=order).status_code == 201
    with trained.context.database.transaction() as transaction:
        transaction.session.execute(text("UPDATE schedules SET last_job_id = :job"), {"job": scheduled})
    retention(trained).apply(0)
    of_v1 = trained.client.get("/admin/models/v1").json()["training_id"]
    with trained.context.database.transaction() as transaction:
        left = set(map(str, transaction.session.scalars(select(JobRow.id).where(JobRow.kind == JobKind.TRAIN))))
    assert left == {of_v1, str(recent), str(scheduled)}
    assert str(forgotten) not in left

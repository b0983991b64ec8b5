"""The encoders' work list, with encoders that count."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from app.core.jobs import JobKind
from app.core.types import JobState
from app.db.tables import HiddenStatesRow, JobRow
from app.items import encoding, encoding_chunks
from app.items.encoding import EncodingService
from app.items.encoding_chunks import MAX_ATTEMPTS
from app.items.upkeep import ensure_upkeep
from app.jobs.run import run_job
from app.stores.blobs import FsspecBlobStore
from app.stores.features import FeatureStore
from tests.fixtures import media
from tests.fixtures.fake_encoders import FakeEncoder, states_of
from tests.fixtures.service import Service, decode_here
from tests.fixtures.trained import put_item


def state(service: Service, item_id: str) -> tuple[str, str | None]:
    item = service.client.get(f"/items/{item_id}").json()
    return item["state"], item["error"]


def medium(service: Service, item_id: str, modality: str) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get(f"/items/{item_id}").json()["media"][modality]
    return found


def upload(service: Service, item_id: str, data: bytes, modality: str = "image") -> None:
    answer = service.client.post(f"/items/{item_id}/media/{modality}", content=data)
    assert answer.status_code == 202, answer.text


def rows(service: Service) -> list[HiddenStatesRow]:
    with service.context.database.transaction() as transaction:
        return list(transaction.session.scalars(select(HiddenStatesRow).order_by(HiddenStatesRow.id)))


def with_encoders(service: Service, encoders: dict[str, FakeEncoder]) -> None:
    """As if the worker had been started anew with other encoders."""
    context = service.context
    service.encoding = EncodingService(
        context.database, context.blobs, context.features, encoders=encoders, decode=decode_here, batch=32
    )
    service.encoding.register(context.queue)


def test_every_medium_is_stored_under_its_own_states(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    for number in range(5):
        put_item(light, f"i{number}", f"title {number}")
    light.run_jobs()
    found = rows(light)
    assert len(found) == 5
    texts = {sample.decode() for sample in fakes["text"].encoded}
    assert texts == {f"title {number}" for number in range(5)}
    for row in found:
        text = light.context.blobs.get(light.project, row.content_hash).decode()
        out = np.empty((1, 3, 8), np.float16)
        light.context.features.read_into(out, [row.shard or ""], [row.shard_row or 0])
        np.testing.assert_array_equal(out[0], states_of(text, row.fingerprint))


def test_the_same_bytes_are_encoded_once(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    for number in range(3):
        put_item(light, f"i{number}", "same title")
        upload(light, f"i{number}", media.png(1))
    light.run_jobs()
    put_item(light, "late", "same title")
    upload(light, "i0", media.png(1))
    light.run_jobs()
    assert len(fakes["text"].encoded) == len(fakes["image"].encoded) == 1
    assert {state(light, item) for item in ("i0", "i1", "i2", "late")} == {("encoded", None)}


def test_the_first_chunk_is_half_a_batch_and_later_ones_suit_the_encoders_speed(
    light: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding_chunks, "CHUNK_S", 1e6)
    quick = {"text": FakeEncoder("text", batch_size=6), "image": FakeEncoder("image")}
    with_encoders(light, quick)
    for number in range(40):
        put_item(light, f"i{number}", f"title {number}")
    light.run_jobs()
    # The encoder waits for the first one; in so much time it could do more than the others, but 32 is the most.
    assert [len(batch) for batch in quick["text"].batches] == [3, 32, 5]


def test_what_is_taken_ahead_is_never_what_is_being_encoded(light: Service) -> None:
    with_encoders(light, {"text": (small := FakeEncoder("text", batch_size=2))})
    ahead = threading.Event()
    taker = light.encoding._chunks

    class Noting(type(taker)):  # type: ignore[misc]
        def take(self, *args: Any, **options: Any) -> Any:
            chunk = super().take(*args, **options)
            if small.encoded:
                ahead.set()
            return chunk

    taker.__class__ = Noting
    small.refuses = lambda sample: not ahead.wait(20)
    for number in range(5):
        put_item(light, f"i{number}", f"title {number}")
    light.run_jobs()
    assert sorted(small.encoded) == [f"title {number}".encode() for number in range(5)]
    assert [row.attempts for row in rows(light)] == [1] * 5


def test_a_corrupt_medium_fails_with_a_reason_and_harms_no_other(light: Service) -> None:
    for item in ("good", "bad"):
        put_item(light, item, item)
    upload(light, "good", media.png(1))
    upload(light, "bad", media.truncated_jpeg())
    light.run_jobs()
    assert state(light, "good") == ("encoded", None)
    name, error = state(light, "bad")
    assert name == "failed"
    assert error is not None
    assert error.startswith("image: ")
    assert medium(light, "bad", "image")["state"] == "failed"
    assert medium(light, "bad", "text")["state"] == "encoded"


def test_another_upload_heals_it(light: Service) -> None:
    put_item(light, "a", "x")
    upload(light, "a", media.truncated_jpeg())
    light.run_jobs()
    upload(light, "a", media.png(1))
    assert state(light, "a") == ("pending", None)
    light.run_jobs()
    assert state(light, "a") == ("encoded", None)
    assert medium(light, "a", "image")["error"] is None


def test_a_chunk_that_fails_is_halved_down_to_the_one_at_fault(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    fakes["text"].refuses = lambda sample: sample == "title 2"
    for number in range(5):
        put_item(light, f"i{number}", f"title {number}")
    light.run_jobs()
    assert [state(light, f"i{number}")[0] for number in range(5)] == ["encoded"] * 2 + ["failed"] + ["encoded"] * 2
    assert state(light, "i2")[1] == "text: the encoder refused it: not finite"
    assert len(fakes["text"].batches) <= 1 + 2 * 3, "ceil(log2(5)) times two halves"


def test_missing_bytes_fail_and_the_same_bytes_uploaded_again_heal(light: Service) -> None:
    put_item(light, "a", "x")
    upload(light, "a", media.png(1))
    blobs = light.context.blobs
    assert isinstance(blobs, FsspecBlobStore)
    blobs._fs.rm(blobs._path(light.project, medium(light, "a", "image")["sha256"]))
    light.run_jobs()
    assert state(light, "a") == ("failed", "image: the stored bytes are missing")
    upload(light, "a", media.png(1))
    light.run_jobs()
    assert state(light, "a") == ("encoded", None)


def test_another_encoder_encodes_everything_of_its_modality_anew(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    put_item(light, "a", "x")
    upload(light, "a", media.png(1))
    light.run_jobs()
    with_encoders(light, {**fakes, "text": (other := FakeEncoder("text", version="2"))})
    assert medium(light, "a", "text")["state"] == "pending"
    light.run_jobs()
    assert other.encoded == [b"x"]
    assert len(fakes["image"].encoded) == 1
    assert state(light, "a") == ("encoded", None)
    with_encoders(light, fakes)
    light.run_jobs()
    assert fakes["text"].encoded == [b"x"], "what an encoder has made is kept"


def test_the_same_encoder_again_changes_nothing(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    put_item(light, "a", "x")
    light.run_jobs()
    with_encoders(light, fakes)
    assert light.run_jobs() == []


class WorkerKilled(BaseException):
    """What no code of ours catches."""


def die_over(service: Service, fakes: dict[str, FakeEncoder], text: str) -> int:
    """Run encode jobs whose worker dies over a text, each time a new one, until none dies; how often one died."""

    def refuses(sample: Any) -> bool:
        if sample == text:
            raise WorkerKilled
        return False

    fakes["text"].refuses = refuses
    for deaths in range(20):
        try:
            service.run_jobs()
        except WorkerKilled:
            with service.context.database.transaction() as transaction:
                session = transaction.session
                session.execute(update(JobRow).where(JobRow.state == JobState.RUNNING).values(state=JobState.FAILED))
            post = service.client.post("/items/trigger/media/image", content=media.png(deaths + 10))
            assert post.status_code == 202
        else:
            return deaths
    raise AssertionError("it was never given up")


def test_content_that_kills_its_worker_is_given_up_and_nothing_else_is(
    light: Service, fakes: dict[str, FakeEncoder]
) -> None:
    put_item(light, "trigger", "trigger")
    for number in range(6):
        put_item(light, f"i{number}", f"title {number}")
    deaths = die_over(light, fakes, "title 3")
    assert deaths <= MAX_ATTEMPTS
    states = {f"i{number}": state(light, f"i{number}") for number in range(6)}
    assert states.pop("i3") == ("failed", "text: the worker died each time it was encoded")
    assert set(states.values()) == {("encoded", None)}


def test_two_jobs_share_the_work(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    """The second job begins while the first is inside its encoder: it takes other contents, and none twice."""
    with_encoders(light, {"text": (slow := FakeEncoder("text", batch_size=4)), "image": fakes["image"]})
    for number in range(2):
        put_item(light, f"i{number}", f"title {number}")
    inside, go_on = threading.Event(), threading.Event()

    def wait(sample: Any) -> bool:
        if not inside.is_set():
            inside.set()
            assert go_on.wait(20)
        return False

    slow.refuses = wait
    first = threading.Thread(target=light.run_jobs)
    first.start()
    assert inside.wait(20)
    put_item(light, "i2", "title 2")
    light.run_jobs()
    assert state(light, "i2") == ("encoded", None)
    assert state(light, "i0")[0] == "pending"
    go_on.set()
    first.join()
    assert sorted(slow.encoded) == [b"title 0", b"title 1", b"title 2"]
    assert {state(light, f"i{number}") for number in range(3)} == {("encoded", None)}


def test_a_job_that_shall_end_keeps_what_is_done(light: Service) -> None:
    with_encoders(light, {"text": (small := FakeEncoder("text", batch_size=1)), "image": FakeEncoder("image")})
    for number in range(3):
        put_item(light, f"i{number}", f"title {number}")

    def shut_down(sample: Any) -> bool:
        light.shutting_down.set()
        return False

    small.refuses = shut_down
    job = light._next_job()
    assert job is not None
    run_job(light.context.database, job.id, light._encode, heartbeat_s=0.1, shutting_down=light.shutting_down)
    assert len(small.encoded) == 1
    light.shutting_down.clear()
    waiting = light._next_job()
    assert waiting is not None
    assert (waiting.kind, waiting.sent_at) == (JobKind.ENCODE, None)
    small.refuses = lambda sample: False
    light.run_jobs()
    assert sorted(small.encoded) == [b"title 0", b"title 1", b"title 2"]


def test_what_a_failed_job_leaves_behind_is_taken_up_again(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say, that has room again when the sweep comes by."""
    put_item(light, "a", "x")

    def full(*args: Any) -> str:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "write", full)
        with pytest.raises(OSError, match="no space"):
            light.run_jobs()
    with light.context.database.transaction() as transaction:
        ensure_upkeep(transaction, light.context.queue, pause_s=60)
    assert light.run_jobs() == []
    with light.context.database.transaction() as transaction:
        ensure_upkeep(transaction, light.context.queue, pause_s=0)
    light.run_jobs()
    assert state(light, "a") == ("encoded", None)


def test_an_item_changed_while_it_is_encoded_is_encoded_again(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    put_item(light, "a", "old")

    def change(sample: Any) -> bool:
        if sample == "old":
            put_item(light, "a", "new")
        return False

    fakes["text"].refuses = change
    light.run_jobs()
    assert fakes["text"].encoded == [b"old", b"new"]
    assert state(light, "a") == ("encoded", None)


def test_an_item_deleted_while_it_is_encoded_stays_deleted(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    put_item(light, "a", "old")

    def delete(sample: Any) -> bool:
        assert light.client.delete("/items/a").status_code == 204
        return False

    fakes["text"].refuses = delete
    light.run_jobs()
    assert light.client.get("/items/a").status_code == 404


@pytest.mark.parametrize("broken", ["text", "image"])
def test_a_failed_item_is_recommended_by_its_other_medium(
    trained: Service, fakes: dict[str, FakeEncoder], broken: str
) -> None:
    fakes[broken].refuses = lambda sample: True
    put_item(trained, "half", "harbour boat, again")
    upload(trained, "half", media.png(77))
    trained.run_jobs()
    item = trained.client.get("/items/half").json()
    assert (item["state"], item["recommendable"]) == ("failed", True)
    answer = trained.client.get("/recommend/u1?limit=1000").json()
    (shown,) = [one for one in answer["items"] if one["item_id"] == "half"]
    assert shown["shares"][broken] == 0


def test_a_fault_of_the_device_is_not_held_against_the_content(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    put_item(light, "a", "x")
    fakes["text"].broken = RuntimeError("CUDA error: out of memory")
    with pytest.raises(RuntimeError, match="CUDA"):
        light.run_jobs()
    assert [(row.state, row.attempts) for row in rows(light)] == [("pending", 0)]
    fakes["text"].broken = None
    with light.context.database.transaction() as transaction:
        ensure_upkeep(transaction, light.context.queue, pause_s=0)
    light.run_jobs()
    assert state(light, "a") == ("encoded", None)


def test_a_fresh_upload_does_not_wait_for_a_backlog(
    light: Service, fakes: dict[str, FakeEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "SLICE_S", 0.0)
    fakes["text"].spec = replace(fakes["text"].spec, batch_size=1)
    backlog = ("a", "b", "c")
    for name in backlog:
        put_item(light, name, name)

    def upload_another(sample: Any) -> bool:
        if len(fakes["text"].encoded) == 1:
            put_item(light, "fresh", "fresh")
        return False

    fakes["text"].refuses = upload_another
    light.run_jobs()
    assert fakes["text"].encoded[1] == b"fresh"
    assert sorted(fakes["text"].encoded) == [b"a", b"b", b"c", b"fresh"]
    assert {state(light, name) for name in (*backlog, "fresh")} == {("encoded", None)}

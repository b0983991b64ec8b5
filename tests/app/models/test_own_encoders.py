"""A live version that has changed the encoders of two modalities: every item gets a vector of both, or none yet."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import OperationalError

from app.core.jobs import JobKind
from app.core.types import ItemState, JobState
from app.db.tables import HiddenStatesRow, ItemRow, ItemVectorRow, JobRow, MediaRow, ModelVersionRow
from app.items import encoding
from app.items.encoding import EncodingService, OwnEncoder
from app.items.encoding_repository import EncodingRepository
from app.items.upkeep import ensure_upkeep
from app.models.vectors import VectorService
from model.encoders.decode import DecodeLimits, Sample, decode
from model.runtime import ItemTower
from tests.fixtures import media
from tests.fixtures.fake_encoders import FakeEncoder, states_of
from tests.fixtures.own_encoders import change_encoders
from tests.fixtures.service import Service, decode_here
from tests.fixtures.trained import put_item

PICTURE = 91


@pytest.fixture
def own() -> dict[str, FakeEncoder]:
    """The version's encoders; a test may break them, or take them away."""
    return {name: FakeEncoder(name, version="changed") for name in ("text", "image")}


@pytest.fixture
def changed(trained: Service, fakes: dict[str, FakeEncoder], own: dict[str, FakeEncoder]) -> Iterator[Service]:
    """The trained service, its version one that has changed both encoders."""
    fingerprints = {name: encoder.fingerprint for name, encoder in own.items()}
    change_encoders(trained, fingerprints)
    context = trained.context

    def find(name: str) -> Callable[[], FakeEncoder | None]:
        return lambda: own.get(name)

    trained.encoding = EncodingService(
        context.database,
        context.blobs,
        context.features,
        encoders=fakes,
        decode=decode_here,
        batch=32,
        own_encoders=lambda project: [OwnEncoder(name, key, find(name)) for name, key in fingerprints.items()],
    )
    return trained


def upload(service: Service, item_id: str, data: bytes, modality: str = "image") -> None:
    answer = service.client.post(f"/items/{item_id}/media/{modality}", content=data)
    assert answer.status_code == 202, answer.text


def put_both(service: Service, item_id: str, title: str) -> None:
    put_item(service, item_id, title)
    upload(service, item_id, media.png(PICTURE))


def vector(service: Service, item_id: str) -> Any:
    with service.context.database.transaction() as transaction:
        query = (
            select(ItemVectorRow.vector)
            .join(ItemRow, ItemRow.id == ItemVectorRow.item_pk)
            .where(ItemRow.item_id == item_id)
        )
        found = transaction.session.scalars(query).one_or_none()
    return None if found is None else np.frombuffer(found, "<f4")


def expected(service: Service, own: dict[str, FakeEncoder], *, title: str | None, picture: int | None) -> Any:
    """The slow way: the states that each of the version's encoders gives, through its item tower."""
    with service.context.database.transaction() as transaction:
        artifact = transaction.session.scalars(select(ModelVersionRow.artifact)).one()
    samples: dict[str, Sample] = {}
    if title is not None:
        samples["text"] = title
    if picture is not None:
        samples["image"] = decode(own["image"].spec, media.png(picture), DecodeLimits())
    tower = ItemTower(service.context.artifacts.path(artifact))
    states = {name: states_of(sample, own[name].fingerprint)[None] for name, sample in samples.items()}
    present = np.array([[name in samples for name in tower.modalities]])
    return tower.encode(states, present)[0][0]


def state(service: Service, item_id: str) -> str:
    return str(service.client.get(f"/items/{item_id}").json()["state"])


def waiting_for_vectors(service: Service) -> set[str]:
    with service.context.database.transaction() as transaction:
        return set(transaction.session.scalars(select(ItemRow.item_id).where(ItemRow.needs_vector)))


def sweep(service: Service) -> None:
    with service.context.database.transaction() as transaction:
        ensure_upkeep(transaction, service.context.queue, pause_s=0)


def forget_vector(service: Service, item_id: str) -> None:
    """As if the item had come while another version was live."""
    with service.context.database.transaction() as transaction:
        pk = select(ItemRow.id).where(ItemRow.item_id == item_id).scalar_subquery()
        transaction.session.execute(delete(ItemVectorRow).where(ItemVectorRow.item_pk == pk))
        waiting = {"state": ItemState.ENCODED, "needs_vector": True}
        transaction.session.execute(update(ItemRow).where(ItemRow.item_id == item_id).values(waiting))


def own_rows(service: Service, own: dict[str, FakeEncoder]) -> dict[str, list[str]]:
    """States of the contents on the work lists of the version's encoders, by modality."""
    with service.context.database.transaction() as transaction:
        return {
            name: list(
                transaction.session.scalars(
                    select(HiddenStatesRow.state).where(HiddenStatesRow.fingerprint == encoder.fingerprint)
                )
            )
            for name, encoder in own.items()
        }


def test_a_new_item_has_no_vector_until_both_encoders_have_seen_it(
    changed: Service, own: dict[str, FakeEncoder]
) -> None:
    seen: list[Any] = []
    for encoder in own.values():
        encoder.refuses = lambda sample: bool(seen.append(vector(changed, "new")))
    put_both(changed, "new", "harbour lights")
    changed.run_jobs()
    assert seen == [None, None]
    both = expected(changed, own, title="harbour lights", picture=PICTURE)
    np.testing.assert_allclose(vector(changed, "new"), both, rtol=1e-5, atol=1e-6)
    assert state(changed, "new") == "ready"
    assert waiting_for_vectors(changed) == set()
    sweep(changed)
    assert changed.run_jobs() == []


def test_a_published_vector_stays_until_there_is_one_of_all_new_contents(
    changed: Service, own: dict[str, FakeEncoder]
) -> None:
    """The item's picture is an old one, which only the encoder in charge has seen."""
    published = vector(changed, "i1")
    seen: list[Any] = []
    for encoder in own.values():
        encoder.refuses = lambda sample: bool(seen.append(vector(changed, "i1")))
    put_item(changed, "i1", "another title")
    changed.run_jobs()
    assert len(seen) == 2
    for one in seen:
        np.testing.assert_array_equal(one, published)
    both = expected(changed, own, title="another title", picture=1)
    np.testing.assert_allclose(vector(changed, "i1"), both, rtol=1e-5, atol=1e-6)


def test_an_index_job_that_comes_before_the_encode_job_makes_no_vector_of_a_part(
    changed: Service, own: dict[str, FakeEncoder]
) -> None:
    forget_vector(changed, "i1")
    assert changed.client.post("/admin/models/v1/promote").status_code == 200
    assert waiting_for_vectors(changed) == {"i1"}
    assert changed.vectors.refresh(changed.project) == 0
    assert waiting_for_vectors(changed) == set()
    assert own_rows(changed, own) == {"text": ["pending"], "image": ["pending"]}
    changed.run_jobs()
    np.testing.assert_allclose(
        vector(changed, "i1"), expected(changed, own, title="harbour boat 1", picture=1), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("died", ["before", "after"])
def test_what_is_put_aside_has_a_job_whatever_dies(
    changed: Service, own: dict[str, FakeEncoder], monkeypatch: pytest.MonkeyPatch, died: str
) -> None:
    """The worker dies before or after it puts the item aside; no message of its own follows."""
    monkeypatch.setattr(VectorService, "_ensure_encoding", lambda service, project: None)
    forget_vector(changed, "i1")
    if died == "after":
        assert changed.vectors.refresh(changed.project) == 0
    for _ in range(2):
        sweep(changed)
        changed.run_jobs()
    assert state(changed, "i1") == "ready"
    assert vector(changed, "i1") is not None


def test_the_sweep_sends_an_encode_job_for_what_was_put_aside(changed: Service, own: dict[str, FakeEncoder]) -> None:
    forget_vector(changed, "i1")
    changed.vectors.refresh(changed.project)
    with changed.context.database.transaction() as transaction:
        queued = select(JobRow.kind).where(JobRow.state == JobState.QUEUED)
        assert transaction.session.scalars(queued).all() == [JobKind.ENCODE]


@pytest.mark.parametrize("fault", ["not loaded", "out of memory"])
def test_a_live_encoder_that_fails_keeps_nobody_else_from_work(
    changed: Service, own: dict[str, FakeEncoder], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "SLICE_S", 0.0)
    healthy = own["text"]
    if fault == "not loaded":
        del own["text"]
    else:
        own["text"].broken = RuntimeError("CUDA error: out of memory")
    for number in range(3):
        put_both(changed, f"new{number}", f"title {number}")
    jobs = changed.run_jobs()
    with changed.context.database.transaction() as transaction:
        assert {transaction.session.get_one(JobRow, job).state for job in jobs} == {JobState.SUCCEEDED}
        attempts = select(HiddenStatesRow.attempts).where(HiddenStatesRow.fingerprint == healthy.fingerprint)
        assert set(transaction.session.scalars(attempts)) == {0}
    assert {state(changed, f"new{number}") for number in range(3)} == {"encoded"}
    assert len(own["image"].encoded) == 1, "the other one goes on"
    assert vector(changed, "new0") is None
    healthy.broken, own["text"] = None, healthy
    sweep(changed)
    changed.run_jobs()
    assert {state(changed, f"new{number}") for number in range(3)} == {"ready"}


def test_an_item_that_is_ready_is_left_alone_when_another_brings_the_same_bytes(
    changed: Service, own: dict[str, FakeEncoder]
) -> None:
    published = vector(changed, "i1")
    put_item(changed, "twin", "harbour boat 1")
    changed.run_jobs()
    assert state(changed, "twin") == "ready"
    np.testing.assert_array_equal(vector(changed, "i1"), published)
    assert (own["text"].encoded, own["image"].encoded) == ([b"harbour boat 1"], [])


def test_an_item_that_waits_for_an_encoder_in_charge_waits_for_no_vector(
    changed: Service, own: dict[str, FakeEncoder]
) -> None:
    """Its picture is uploaded while the version's encoder is at its text."""

    def and_a_picture(sample: Sample) -> bool:
        upload(changed, "new", media.png(PICTURE))
        return False

    own["text"].refuses = and_a_picture
    seen: list[Any] = []
    own["image"].refuses = lambda sample: bool(seen.append((waiting_for_vectors(changed), vector(changed, "new"))))
    put_item(changed, "new", "first the text")
    changed.run_jobs()
    assert seen == [(set(), None)]
    both = expected(changed, own, title="first the text", picture=PICTURE)
    np.testing.assert_allclose(vector(changed, "new"), both, rtol=1e-5, atol=1e-6)


def test_what_only_the_versions_encoder_refuses_is_left_out_and_tried_again_when_uploaded_again(
    changed: Service, own: dict[str, FakeEncoder]
) -> None:
    own["image"].refuses = lambda sample: True
    put_both(changed, "new", "harbour lights")
    changed.run_jobs()
    assert own_rows(changed, own)["image"] == ["failed"]
    assert state(changed, "new") == "ready"
    without = expected(changed, own, title="harbour lights", picture=None)
    np.testing.assert_allclose(vector(changed, "new"), without, rtol=1e-5, atol=1e-6)
    own["image"].refuses = lambda sample: False
    upload(changed, "new", media.png(PICTURE))
    changed.run_jobs()
    assert own_rows(changed, own)["image"] == ["encoded"]
    both = expected(changed, own, title="harbour lights", picture=PICTURE)
    np.testing.assert_allclose(vector(changed, "new"), both, rtol=1e-5, atol=1e-6)


def test_another_encoder_in_charge_sends_the_catalogue_through_the_versions_encoders_once(
    changed: Service, own: dict[str, FakeEncoder], fakes: dict[str, FakeEncoder]
) -> None:
    changed.encoding._encoders = {**fakes, "text": FakeEncoder("text", version="2")}
    changed.encoding.register(changed.context.queue)
    published = vector(changed, "i1")
    assert changed.client.get("/items/i1").json()["recommendable"]
    changed.run_jobs()
    with changed.context.database.transaction() as transaction:
        contents = select(MediaRow.modality, MediaRow.content_hash).distinct()
        count = len(transaction.session.execute(contents).all())
    assert sum(len(encoder.encoded) for encoder in own.values()) == count
    assert np.abs(vector(changed, "i1") - published).max() > 0
    both = expected(changed, own, title="harbour boat 1", picture=1)
    np.testing.assert_allclose(vector(changed, "i1"), both, rtol=1e-5, atol=1e-6)


def test_contents_are_not_finished_while_an_item_is_put_aside_for_them(
    changed: Service, own: dict[str, FakeEncoder]
) -> None:
    """Whoever finishes contents holds what `VectorService` holds when it decides: one waits for the other."""
    database = changed.context.database
    share = text("SELECT FROM projects WHERE id = :project FOR SHARE NOWAIT")
    with database.transaction() as finishing:
        EncodingRepository(finishing, changed.project).want_vectors("text", own["text"].fingerprint, contents=[])
        with pytest.raises(OperationalError), database.transaction() as deciding:
            deciding.session.execute(share, {"project": changed.project})


def test_states_of_items_that_wait_are_not_touched(changed: Service, own: dict[str, FakeEncoder]) -> None:
    with changed.context.database.transaction() as transaction:
        session = transaction.session
        session.execute(update(ItemRow).where(ItemRow.item_id == "i1").values(state=ItemState.PENDING))
        session.execute(update(ItemRow).where(ItemRow.item_id == "i2").values(state=ItemState.ENCODED))
        contents = session.scalars(select(MediaRow.content_hash).where(MediaRow.modality == "text")).all()
        EncodingRepository(transaction, changed.project).want_vectors(
            "text", own["text"].fingerprint, contents=contents
        )
    assert waiting_for_vectors(changed) == {"i2"}

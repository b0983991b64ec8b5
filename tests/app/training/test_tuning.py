"""A training that changes encoders, from the order to the vector of an item that came afterwards."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from app.core.config import Settings
from app.core.jobs import JobKind
from app.core.types import MediaState
from app.db.tables import HiddenStatesRow, ItemRow, ItemVectorRow, JobRow, ModelVersionRow
from app.embedded.services import Endpoints
from app.items.upkeep import ensure_upkeep
from app.training.cut import read_cut
from model.adapted import load_adapted
from model.artifact import Manifest, encoder_file, load_item_vectors, load_manifest
from model.data.splits import leave_one_out
from model.encoders.base import load_encoder
from model.encoders.decode import DecodeLimits, decode
from model.encoders.spec import EncoderSpec
from model.evaluation.artifact import evaluate_artifact
from model.runtime import ItemTower
from tests.conftest import TEMPLATE, _execute, _named
from tests.fixtures import media
from tests.fixtures.service import Service, running_service
from tests.fixtures.tiny_models import tiny_model
from tests.fixtures.trained import put_item
from tests.model.raw_media import histories, titles

ITEMS = 24
ORDER = {
    "method": "lora",
    "promote": "always",
    "hyperparameters": {
        "epochs": 2,
        "item_width": 8,
        "side_width": 8,
        "blocks": 1,
        "max_length": 8,
        "lora_rank": 2,
        "encoder_learning_rate": 0.01,
    },
}


@pytest.fixture(scope="module")
def text_spec(tmp_path_factory: pytest.TempPathFactory) -> EncoderSpec:
    return EncoderSpec("text", str(tiny_model(tmp_path_factory.mktemp("encoders"), "bert")), max_tokens=64)


@pytest.fixture(scope="module")
def image_spec(tmp_path_factory: pytest.TempPathFactory) -> EncoderSpec:
    return EncoderSpec("image", str(tiny_model(tmp_path_factory.mktemp("encoders"), "dinov2")))


@pytest.fixture(scope="module")
def tuned(
    services: Endpoints, tmp_path_factory: pytest.TempPathFactory, text_spec: EncoderSpec, image_spec: EncoderSpec
) -> Iterator[Service]:
    """A service of texts, and pictures for two of three, with a LoRA version live; each test leaves it so."""
    name = f"tuned_{uuid.uuid4().hex}"
    _execute(services, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("tuned"),
        database_url=_named(services, name),
        redis_url=services.redis_url,
        encoders=(text_spec, image_spec),
        key_cache_s=0.0,
        trending_refresh_s=0.0,
        heartbeat_s=0.1,
        database_pool=4,
        log_level="WARNING",
    )
    with running_service(settings, {spec.modality: load_encoder(spec) for spec in (text_spec, image_spec)}) as service:
        for number, title in enumerate(titles(ITEMS)):
            put_item(service, f"i{number}", title)
            if number % 3:
                upload_picture(service, f"i{number}", media.png(number))
        events = [
            {"user_id": f"u{user}", "item_id": f"i{item}", "timestamp": 1_700_000_000 + step}
            for user, walk in enumerate(histories(ITEMS, 16))
            for step, item in enumerate(walk)
        ]
        assert service.client.post("/events", json=events).json()["accepted"] == len(events)
        service.run_jobs()
        training = service.train(**ORDER)
        assert training["state"] == "succeeded", training["error"]
        yield service
    _execute(services, f"DROP DATABASE {name} WITH (FORCE)")


def upload_picture(service: Service, item_id: str, data: bytes) -> None:
    assert service.client.post(f"/items/{item_id}/media/image", content=data).status_code == 202


def manifest_of(service: Service, number: int) -> tuple[Path, Manifest]:
    with service.context.database.transaction() as transaction:
        query = select(ModelVersionRow.artifact).where(ModelVersionRow.number == number)
        folder = service.context.artifacts.path(transaction.session.scalars(query).one())
    return folder, load_manifest(folder)


def vector(service: Service, item_id: str, number: int) -> Any:
    with service.context.database.transaction() as transaction:
        query = (
            select(ItemVectorRow.vector)
            .join(ItemRow, ItemRow.id == ItemVectorRow.item_pk)
            .join(ModelVersionRow, ModelVersionRow.id == ItemVectorRow.version_id)
            .where(ItemRow.item_id == item_id, ModelVersionRow.number == number)
        )
        found = transaction.session.scalars(query).one_or_none()
    return None if found is None else np.frombuffer(found, "<f4")


def expected_vector(service: Service, number: int, title: str, picture: bytes | None = None) -> Any:
    """The slow way: the version's encoders and item tower, read from disk here."""
    folder, manifest = manifest_of(service, number)
    states = {"text": load_adapted(folder, manifest, "text").encode([title])}
    if picture is not None:
        encoder = load_adapted(folder, manifest, "image")
        states["image"] = encoder.encode([decode(encoder.spec, picture, DecodeLimits())])
    tower = ItemTower(folder)
    return tower.encode(states, np.array([[name in states for name in tower.modalities]]))[0][0]


def forget_adapted_states(service: Service, **values: Any) -> None:
    """As if the version's encoder had not come to its contents yet."""
    _, manifest = manifest_of(service, 1)
    own = HiddenStatesRow.fingerprint.in_([entry.encoder for entry in manifest.modalities])
    with service.context.database.transaction() as transaction:
        transaction.session.execute(update(HiddenStatesRow).where(own).values(**values))


def test_a_new_item_gets_its_vector_through_the_encoder_of_the_live_version(
    tuned: Service, text_spec: EncoderSpec
) -> None:
    folder, manifest = manifest_of(tuned, 1)
    (text,) = [entry for entry in manifest.modalities if entry.name == "text"]
    base = load_encoder(text_spec)
    assert (text.base, text.spec) == (base.fingerprint, text_spec.to_dict())
    assert text.encoder not in ("", base.fingerprint)
    assert encoder_file("text") in manifest.checksums

    put_item(tuned, "new", "the love heart story of a robot")
    tuned.run_jobs()
    assert tuned.client.get("/items/new").json()["state"] == "ready"
    found = vector(tuned, "new", 1)
    np.testing.assert_allclose(found, expected_vector(tuned, 1, "the love heart story of a robot"), atol=1e-5)
    through_base = ItemTower(folder).encode(
        {"text": base.encode(["the love heart story of a robot"])},
        np.array([[entry.name == "text" for entry in manifest.modalities]]),
    )
    assert np.abs(found - through_base[0][0]).max() > 1e-3, "the untrained encoder says something else"

    put_item(tuned, "i0", titles(ITEMS)[3])
    tuned.run_jobs()
    ids, published, _ = load_item_vectors(folder)
    # Published vectors come from states in fp32, later ones from states in fp16: see export.ENCODERS_TOLERANCE.
    np.testing.assert_allclose(vector(tuned, "i0", 1), published[ids.index("i3")], rtol=2e-2, atol=2e-2)


def test_a_new_item_with_a_picture_gets_its_vector_through_both_encoders(tuned: Service) -> None:
    """Also when its words have been seen already, and its picture has not."""
    picture = media.png(91)
    for item_id, title in (("both", "snow wolf"), ("again", titles(ITEMS)[2])):
        put_item(tuned, item_id, title)
        upload_picture(tuned, item_id, picture)
        tuned.run_jobs()
        found, whole = vector(tuned, item_id, 1), expected_vector(tuned, 1, title, picture)
        np.testing.assert_allclose(found, whole, atol=1e-4)
        assert np.abs(whole - expected_vector(tuned, 1, title)).max() > 1e-2
        assert tuned.client.get(f"/items/{item_id}").json()["state"] == "ready"


def test_roll_back_to_it_and_what_came_meanwhile_has_a_vector(tuned: Service) -> None:
    second = tuned.train(method="frozen", promote="always", hyperparameters={"epochs": 1, "item_width": 8, "blocks": 1})
    assert second["result"]["model_version"] == "v2", second["error"]
    assert set(second["result"]["live_before"]["validation"]) >= {"ndcg10"}, "the two could be compared"
    put_item(tuned, "between", "jazz piano night")
    tuned.run_jobs()
    assert vector(tuned, "between", 2) is not None
    assert vector(tuned, "between", 1) is None
    assert tuned.client.post("/admin/models/v1/promote").status_code == 200
    tuned.run_jobs()
    np.testing.assert_allclose(vector(tuned, "between", 1), expected_vector(tuned, 1, "jazz piano night"), atol=1e-5)
    assert tuned.client.get("/items/between").json()["state"] == "ready"


def test_the_live_version_is_compared_with_the_vectors_that_it_serves_by(tuned: Service, tmp_path: Path) -> None:
    """All validation targets came after its training; their states are of its own encoder, so no cut has them."""
    put_item(tuned, "late", titles(ITEMS)[2])
    tuned.run_jobs()
    events = [
        {"user_id": f"u{user}", "item_id": item, "timestamp": 1_700_001_000 + step}
        for user in range(16)
        for step, item in enumerate(("late", "i0"))
    ]
    assert tuned.client.post("/events", json=events).json()["accepted"] == len(events)
    training = tuned.train(method="id", promote="never", hyperparameters={"epochs": 1, "item_width": 8, "blocks": 1})
    found = training["result"]["live_before"]["validation"]
    context = tuned.context
    cut = read_cut(context.database, context.features, tuned.project, modalities=(), scratch=tmp_path)
    folder, _ = manifest_of(tuned, 1)
    expected = evaluate_artifact(
        folder,
        cut.dataset,
        leave_one_out(cut.dataset.interactions).validation,
        item_ids=[item.item_id for item in cut.items],
        served=[(item.item_id, known) for item in cut.items if (known := vector(tuned, item.item_id, 1)) is not None],
    )
    assert found == pytest.approx(expected)
    assert found["hr10"] > 0


def test_what_a_failed_job_has_left_is_taken_up_by_the_sweep(tuned: Service) -> None:
    put_item(tuned, "another", "snow bear")
    upload_picture(tuned, "another", media.png(92))
    tuned.run_jobs()
    forget_adapted_states(tuned, state=MediaState.PENDING)
    with tuned.context.database.transaction() as transaction:
        ensure_upkeep(transaction, tuned.context.queue, pause_s=0)
    (job,) = tuned.run_jobs()
    with tuned.context.database.transaction() as transaction:
        assert transaction.session.get_one(JobRow, job).kind == JobKind.ENCODE
        states = select(HiddenStatesRow.state).where(HiddenStatesRow.state != MediaState.ENCODED)
        assert transaction.session.scalars(states).all() == []
    with tuned.context.database.transaction() as transaction:
        ensure_upkeep(transaction, tuned.context.queue, pause_s=0)
    assert tuned.run_jobs() == []

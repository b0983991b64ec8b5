"""Vectors outside of training: batches, two workers, and items that a version cannot describe."""

import shutil
import threading
from typing import Any

import pytest
from sqlalchemy import func, select, update

from app.core.types import ProjectId, VersionId
from app.db.tables import ItemRow, ItemVectorRow
from app.items.encoding import EncodingService
from app.models import vectors
from app.models.repository import ModelRepository, NewVector
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service, decode_here
from tests.fixtures.trained import ITEMS, client_of, put_item


def count(service: Service) -> int:
    with service.context.database.transaction() as transaction:
        return transaction.session.scalars(select(func.count()).select_from(ItemVectorRow)).one()


def want_vectors(service: Service) -> None:
    """As if every item waited for its vector."""
    with service.context.database.transaction() as transaction:
        transaction.session.execute(update(ItemRow).values(needs_vector=True))


def item(service: Service, item_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get(f"/items/{item_id}").json()
    return found


def test_every_waiting_item_gets_its_vector_batch_by_batch(trained: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "BATCH", 7)
    want_vectors(trained)
    assert trained.vectors.refresh(trained.project) == ITEMS
    assert trained.vectors.refresh(trained.project) == 0
    assert count(trained) == ITEMS


def test_two_workers_share_the_items(trained: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "BATCH", 3)
    want_vectors(trained)
    written: list[int] = []
    threads = [threading.Thread(target=lambda: written.append(trained.vectors.refresh(trained.project))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(written) == ITEMS


def test_without_a_live_version_items_wait(light: Service) -> None:
    put_item(light, "a", "x")
    light.run_jobs()
    assert light.vectors.refresh(light.project) == 0
    assert (item(light, "a")["state"], item(light, "a")["recommendable"]) == ("encoded", False)


def test_changed_content_gets_another_vector(trained: Service) -> None:
    def shown() -> dict[str, float]:
        answer = trained.client.get("/recommend/u0?limit=1000&exclude_seen=false").json()
        return {one["item_id"]: one["score"] for one in answer["items"]}

    before = shown()
    put_item(trained, "i1", "nothing like before")
    assert item(trained, "i1")["state"] == "pending"
    assert shown()["i1"] == before["i1"], "until then the item is shown by what it was"
    trained.run_jobs()
    assert item(trained, "i1")["state"] == "ready"
    after = shown()
    assert after["i1"] != before["i1"]
    assert {**after, "i1": 0} == pytest.approx({**before, "i1": 0}, abs=1e-5)


def test_another_encoder_leaves_the_live_version_its_vectors(trained: Service, fakes: dict[str, FakeEncoder]) -> None:
    """New contents have no states that the old version could read; the old ones keep their vectors."""
    context = trained.context
    others = {name: FakeEncoder(name, version="2") for name in fakes}
    trained.encoding = EncodingService(
        context.database, context.blobs, context.features, encoders=others, decode=decode_here, batch=32
    )
    trained.encoding.register(context.queue)
    put_item(trained, "new", "after the change")
    trained.run_jobs()
    assert item(trained, "i0")["recommendable"]
    assert trained.client.get("/recommend/u0").json()["personalised"]
    assert (item(trained, "new")["state"], item(trained, "new")["recommendable"]) == ("encoded", False)


def test_a_damaged_version_writes_no_vector_and_leaves_items_waiting(trained: Service) -> None:
    (training,) = trained.client.get("/admin/trainings").json()["trainings"]
    folder = trained.parts.artifacts.path(f"{trained.project}/{training['id']}")
    whole = (folder / "item_tower.onnx").read_bytes()
    (folder / "item_tower.onnx").write_bytes(b"not a network")
    vectors.open_item_tower.cache_clear()
    want_vectors(trained)
    assert trained.vectors.refresh(trained.project) == 0
    assert count(trained) == ITEMS
    (folder / "item_tower.onnx").write_bytes(whole)
    assert trained.vectors.refresh(trained.project) == ITEMS


def test_a_lost_version_does_not_stop_the_encoding(trained: Service, fakes: dict[str, FakeEncoder]) -> None:
    """Batches of one: the second item is encoded after the first one has failed to get its vector."""
    (training,) = trained.client.get("/admin/trainings").json()["trainings"]
    shutil.rmtree(trained.parts.artifacts.path(f"{trained.project}/{training['id']}"))
    context = trained.context
    trained.encoding = EncodingService(
        context.database, context.blobs, context.features, encoders=fakes, decode=decode_here, batch=1
    )
    for number in range(3):
        put_item(trained, f"new{number}", f"title {number}")
    trained.run_jobs()
    assert {item(trained, f"new{number}")["state"] for number in range(3)} == {"encoded"}


def test_a_vector_of_an_item_deleted_meanwhile_is_dropped(trained: Service) -> None:
    with trained.context.database.transaction() as transaction:
        pk = transaction.session.scalars(select(ItemRow.id).where(ItemRow.item_id == "i3")).one()
        live = ModelRepository(transaction, trained.project).live()
        assert live is not None
    trained.client.delete("/items/i3")
    with trained.context.database.transaction() as transaction:
        models = ModelRepository(transaction, trained.project)
        models.write_vectors(VersionId(live.id), [NewVector(pk, b"\0" * 32, b"\0" * 8, "key")])
    assert count(trained) == ITEMS - 1


def test_projects_do_not_get_each_others_vectors(trained: Service) -> None:
    other = client_of(trained, "other")
    other.put("/items/i0", json={"title": "theirs"})
    trained.run_jobs()
    assert other.get("/items/i0").json()["state"] == "encoded"
    assert other.get("/recommend/u0").json()["model_version"] is None
    assert trained.vectors.refresh(ProjectId(trained.project + 1)) == 0

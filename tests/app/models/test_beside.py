"""Vectors under versions that serve beside the live one."""

import shutil

import pytest
from sqlalchemy import delete, func, select, update

from app.db.tables import ItemVectorRow, ModelVersionRow
from app.items.encoding import EncodingService, OwnEncoder
from app.models import vectors
from tests.fixtures.experiments import end_experiment, run_experiment
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.own_encoders import change_encoders
from tests.fixtures.service import Service, decode_here
from tests.fixtures.trained import ITEMS, put_item


@pytest.fixture
def second(trained: Service) -> int:
    """The number of v2, which has none of its vectors."""
    trained.train(promote="never")
    with trained.context.database.transaction() as transaction:
        version = transaction.session.scalars(select(ModelVersionRow.id).where(ModelVersionRow.number == 2)).one()
        transaction.session.execute(delete(ItemVectorRow).where(ItemVectorRow.version_id == version))
    return version


def count(service: Service, version: int) -> int:
    with service.context.database.transaction() as transaction:
        query = select(func.count()).where(ItemVectorRow.version_id == version)
        return transaction.session.scalars(query).one()


def refresh(service: Service) -> int:
    return service.vectors.refresh(service.project)


def test_only_a_running_experiment_asks_for_vectors(
    trained: Service, second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "BATCH", 7)
    assert refresh(trained) == 0
    experiment = run_experiment(trained, "v1", "v2", "v9")
    assert [refresh(trained), refresh(trained)] == [ITEMS, 0]
    assert count(trained, second) == ITEMS
    end_experiment(trained, experiment)
    put_item(trained, "new", "harbour")
    trained.run_jobs()
    assert count(trained, second) == ITEMS


def test_items_come_and_change_under_both(trained: Service, second: int) -> None:
    run_experiment(trained, "v2")
    refresh(trained)
    put_item(trained, "new", "harbour")
    put_item(trained, "i1", "nothing like before")
    trained.client.patch("/items/i2", json={"available": False})
    trained.run_jobs()
    assert trained.client.get("/items/new").json()["state"] == "ready"
    assert (count(trained, second), refresh(trained)) == (ITEMS + 1, 0)
    with trained.context.database.transaction() as transaction:
        pairs = transaction.session.execute(
            select(ItemVectorRow.item_pk, func.count(func.distinct(ItemVectorRow.content_key))).group_by(
                ItemVectorRow.item_pk
            )
        ).all()
    assert {keys for _, keys in pairs} == {1}, "both versions have seen the same contents"


@pytest.mark.parametrize("column", ["archived_at", "deleted_at"])
def test_a_version_that_cannot_serve_gets_none(trained: Service, second: int, column: str) -> None:
    run_experiment(trained, "v2")
    with trained.context.database.transaction() as transaction:
        transaction.session.execute(
            update(ModelVersionRow).where(ModelVersionRow.id == second).values({column: func.now()})
        )
    assert refresh(trained) == 0


def test_what_its_encoders_have_not_seen_is_left_out(trained: Service, second: int) -> None:
    run_experiment(trained, "v2")
    with trained.context.database.transaction() as transaction:
        row = transaction.session.get(ModelVersionRow, second)
        assert row is not None
        entries = [{**entry, "encoder": "f" * 64} for entry in row.manifest["modalities"]]
        row.manifest = {**row.manifest, "modalities": entries}
    assert refresh(trained) == 0


def test_a_lost_version_does_not_hold_up_the_live_one(trained: Service, second: int) -> None:
    training = trained.client.get("/admin/trainings").json()["trainings"][0]
    shutil.rmtree(trained.parts.artifacts.path(f"{trained.project}/{training['id']}"))
    run_experiment(trained, "v2")
    put_item(trained, "new", "harbour")
    trained.run_jobs()
    assert trained.client.get("/items/new").json()["recommendable"]
    assert count(trained, second) == 0


def test_a_version_with_encoders_of_its_own_waits_for_them(
    trained: Service, second: int, fakes: dict[str, FakeEncoder]
) -> None:
    """Its contents are put on their list, and it gets its vectors when they are through."""
    own = FakeEncoder("text", version="changed")
    change_encoders(trained, {"text": own.fingerprint}, version=2)
    context = trained.context
    trained.encoding = EncodingService(
        context.database,
        context.blobs,
        context.features,
        encoders=fakes,
        decode=decode_here,
        batch=32,
        own_encoders=lambda project: [OwnEncoder("text", own.fingerprint, lambda: own)],
    )
    run_experiment(trained, "v2")
    assert refresh(trained) == 0
    trained.run_jobs()
    assert count(trained, second) == ITEMS
    put_item(trained, "new", "harbour")
    trained.run_jobs()
    assert count(trained, second) == ITEMS + 1

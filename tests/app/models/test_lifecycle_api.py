"""Versions in the API: looked at, compared, promoted, rolled back, archived, restored, deleted."""

from typing import Any

import pytest
from sqlalchemy import func, select, text

from app.core.types import Scope
from app.db.tables import ItemVectorHistoryRow, ItemVectorRow, ModelVersionRow
from tests.fixtures.service import Service
from tests.fixtures.trained import ITEMS, SMALL, ReplayTrainer, client_of, put_item


def train(service: Service, *, ndcg10: float = 1.0, promote: str = "always", **hyperparameters: Any) -> str:
    assert isinstance(service.parts.trainer, ReplayTrainer)
    service.parts.trainer.ndcg10 = ndcg10
    training = service.train(promote=promote, hyperparameters={**SMALL, **hyperparameters})
    assert training["state"] == "succeeded", training["error"]
    version: str = training["result"]["model_version"]
    return version


def post(service: Service, path: str) -> tuple[int, dict[str, Any]]:
    answer = service.client.post(f"/admin/models/{path}")
    return answer.status_code, answer.json()


def get(service: Service, path: str) -> dict[str, Any]:
    answer = service.client.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def live(service: Service) -> list[str]:
    return [model["version"] for model in get(service, "/admin/models")["models"] if model["live"]]


def vectors(service: Service, version: str) -> int:
    with service.context.database.transaction() as transaction:
        query = (
            select(func.count())
            .select_from(ItemVectorRow)
            .join(ModelVersionRow, ModelVersionRow.id == ItemVectorRow.version_id)
            .where(ModelVersionRow.number == int(version[1:]))
        )
        return transaction.session.scalars(query).one()


def test_everything_of_a_version(trained: Service) -> None:
    model = get(trained, "/admin/models/v1")
    assert (model["version"], model["state"], model["live"], model["items"]) == ("v1", "live", True, ITEMS)
    folder = next((trained.settings.artifacts_dir / str(trained.project)).glob("[!.]*"))
    assert model["size_bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    assert model["training_id"] == folder.name
    assert {name: model["hyperparameters"][name] for name in SMALL} == SMALL
    assert [encoder["modality"] for encoder in model["encoders"]] == ["text", "image"]
    assert all(len(encoder["encoder"]) == 64 and encoder["trained_from"] is None for encoder in model["encoders"])
    assert model["parameters"] == model["metrics"]["parameters"] != {}
    assert (model["item_width"], model["max_length"], model["archived_at"]) == (8, 10, None)


@pytest.mark.parametrize("version", ["v9", "1x", "v", "v-1", "v٣", "v" + "9" * 30])
def test_what_is_no_version(trained: Service, version: str) -> None:
    calls = [
        trained.client.get(f"/admin/models/{version}"),
        trained.client.get(f"/admin/models/{version}/download"),
        trained.client.delete(f"/admin/models/{version}"),
        *(trained.client.post(f"/admin/models/{version}/{verb}") for verb in ("promote", "archive", "restore")),
    ]
    assert [answer.status_code for answer in calls] == [404] * 6
    assert all(answer.json()["type"].endswith("model-not-found") for answer in calls)


def test_versions_side_by_side(trained: Service) -> None:
    train(trained, ndcg10=0.25, epochs=3)
    first, second = (get(trained, f"/admin/models/{version}")["metrics"] for version in ("v1", "v2"))
    compared = get(trained, "/admin/models/compare?versions=v1,v2,v1")
    assert [model["version"] for model in compared["models"]] == ["v1", "v2"]
    before = first["validation"]["ndcg10"]
    assert compared["metrics"]["validation.ndcg10"] == {
        "values": {"v1": before, "v2": 0.25},
        "differences": {"v2": 0.25 - before},
    }
    assert compared["metrics"]["test.hr10"]["differences"] == {"v2": second["test"]["hr10"] - first["test"]["hr10"]}
    assert not any(name.startswith("parameters") for name in compared["metrics"])
    assert compared["parameters"]
    assert all(entry["differences"]["v2"] == 0 for entry in compared["parameters"].values())
    assert compared["hyperparameters"] == {}, "a replayed artifact says what v1 was trained with"


@pytest.mark.parametrize("versions", ["v1", "", "v1,v1", ",".join(f"v{number}" for number in range(11))])
def test_two_to_ten_are_compared(trained: Service, versions: str) -> None:
    answer = trained.client.get("/admin/models/compare", params={"versions": versions})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "versions"


def test_rollbacks_go_back_step_by_step_and_never_to_and_fro(trained: Service) -> None:
    for _ in range(2):
        train(trained)
    assert live(trained) == ["v3"]
    assert post(trained, "rollback")[1]["version"] == "v2"
    assert post(trained, "rollback")[1]["version"] == "v1"
    status, problem = post(trained, "rollback")
    assert (status, problem["type"].rpartition(":")[2].rpartition("/")[2]) == (409, "nothing-to-roll-back")
    assert live(trained) == ["v1"]
    assert trained.client.get("/recommend/u0").json()["model_version"] == "v1"
    assert post(trained, "v3/promote")[0] == 200
    assert post(trained, "rollback")[1]["version"] == "v1", "what was live before v3 this time"


def test_the_history_says_who_when_and_why(trained: Service) -> None:
    train(trained)
    post(trained, "v1/promote")
    post(trained, "v1/promote")
    post(trained, "rollback")
    page = get(trained, "/admin/promotions?limit=3")
    key = get(trained, "/admin/keys")["keys"][-1]["id"]
    told = [(one["version"], one["reason"], one["key_id"]) for one in page["promotions"]]
    assert told == [("v2", "rollback", key), ("v1", "request", key), ("v2", "training", None)]
    rest = get(trained, f"/admin/promotions?limit=3&cursor={page['next_cursor']}")
    assert [(one["version"], one["reason"]) for one in rest["promotions"]] == [("v1", "training")]
    assert rest["next_cursor"] is None


def test_a_rollback_passes_over_what_cannot_serve(trained: Service) -> None:
    for _ in range(3):
        train(trained)
    assert post(trained, "v3/archive")[0] == 200
    assert trained.client.delete("/admin/models/v2").status_code == 204
    assert post(trained, "rollback")[1]["version"] == "v1"


def test_archived_restored_promoted(trained: Service) -> None:
    train(trained)
    put_item(trained, "new", "harbour boat, later than the training")
    trained.run_jobs()
    status, model = post(trained, "v1/archive")
    assert (status, model["state"]) == (200, "archived")
    assert vectors(trained, "v1") == 0
    assert post(trained, "v1/archive") == (200, model), "once more changes nothing"
    status, problem = post(trained, "v1/promote")
    assert status == 409
    assert problem["type"].endswith("model-archived")
    assert post(trained, "v1/restore")[1]["state"] == "restoring"
    assert post(trained, "v1/promote")[0] == 409, "not yet"
    trained.run_jobs()
    assert get(trained, "/admin/models/v1")["state"] == "ready"
    assert vectors(trained, "v1") == ITEMS
    before = {item["item_id"] for item in trained.client.get("/recommend/u0?limit=50").json()["items"]}
    assert post(trained, "v1/promote")[0] == 200
    answer = trained.client.get("/recommend/u0?limit=50").json()
    assert answer["model_version"] == "v1"
    assert len(answer["items"]) == len(before) - 1, "it answers at once, with all but the item that came later"
    trained.run_jobs()
    assert vectors(trained, "v1") == ITEMS + 1
    found = {item["item_id"] for item in trained.client.get("/recommend/u0?limit=50").json()["items"]}
    assert found == before


def test_items_that_are_gone_are_not_restored(trained: Service) -> None:
    train(trained)
    post(trained, "v1/archive")
    trained.client.delete("/items/i3")
    post(trained, "v1/restore")
    trained.run_jobs()
    assert vectors(trained, "v1") == ITEMS - 1


def test_an_archive_that_was_called_back_before_it_was_restored(trained: Service) -> None:
    train(trained)
    post(trained, "v1/archive")
    post(trained, "v1/restore")
    assert post(trained, "v1/archive")[1]["state"] == "archived"
    trained.run_jobs()
    assert vectors(trained, "v1") == 0


def test_a_damaged_version_stays_in_the_archive(trained: Service) -> None:
    train(trained)
    post(trained, "v1/archive")
    training = get(trained, "/admin/models/v1")["training_id"]
    (trained.settings.artifacts_dir / str(trained.project) / training / "item_ids.json").write_text("[]")
    post(trained, "v1/restore")
    trained.run_jobs()
    assert get(trained, "/admin/models/v1")["state"] == "archived"


def test_the_live_version_stays(trained: Service) -> None:
    status, problem = post(trained, "v1/archive")
    assert status == 409
    assert problem["type"].endswith("model-in-use")
    assert trained.client.delete("/admin/models/v1").status_code == 409
    assert vectors(trained, "v1") == ITEMS


def test_a_version_of_a_running_experiment_stays(trained: Service) -> None:
    train(trained)
    arms = [{"name": "old", "share": 0.5, "version": "v1"}, {"name": "new", "share": 0.5}]
    created = trained.client.post(
        "/admin/experiments", json={"name": "e", "arms": arms, "metric": {"types": ["click"]}}
    )
    assert created.status_code == 201, created.text
    path = f"/admin/experiments/{created.json()['id']}"
    assert trained.client.post(f"{path}/start").status_code == 200
    assert post(trained, "v1/archive")[0] == trained.client.delete("/admin/models/v1").status_code == 409
    assert trained.client.post(f"{path}/stop").status_code == 200
    assert trained.client.delete("/admin/models/v1").status_code == 204


def test_a_deleted_version_is_gone_and_its_number_is_not_given_again(trained: Service) -> None:
    version = train(trained, promote="never")
    training = get(trained, f"/admin/models/{version}")["training_id"]
    folder = trained.settings.artifacts_dir / str(trained.project) / training
    assert folder.is_dir()
    assert trained.client.delete(f"/admin/models/{version}").status_code == 204
    assert not folder.exists()
    assert vectors(trained, version) == 0
    with trained.context.database.transaction() as transaction:
        assert transaction.session.scalars(select(func.count()).select_from(ItemVectorHistoryRow)).one() == 0
    assert trained.client.delete(f"/admin/models/{version}").status_code == 404
    assert [model["version"] for model in get(trained, "/admin/models")["models"]] == ["v1"]
    with trained.context.database.transaction() as transaction:
        query = select(ModelVersionRow.number).where(ModelVersionRow.deleted_at.is_not(None))
        assert transaction.session.scalars(query).all() == [2], "a tombstone says that it was there"
    assert train(trained) == "v3"


def test_a_version_whose_deletion_is_rolled_back_keeps_its_files(trained: Service) -> None:
    train(trained)
    with trained.context.database.transaction() as transaction:
        transaction.session.execute(
            text("CREATE FUNCTION no() RETURNS trigger AS 'BEGIN RAISE ''no''; END' LANGUAGE plpgsql")
        )
        transaction.session.execute(
            text(
                "CREATE CONSTRAINT TRIGGER no AFTER UPDATE ON model_versions DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION no()"
            )
        )
    training = get(trained, "/admin/models/v1")["training_id"]
    folder = trained.settings.artifacts_dir / str(trained.project) / training
    with pytest.raises(Exception, match="no"):
        trained.client.delete("/admin/models/v1")
    assert folder.is_dir()
    assert vectors(trained, "v1") == ITEMS


def test_another_project_and_another_scope(trained: Service) -> None:
    train(trained)
    stranger = client_of(trained, "other")
    paths = ["v1/archive", "v1/promote", "v1/restore"]
    assert [stranger.post(f"/admin/models/{path}").status_code for path in paths] == [404] * 3
    assert stranger.post("/admin/models/rollback").status_code == 409
    assert stranger.get("/admin/models/v1").status_code == stranger.delete("/admin/models/v1").status_code == 404
    assert stranger.get("/admin/models/compare?versions=v1,v2").status_code == 404
    assert stranger.get("/admin/promotions").json() == {"promotions": [], "next_cursor": None}
    headers = trained.headers(Scope.INGEST, Scope.RECOMMEND)
    assert trained.client.get("/admin/models/v1/download", headers=headers).status_code == 403
    assert live(trained) == ["v2"]

import threading
from typing import Any

import pytest

from tests.fixtures.service import Service


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"method": "magic"}, "method"),
        ({"method": ""}, "method"),
        ({"hyperparameters": {"epochs": 0}}, "hyperparameters.epochs"),
        ({"hyperparameters": {"epochs": "many"}}, "hyperparameters.epochs"),
        ({"hyperparameters": {"epochs": True}}, "hyperparameters.epochs"),
        ({"hyperparameters": {"learning_rate": 10}}, "hyperparameters.learning_rate"),
        ({"hyperparameters": {"learning_rat": 0.1}}, "hyperparameters.learning_rat"),
        ({"hyperparameters": {"item_width": 9}}, "hyperparameters.heads"),
        ({"hyperparameters": []}, "hyperparameters"),
        ({"hyperparameters": {"modalities": "\x00"}}, "hyperparameters"),
        ({"promote": "perhaps"}, "promote"),
        ({"wait": "long"}, "wait"),
        ({"priority": 1}, "priority"),
    ],
)
def test_a_wrong_order_names_its_field_and_makes_no_job(shared: Service, body: dict[str, Any], field: str) -> None:
    answer = shared.client.post("/admin/trainings", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert shared.client.get("/admin/trainings").json()["trainings"] == []


def test_orders_are_listed_newest_first_page_by_page(light: Service) -> None:
    created = light.client.post("/admin/trainings", json={"hyperparameters": {"epochs": 7}})
    assert created.status_code == 202
    first = created.json()
    assert created.headers["location"] == f"/admin/trainings/{first['id']}"
    assert (first["state"], first["hyperparameters"], first["promote"]) == ("queued", {"epochs": 7}, "if_better")
    assert [first[name] for name in ("progress", "data_cut", "error", "result", "started_at")] == [None] * 5
    others = [light.client.post("/admin/trainings", json={}).json()["id"] for _ in range(4)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = light.client.get("/admin/trainings", params=query).json()
        seen += [training["id"] for training in page["trainings"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [*others[::-1], first["id"]]


def test_what_is_no_training(shared: Service) -> None:
    missing = shared.client.get("/admin/trainings/00000000-0000-0000-0000-000000000000")
    assert missing.status_code == 404
    assert missing.json()["type"].endswith("training-not-found")
    assert shared.client.get("/admin/trainings/7").json()["errors"][0]["field"] == "training_id"


def test_an_encode_job_is_no_training(light: Service) -> None:
    light.client.put("/items/a", json={"title": "x"})
    job = light._next_job()
    assert job is not None
    assert light.client.get(f"/admin/trainings/{job.id}").status_code == 404
    assert light.client.delete(f"/admin/trainings/{job.id}").status_code == 404
    assert light.run_jobs() == [job.id], "and what is not found is not cancelled either"


def test_with_wait_the_answer_comes_when_it_is_over(light: Service) -> None:
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(light.client.post("/admin/trainings", json={"wait": True})))
    asking.start()
    while not light.client.get("/admin/status").json()["jobs"]["queued"]:
        threading.Event().wait(0.02)
    light.run_jobs()
    asking.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["state"] == "failed"

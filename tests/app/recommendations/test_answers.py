"""`/recommend` with a live version: what is in an answer, what is not, and in what shape."""

from typing import Any

import numpy as np
import pytest

from app.recommendations.schemas import Recommendation
from model.artifact import load_item_vectors, load_manifest
from model.runtime import UserEncoder
from tests.fixtures.service import Service
from tests.fixtures.trained import ITEMS, client_of, histories, put_item

EVERY = [f"i{number}" for number in range(ITEMS)]


def recommend(service: Service, user: str, **query: Any) -> dict[str, Any]:
    answer = service.client.get(f"/recommend/{user}", params={"limit": 1_000, **query})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


@pytest.mark.parametrize("user", ["u0", "u1", "nobody"])
def test_the_answer_is_in_the_documented_shape(trained: Service, user: str) -> None:
    answer = recommend(trained, user)
    assert Recommendation.model_validate(answer, strict=True).model_dump(exclude_unset=True) == answer
    assert [item["rank"] for item in answer["items"]] == list(range(1, len(answer["items"]) + 1))


def test_two_answers_have_two_ids(trained: Service) -> None:
    assert recommend(trained, "u0")["recommendation_id"] != recommend(trained, "u0")["recommendation_id"]


@pytest.mark.parametrize("user", ["u0", "u7"])
def test_scores_are_those_of_the_artifact(trained: Service, user: str) -> None:
    (training,) = trained.client.get("/admin/trainings").json()["trainings"]
    folder = trained.parts.artifacts.path(f"{trained.project}/{training['id']}")
    names, vectors, shares = load_item_vectors(folder)
    history = [names.index(item) for item in histories()[user]][-load_manifest(folder).max_length :]
    vector = UserEncoder(folder).encode(vectors[history][None], np.array([len(history)]))[0]
    scores = {name: float(vectors[row] @ vector) for row, name in enumerate(names)}
    expected = sorted((name for name in names if name not in histories()[user]), key=lambda name: -scores[name])
    answer = recommend(trained, user)
    assert ids(answer) == expected
    for item in answer["items"]:
        assert item["score"] == pytest.approx(scores[item["item_id"]], abs=1e-5)
        assert item["shares"] == pytest.approx(
            dict(zip(("text", "image"), shares[names.index(item["item_id"])].tolist(), strict=True))
        )


def test_seen_items_are_left_out_unless_wanted(trained: Service) -> None:
    seen = set(histories()["u0"])
    assert set(ids(recommend(trained, "u0"))) == set(EVERY) - seen
    assert set(ids(recommend(trained, "u0", exclude_seen=False))) == set(EVERY)


def test_unavailable_unpublished_and_deleted_items_are_never_shown(trained: Service) -> None:
    shown = ids(recommend(trained, "u0"))
    first, second, third = shown[:3]
    trained.client.patch(f"/items/{first}", json={"available": False})
    trained.client.patch(f"/items/{second}", json={"published_at": "2999-01-01T00:00:00Z"})
    trained.client.delete(f"/items/{third}")
    assert ids(recommend(trained, "u0")) == shown[3:]
    fallback = recommend(trained, "nobody")
    assert fallback["fallback"] == "trending"
    assert not {first, second, third} & set(ids(fallback))
    trained.client.patch(f"/items/{first}", json={"available": True})
    trained.client.patch(f"/items/{second}", json={"published_at": None})
    assert ids(recommend(trained, "u0")) == [first, second, *shown[3:]]


def test_a_revived_item_comes_back_with_its_new_content(trained: Service) -> None:
    (target, *_) = ids(recommend(trained, "u0"))
    trained.client.delete(f"/items/{target}")
    put_item(trained, target, "risen again")
    assert target not in ids(recommend(trained, "u0"))
    trained.run_jobs()
    (item,) = [one for one in recommend(trained, "u0")["items"] if one["item_id"] == target]
    assert item["title"] == "risen again"


def test_a_users_item_that_was_deleted_does_not_break_the_answer(trained: Service) -> None:
    for item in histories()["u0"][:5]:
        trained.client.delete(f"/items/{item}")
    answer = recommend(trained, "u0")
    assert not set(ids(answer)) & set(histories()["u0"])
    for item in histories()["u0"][5:]:
        trained.client.delete(f"/items/{item}")
    assert recommend(trained, "u0")["fallback"] == "trending"


def test_the_limit_is_the_most(trained: Service) -> None:
    whole = recommend(trained, "u0", exclude_seen=False)
    for limit in (1, 3, ITEMS - 1, ITEMS, ITEMS + 1):
        answer = recommend(trained, "u0", exclude_seen=False, limit=limit)
        assert ids(answer) == ids(whole)[:limit]
    assert len(trained.client.get("/recommend/u0").json()["items"]) == 10


def test_a_title_follows_at_once(trained: Service) -> None:
    (target, *_) = ids(recommend(trained, "u0"))
    trained.client.patch(f"/items/{target}", json={"title": "Now so"})
    assert recommend(trained, "u0")["items"][0]["title"] == "Now so"


def test_a_history_longer_than_the_network_reads(trained: Service) -> None:
    items = [f"i{number % ITEMS}" for number in range(40)]
    events = [{"user_id": "busy", "item_id": item, "timestamp": 1_700_000_000 + n} for n, item in enumerate(items)]
    trained.client.post("/events", json=events)
    assert len(recommend(trained, "busy", exclude_seen=False)["items"]) == ITEMS
    assert recommend(trained, "busy")["items"] == []


def test_projects_do_not_see_each_others_users(trained: Service) -> None:
    other = client_of(trained, "other")
    other.put("/items/i0", json={"title": "theirs"})
    answer = other.get("/recommend/u0").json()
    assert (answer["fallback"], ids(answer)) == ("latest", ["i0"])
    assert answer["items"][0]["title"] == "theirs"
    other.post("/events", json={"user_id": "u0", "item_id": "i1"})
    assert ids(other.get("/recommend/u1").json()) == ["i0"]
    assert set(ids(recommend(trained, "u0"))) == set(EVERY) - set(histories()["u0"])

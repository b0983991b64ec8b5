"""Every option of `/recommend` through the whole service; what each does exactly is tested with `rank`."""

import json
from typing import Any

import pytest
from redis import Redis

from app.recommendations.schemas import BatchAnswer, Recommendation
from tests.fixtures.service import Service
from tests.fixtures.trained import ITEMS, START_S, client_of, histories

EVERY = [f"i{number}" for number in range(ITEMS)]


def get(service: Service, user: str, **query: Any) -> dict[str, Any]:
    answer = service.client.get(f"/recommend/{user}", params={"limit": 1_000, **query})
    assert answer.status_code == 200, answer.text
    return checked(answer.json())


def post(service: Service, **body: Any) -> dict[str, Any]:
    answer = service.client.post("/recommend", json=body)
    assert answer.status_code == 200, answer.text
    return checked(answer.json())


def checked(answer: dict[str, Any]) -> dict[str, Any]:
    """Every answer is in the documented shape."""
    assert Recommendation.model_validate(answer, strict=True).model_dump(exclude_unset=True) == answer
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_what_is_asked_for_holds_for_people_and_for_strangers(trained: Service) -> None:
    for number in range(ITEMS):
        fields = {"categories": ["even" if number % 2 == 0 else "odd"], "attributes": {"price": number}}
        assert trained.client.patch(f"/items/i{number}", json=fields).status_code == 200
    trained.run_jobs()
    for user in ("u1", "nobody"):
        seen = set(histories().get(user, []))
        plain = [item for item in ids(get(trained, user)) if item not in seen]
        number = {item: int(item[1:]) for item in plain}
        asked: dict[str, tuple[dict[str, Any], list[str]]] = {
            "categories": ({"categories": ["even"]}, [item for item in plain if number[item] % 2 == 0]),
            "both": ({"categories": ["even", "odd"]}, plain),
            "filter": ({"filter": "price < 7"}, [item for item in plain if number[item] < 7]),
            "include": ({"include": ["i3", "i4", "unknown"]}, [item for item in plain if item in ("i3", "i4")]),
            "exclude": ({"exclude": plain[:3]}, plain[3:]),
            "no odd ones": ({"category_caps": "odd:0"}, [item for item in plain if number[item] % 2 == 0]),
        }
        for what, (query, expected) in asked.items():
            assert ids(get(trained, user, **query)) == expected, (user, what)
        capped = ids(get(trained, user, category_cap=2))
        assert capped == [
            item for item in plain if sum(number[x] % 2 == number[item] % 2 for x in plain[: plain.index(item)]) < 2
        ]
        pinned = ids(get(trained, user, pinned=[f"{plain[-1]}:1", f"{plain[-2]}:3"]))
        assert pinned == [plain[-1], plain[0], plain[-2], *plain[1:-2]]
        trained.client.patch(f"/items/{plain[-1]}", json={"available": False})
        assert plain[-1] not in ids(get(trained, user, pinned=f"{plain[-1]}:1"))
        trained.client.patch(f"/items/{plain[-1]}", json={"available": True})
    assert set(ids(get(trained, "u0", diversity=0.9))) == set(ids(get(trained, "u0")))
    assert ids(get(trained, "u0", diversity=0.9)) != ids(get(trained, "u0"))


def test_a_category_with_nothing_of_the_trending_is_filled_from_the_latest(light: Service) -> None:
    for name, category in (("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")):
        light.client.put(f"/items/{name}", json={"title": name, "categories": [category]})
    light.client.post("/events", json=[{"user_id": "u", "item_id": item} for item in ("a", "a", "b")])
    edge = light.client.app.state.edge  # type: ignore[attr-defined]
    light.client.portal.call(edge.directory.refresh, light.project)  # type: ignore[union-attr]
    everything, of_x, of_y = (get(light, "nobody", **query) for query in ({}, {"categories": "x"}, {"categories": "y"}))
    assert (everything["fallback"], of_x["fallback"], of_y["fallback"]) == ("trending", "trending", "latest")
    assert ids(of_x) == ["a", "b"]
    assert ids(of_y) == ["d", "c"]


def test_fresh_items_come_forward(light: Service) -> None:
    for number in range(6):
        light.client.put(f"/items/i{number}", json={"title": "x", "published_at": f"202{number}-01-01T00:00:00Z"})
    light.client.post("/events", json=[{"user_id": f"v{n}", "item_id": "i0"} for n in range(9)])
    edge = light.client.app.state.edge  # type: ignore[attr-defined]
    light.client.portal.call(edge.directory.refresh, light.project)  # type: ignore[union-attr]
    assert ids(get(light, "nobody"))[0] == "i0"
    fresh = ids(get(light, "nobody", freshness_weight=50, freshness_half_life_s=3e7))
    assert fresh[:3] == ["i5", "i4", "i3"]


def test_a_session_is_personal_and_counts_its_own_items_as_seen(trained: Service) -> None:
    history = histories()["u0"]
    by_user = get(trained, "u0")
    for session in (history, [{"item_id": item, "type": "view", "timestamp": START_S} for item in history]):
        answer = post(trained, session=session, limit=1_000)
        assert ids(answer) == ids(by_user)
        assert (answer["user_id"], answer["personalised"], answer["fallback"]) == (None, True, None)
    mixed = [history[0], {"item_id": history[1], "type": "like"}]
    answer = post(trained, session=mixed, limit=1_000, exclude_seen_types=["like"])
    assert set(EVERY) - set(ids(answer)) == {history[1]}
    assert post(trained, session=[])["fallback"] == "trending"
    assert post(trained, session=["never heard of"])["fallback"] == "trending"


def test_why_names_what_is_nearest_in_the_history(trained: Service) -> None:
    history = histories()["u0"]
    answer = get(trained, "u0", why=True, limit=3)
    for item in answer["items"]:
        similarities = [near["similarity"] for near in item["why"]]
        assert len(similarities) == 3
        assert similarities == sorted(similarities, reverse=True)
        assert {near["item_id"] for near in item["why"]} <= set(history)
        assert sum(item["shares"].values()) == pytest.approx(1, abs=1e-5)
    assert "why" not in get(trained, "u0")["items"][0]
    assert {tuple(item["why"]) for item in get(trained, "nobody", why=True)["items"]} == {()}
    own = get(trained, "u0", why=True, pinned=f"{history[-1]}:1")["items"][0]["why"][0]
    assert own["item_id"] == history[-1]
    assert own["similarity"] == pytest.approx(1)


def test_a_refresh_brings_a_fresh_list_and_people_do_not_disturb_each_other(trained: Service) -> None:
    whole = ids(get(trained, "u0"))
    query = {"limit": 5, "rotation_s": 600}
    first, second, third = (ids(get(trained, "u0", **query)) for _ in range(3))
    assert first + second == whole[:10]
    assert third == [*whole[10:], *first][:5]
    assert ids(get(trained, "u0", limit=5)) == first, "only who asks for rotation gets it"
    assert ids(get(trained, "u2", **query)) == ids(get(trained, "u2", limit=5))
    assert ids(get(trained, "nobody", **query)) != ids(get(trained, "nobody", **query))
    session = {"session": histories()["u0"], "session_id": "s", **query}
    assert ids(post(trained, **session)) != ids(post(trained, **session))
    nameless = {"session": histories()["u0"], **query}
    assert ids(post(trained, **nameless)) == ids(post(trained, **nameless))


def test_different_people_get_different_lists(trained: Service) -> None:
    lists = {tuple(ids(get(trained, user, exclude_seen=False, limit=5))) for user in histories()}
    assert len(lists) > len(histories()) / 2


def test_exploration_is_recorded_with_its_propensities(trained: Service) -> None:
    answers = [get(trained, "u0", limit=4, explore=0.5, explore_pool=8) for _ in range(8)]
    assert len({tuple(ids(answer)) for answer in answers}) > 1
    best = ids(get(trained, "u0", limit=8))
    for answer in answers:
        record = record_of(trained, answer)
        remaining = list(best)
        for item in record.items:
            chance = 0.5 / len(remaining) + (0.5 if item.item_id == remaining[0] else 0.0)
            assert item.propensity == pytest.approx(chance)
            remaining.remove(item.item_id)


def record_of(service: Service, answer: dict[str, Any]) -> Any:
    from uuid import UUID

    edge = service.client.app.state.edge  # type: ignore[attr-defined]
    record = service.client.portal.call(  # type: ignore[union-attr]
        edge.answers.find, service.project, UUID(answer["recommendation_id"])
    )
    assert record is not None
    return record


def test_what_is_kept_of_an_answer(trained: Service) -> None:
    answer = get(trained, "u0", limit=3, rotation_s=60, pinned="i1:2")
    record = record_of(trained, answer)
    assert [item.item_id for item in record.items] == ids(answer)
    assert [item.source for item in record.items] == ["personal", "pinned", "personal"]
    assert [item.score for item in record.items] == [item["score"] for item in answer["items"]]
    assert record.options == {"limit": 3, "rotation_s": 60.0, "pinned": {"i1": 2}}
    assert (record.user_id, record.fallback, record.offset, record.previous_id) == ("u0", None, 0, None)
    assert (record.history.count, record.session, list(record.pool)) == (6, None, [])
    assert record.snapshot
    again = record_of(trained, get(trained, "u0", limit=3, rotation_s=60))
    assert dict(again.rotated) == dict.fromkeys(ids(answer), pytest.approx(record.at))
    session = record_of(trained, post(trained, session=["i1"], limit=2))
    assert (session.user_id, session.history) == (None, None)
    assert [(event["item_id"], event["type"]) for event in session.session] == [("i1", "view")]
    cold = get(trained, "nobody", limit=2)
    record = record_of(trained, cold)
    assert (record.fallback, list(record.pool)) == ("trending", ids(cold))
    assert {item.source for item in record.items} == {"trending"}


def test_seen_items_never_come_back_past_the_cap(trained: Service, redis_url: str) -> None:
    """The state holds a thousand events: more of them push the first items out of it, and they stay seen."""
    trained.client.post("/events", json=[{"user_id": "u0", "item_id": "i1", "type": "like", "timestamp": START_S}])
    cap = trained.settings.sequence_cap
    again = [
        {"user_id": "u0", "item_id": f"i{2 + number % 2}", "timestamp": START_S + 100 + number} for number in range(cap)
    ]
    before = ids(get(trained, "u0"))
    for start in range(0, cap, 1_000):
        assert trained.client.post("/events", json=again[start : start + 1_000]).status_code == 200
    expected = set(EVERY) - set(histories()["u0"]) - {"i1", "i2", "i3"}
    assert set(before) >= expected
    assert set(ids(get(trained, "u0"))) == expected, "from the events that fell out of the state"
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    assert set(ids(get(trained, "u0"))) == expected, "from the database"
    assert set(ids(get(trained, "u0"))) == expected, "from the state that was filled from it"
    assert set(ids(get(trained, "u0", exclude_seen_types="like"))) == set(EVERY) - {"i1"}
    assert set(ids(get(trained, "u0", exclude_seen=False))) == set(EVERY)


def test_a_batch_answers_each_request_by_itself(trained: Service) -> None:
    requests = [
        {"user_id": "u0", "limit": 2},
        {"user_id": "u1", "limit": 0},
        {"session": ["i1"], "limit": 2, "why": True},
        {"user_id": "u0", "filter": "price <"},
        {"user_id": "u0", "scenario": "unknown"},
        {"user_id": "u0", "session": []},
        "nonsense",
        {"user_id": "nobody", "limit": 2},
    ]
    for body in (requests, {"requests": requests}):
        answer = trained.client.post("/recommend", json=body).json()
        assert BatchAnswer.model_validate(answer, strict=True).model_dump(exclude_unset=True) == answer
        assert [result["status"] for result in answer["results"]] == [200, 422, 200, 422, 404, 422, 422, 200]
        for result in answer["results"]:
            assert (result["recommendation"] is None) != (result["problem"] is None)
        problems = [result["problem"] for result in answer["results"]]
        assert problems[1]["errors"][0]["field"] == "limit"
        assert problems[3]["errors"][0]["field"] == "filter"
        assert problems[4]["type"].endswith("scenario-not-found")
        assert ids(answer["results"][0]["recommendation"]) == ids(get(trained, "u0", limit=2))


@pytest.mark.parametrize("body", [[], {"requests": []}, {"requests": 1}, [{"user_id": "u"}] * 257])
def test_a_batch_has_one_to_256_requests(shared: Service, body: Any) -> None:
    answer = shared.client.post("/recommend", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "requests"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", 1_001),
        ("diversity", 1.5),
        ("explore", -0.1),
        ("rotation_s", "x"),
        ("pinned", "a:0"),
        ("pinned", ["a:1", "b:1"]),
        ("pinned", "a"),
        ("category_caps", "a:-1"),
        ("exclude_seen_types", "a b"),
        ("freshness_half_life_s", 0),
        ("filter", "price <"),
        ("filter", "(" * 200),
        ("cursor", "nonsense"),
        ("user_id", "u"),
        ("session", "i1"),
        ("misspelt", 1),
    ],
)
def test_what_is_wrong_is_named(shared: Service, field: str, value: Any) -> None:
    answer = shared.client.get("/recommend/u", params={field: value})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"].partition(".")[0] == field


@pytest.mark.parametrize("field", ["pinned", "category_caps"])
def test_a_number_that_is_not_there_is_asked_for(shared: Service, field: str) -> None:
    answer = shared.client.get("/recommend/u", params={field: "a"})
    message = "must be written as name:number, like i7:1"
    assert answer.json()["errors"] == [{"field": field, "message": message}]


def test_what_is_no_json_is_refused(shared: Service) -> None:
    answer = shared.client.post("/recommend", content=b"{")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body")


def test_a_parameter_for_every_option_is_documented(shared: Service) -> None:
    document = shared.client.get("/openapi.json").json()
    (path,) = [path for path in document["paths"] if path.endswith("/recommend/{user_id}")]
    names = {parameter["name"] for parameter in document["paths"][path]["get"]["parameters"]}
    assert {"user_id", "limit", "cursor", "scenario", "filter", "pinned", "explore", "rotation_s", "why"} <= names
    assert "session" not in names
    assert json.dumps(document).count('"session"') > 0


def test_pages_never_repeat_and_cover_everything(trained: Service) -> None:
    for user, query in (("u0", {}), ("nobody", {}), ("u0", {"diversity": 0.5, "rotation_s": 60, "explore": 0.3})):
        answer = get(trained, user, limit=4, **query)
        whole = set(ids(get(trained, user)))
        shown, last = ids(answer), answer
        while last["next_cursor"] is not None:
            following = trained.client.get(f"/recommend/next/{last['recommendation_id']}").json()
            by_cursor = get(trained, user, limit=4, cursor=last["next_cursor"])
            if not query:
                assert ids(by_cursor) == ids(following)
            last = checked(following)
            assert last["items"]
            assert next(item["rank"] for item in last["items"]) == len(shown) + 1
            shown += ids(last)
        assert len(shown) == len(set(shown))
        assert set(shown) == whole


def test_a_next_page_has_its_own_limit_and_follows_what_happened(trained: Service) -> None:
    whole = ids(get(trained, "u0"))
    first = get(trained, "u0", limit=3, exclude=whole[4])
    trained.client.patch(f"/items/{whole[3]}", json={"available": False})
    following = trained.client.get(f"/recommend/next/{first['recommendation_id']}", params={"limit": 2}).json()
    assert ids(following) == whole[5:7]
    assert record_of(trained, following).previous_id is not None
    session = post(trained, session=histories()["u0"], limit=3)
    follows = trained.client.post("/recommend", json={"cursor": session["next_cursor"], "limit": 1}).json()
    assert (follows["user_id"], ids(follows)) == (None, [whole[4]])


def test_a_list_goes_on_for_whom_it_belongs_to_only(trained: Service) -> None:
    first = get(trained, "u0", limit=3)
    url = f"/recommend/next/{first['recommendation_id']}"
    other = client_of(trained, "other").get(url)
    assert (other.status_code, other.json()["type"].rpartition("/")[2].rpartition(":")[2]) == (
        404,
        "recommendation-not-found",
    )
    unknown = trained.client.get("/recommend/next/0198c0de-0000-7000-8000-000000000000")
    assert unknown.status_code == 404
    wrong = trained.client.get("/recommend/u1", params={"cursor": first["next_cursor"]})
    assert wrong.json()["errors"][0]["field"] == "cursor"

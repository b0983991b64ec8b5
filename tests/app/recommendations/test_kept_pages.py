"""A page is given again while nothing that it depends on has changed, and is the page that would be made."""

from collections.abc import Callable
from typing import Any

import pytest

from app.recommendations.kept_pages import KeptPage
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each list that is made."""
    import app.recommendations.service as module

    seen: list[int] = []
    make_list = module.make_list

    def make(*arguments: Any) -> Any:
        seen.append(1)
        return make_list(*arguments)

    monkeypatch.setattr(module, "make_list", make)
    return seen


def items(service: Service, query: str = "", user: str = "u0") -> Any:
    return service.client.get(f"/recommend/{user}{query}").json()["items"]


def see(service: Service, item: str) -> None:
    assert service.client.post("/events", json={"user_id": "u0", "item_id": item}).json()["accepted"] == 1


def test_a_page_is_given_again(trained: Service, made: list[int]) -> None:
    first = items(trained)
    assert [items(trained) for _ in range(3)] == [first] * 3
    assert len(made) == 1
    assert items(trained, user="u1") != first
    assert items(trained, "?limit=3") == first[:3], "another wish is another page"
    assert items(trained) == first


@pytest.mark.parametrize(
    "change",
    [
        lambda service, shown: see(service, shown),
        lambda service, shown: put_item(service, shown, "another title"),
        lambda service, shown: put_item(service, shown, "gone", available=False),
        lambda service, shown: service.client.delete(f"/items/{shown}"),
    ],
)
def test_until_something_changes(trained: Service, made: list[int], change: Callable[[Service, str], Any]) -> None:
    first = items(trained)
    change(trained, first[0]["item_id"])
    after = items(trained)
    assert after != first
    assert len(made) == 2


@pytest.mark.parametrize(
    "query", ["?explore=0.5", "?rotation_s=60", "?freshness_weight=1", "?exclude_seen_max_age_s=60"]
)
def test_what_depends_on_time_or_chance_is_made_each_time(trained: Service, made: list[int], query: str) -> None:
    for _ in range(3):
        items(trained, query)
    assert len(made) == 3


def test_fallbacks_and_long_pages_are_made_each_time(
    trained: Service, made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        assert trained.client.get("/recommend/nobody").json()["fallback"]
    assert len(made) == 2
    monkeypatch.setattr("app.recommendations.kept_pages.MAX_ITEMS", 4)
    for _ in range(2):
        items(trained, "?limit=5")
    assert len(made) == 4


def test_each_answer_is_its_own_and_goes_on(trained: Service, made: list[int]) -> None:
    answers = [trained.client.get("/recommend/u0?limit=4").json() for _ in range(2)]
    assert len(made) == 1
    assert answers[0]["recommendation_id"] != answers[1]["recommendation_id"]
    pages = [trained.client.get(f"/recommend/next/{one['recommendation_id']}").json()["items"] for one in answers]
    assert pages[0] == pages[1]
    assert not {one["item_id"] for one in pages[0]} & {one["item_id"] for one in answers[0]["items"]}
    for one in answers:
        replay = trained.client.get(f"/admin/answers/{one['recommendation_id']}/replay").json()
        assert replay["identical"], replay


def test_a_promotion_ends_it(trained: Service, made: list[int]) -> None:
    items(trained)
    edge = trained.client.app.state.edge  # type: ignore[attr-defined]
    (kept,) = edge.recommender._pages.values()
    assert isinstance(kept, KeptPage)
    state = edge.directory.loaded(trained.project)
    live, state.live = state.live, None
    assert not kept.holds(state, kept.plan, now=0.0)
    state.live = live
    assert trained.client.get("/recommend/u0").status_code == 200


def test_a_page_keeps_neither_masks_nor_versions_alive(trained: Service) -> None:
    items(trained)
    edge = trained.client.app.state.edge  # type: ignore[attr-defined]
    (kept,) = edge.recommender._pages.values()
    assert kept.showable() is not None
    state = edge.directory.loaded(trained.project)
    assert kept.version() is state.live
    put_item(trained, "i3", "another title")
    items(trained, user="u1")
    assert kept.showable() is None, "of a million items each mask is a megabyte"

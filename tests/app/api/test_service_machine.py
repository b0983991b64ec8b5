"""The whole service against a model of a few lines: random items, events and questions, by HTTP, in any order.

The model knows what exists, who has seen what, and what may be shown; it knows nothing of vectors. So the *set* of an
answer is checked exactly, its order only as far as the API promises it.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from app.core.types import ItemState
from tests.fixtures.service import Service
from tests.fixtures.trained import client_of

START_S = 1_750_000_000
NAMES = st.sampled_from([f"n{number}" for number in range(5)])
USERS = st.sampled_from(["alice", "bob", "nobody-ever"])
CATEGORIES = st.lists(st.sampled_from(["sea", "sky"]), unique=True)


@dataclass
class ModelItem:
    """What a client has said of an item."""

    title: str
    categories: list[str]
    available: bool


@dataclass
class ModelEvent:
    """What a client has said of an event, with the order of its arrival."""

    item_id: str
    type: str
    time: int
    number: int


@dataclass
class Model:
    """The service in memory."""

    items: dict[str, ModelItem] = field(default_factory=dict)
    events: dict[str, list[ModelEvent]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)

    def seen(self, user: str, *types: str) -> set[str]:
        """Items of the user's events, of some types or of any."""
        return {event.item_id for event in self.events.get(user, []) if not types or event.type in types}

    def history(self, user: str) -> list[tuple[str, str]]:
        """Newest first; of one moment the later arrival is the newer."""
        ordered = sorted(self.events.get(user, []), key=lambda event: (event.time, event.number), reverse=True)
        return [(event.item_id, event.type) for event in ordered]

    def showable(self, category: str | None = None) -> set[str]:
        """What may be shown to somebody who has seen nothing."""
        return {
            item_id
            for item_id, item in self.items.items()
            if item.available and (category is None or category in item.categories)
        }


class ServiceMachine(RuleBasedStateMachine):
    """One run is one project, or on a trained service one set of items and users with a prefix of its own."""

    def __init__(self, service: Service, client: TestClient, model: Model, *, encode: bool) -> None:
        super().__init__()
        self.service, self.client, self.model, self.encode = service, client, model, encode
        self.prefix = uuid.uuid4().hex[:8]
        self.clock = START_S
        self.asked: set[str] = set()

    def _id(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def _ask(self, method: str, path: str, status: int | tuple[int, ...] = 200, **options: Any) -> Any:
        answer = self.client.request(method, path, **options)
        assert answer.status_code in ((status,) if isinstance(status, int) else status), answer.text
        return answer.json() if answer.content else None

    @rule(
        name=NAMES, title=st.sampled_from(["harbour boat", "techno night"]), categories=CATEGORIES, shown=st.booleans()
    )
    def put(self, name: str, title: str, categories: list[str], shown: bool) -> None:
        item_id = self._id(name)
        body = {"title": title, "categories": categories, "available": shown}
        created = item_id not in self.model.items
        self._ask("PUT", f"/items/{item_id}", 201 if created else 200, json=body)
        self.model.items[item_id] = ModelItem(title, categories, shown)

    @rule(name=NAMES, shown=st.booleans())
    def patch(self, name: str, shown: bool) -> None:
        item_id = self._id(name)
        there = item_id in self.model.items
        self._ask("PATCH", f"/items/{item_id}", 200 if there else 404, json={"available": shown})
        if there:
            self.model.items[item_id].available = shown

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        item_id = self._id(name)
        there = self.model.items.pop(item_id, None) is not None
        self._ask("DELETE", f"/items/{item_id}", 204 if there else 404)

    @rule(name=NAMES)
    def read(self, name: str) -> None:
        item_id = self._id(name)
        item = self.model.items.get(item_id)
        found = self._ask("GET", f"/items/{item_id}", 200 if item else 404)
        if item:
            assert (found["title"], found["categories"], found["available"]) == (
                item.title,
                item.categories,
                item.available,
            )

    @rule(user=USERS, name=NAMES, kind=st.sampled_from(["view", "like"]), late=st.booleans(), again=st.booleans())
    def event(self, user: str, name: str, kind: str, late: bool, again: bool) -> None:
        self.clock += 1
        time = self.clock - 10 if late else self.clock
        sent = {"user_id": self._id(user), "item_id": self._id(name), "type": kind, "timestamp": time}
        told_apart = "/".join(map(str, sent.values()))
        expected = "duplicate" if told_apart in self.model.ids else "accepted"
        for status in [expected, *(["duplicate"] if again else [])]:
            report = self._ask("POST", "/events", json=sent)
            assert [result["status"] for result in report["results"]] == [status]
        if expected == "accepted":
            self.model.ids.add(told_apart)
            kept = self.model.events.setdefault(self._id(user), [])
            kept.append(ModelEvent(self._id(name), kind, time, len(self.model.ids)))

    @rule(user=USERS)
    def history(self, user: str) -> None:
        expected = self.model.history(self._id(user))
        answer = self._ask("GET", f"/users/{self._id(user)}/history", 200 if expected else 404)
        if expected:
            assert [(event["item_id"], event["type"]) for event in answer["events"]] == expected

    @rule(user=USERS)
    def forget(self, user: str) -> None:
        # Answers that were given to somebody make them known too.
        known = self._id(user) in self.model.events or user in self.asked
        self.model.events.pop(self._id(user), None)
        self.asked.discard(user)
        self._ask("DELETE", f"/users/{self._id(user)}", 200 if known else 404)
        self.model.ids -= {one for one in self.model.ids if one.startswith(f"{self._id(user)}/")}

    @rule(user=USERS, limit=st.integers(1, 40), unseen=st.booleans(), category=st.sampled_from([None, "sea"]))
    def recommend(self, user: str, limit: int, unseen: bool, category: str | None) -> None:
        query = {"limit": limit, "exclude_seen": unseen, **({"categories": category} if category else {})}
        answer = self._ask("GET", f"/recommend/{self._id(user)}", params=query)
        self.asked.add(user)
        shown = [item["item_id"] for item in answer["items"]]
        may = self.model.showable(category) - (self.model.seen(self._id(user)) if unseen else set())
        if answer["personalised"]:
            assert self.model.seen(self._id(user)) & self._with_vector()
            may &= self._with_vector()
            scores = [item["score"] for item in answer["items"]]
            assert scores == sorted(scores, reverse=True)
        assert len(shown) == len(set(shown)) == min(limit, len(may))
        assert set(shown) <= may
        assert [item["rank"] for item in answer["items"]] == list(range(1, len(shown) + 1))

    def _with_vector(self) -> set[str]:
        """On a trained service every item that exists is encoded after each step; elsewhere none has a vector."""
        return set(self.model.items) if self.encode else set()

    @rule(limit=st.integers(1, 7))
    def list_items(self, limit: int) -> None:
        listed: list[str] = []
        cursor = None
        while True:
            page = self._ask("GET", "/items", params={"limit": limit, **({"cursor": cursor} if cursor else {})})
            assert len(page["items"]) <= limit
            listed += [item["item_id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert sorted(listed) == sorted(self.model.items)

    @invariant()
    def what_waits_is_encoded(self) -> None:
        if self.encode:
            self.service.run_jobs()

    def teardown(self) -> None:
        for item_id in [item_id for item_id in self.model.items if item_id.startswith(self.prefix)]:
            self.delete(item_id.removeprefix(f"{self.prefix}-"))


def bounded(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )


@pytest.mark.timeout(600)
def test_without_a_model(light: Service) -> None:
    def machine() -> ServiceMachine:
        return ServiceMachine(light, client_of(light, uuid.uuid4().hex), Model(), encode=False)

    run_state_machine_as_test(machine, settings=bounded(15))


@pytest.mark.timeout(600)
def test_with_a_live_model(trained: Service) -> None:
    there = trained.client.get("/items", params={"limit": 1_000}).json()["items"]
    assert {item["state"] for item in there} == {ItemState.READY}

    def machine() -> ServiceMachine:
        items = {item["item_id"]: ModelItem(item["title"], item["categories"], item["available"]) for item in there}
        return ServiceMachine(trained, trained.client, Model(items=items), encode=True)

    run_state_machine_as_test(machine, settings=bounded(15))

"""Recommendations by the graph inside PostgreSQL, from the setting to the answer."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from app.core.config import Settings
from app.items.encoding import FrozenEncoder
from app.recommendations.search.database_graph import INDEX
from app.recommendations.search.pgvector import PgvectorIndex
from tests.app.recommendations.test_indexing import LIST, eventually, live_index, shown
from tests.fixtures.service import Service, running_service
from tests.fixtures.trained import ITEMS, put_item

PAGE = "/recommend/u0?limit=5"


@pytest.fixture
def searched(trained_settings: Settings, fakes: dict[str, FrozenEncoder]) -> Iterator[Service]:
    settings = trained_settings.model_copy(update={"index_kind": "pgvector"})
    with running_service(settings, fakes) as running:
        yield running


def page(service: Service, url: str = PAGE) -> list[tuple[str, float]]:
    answer = service.client.get(url)
    assert answer.status_code == 200, answer.text
    return [(item["item_id"], item["score"]) for item in answer.json()["items"]]


def test_the_graph_serves(searched: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    before = page(searched)
    eventually(lambda: live_index(searched) is not None, True)
    index = searched.client.get("/admin/models").json()["models"][0]["index"]
    assert (index["kind"], index["reason"], index["items"]) == ("pgvector", "settings: pgvector", ITEMS)
    calls: list[int] = []
    search = PgvectorIndex.search

    def noted(self: PgvectorIndex, users: object, k: int) -> object:
        calls.append(k)
        return search(self, users, k)  # type: ignore[arg-type]

    monkeypatch.setattr(PgvectorIndex, "search", noted)
    assert page(searched) == before
    assert page(searched, "/recommend/u1?limit=5") == page(searched, "/recommend/u1?limit=5")
    assert calls
    put_item(searched, "new", "harbour")
    searched.run_jobs()
    eventually(lambda: "new" in shown(searched), True)
    assert searched.client.delete("/items/new").status_code == 204
    eventually(lambda: "new" in shown(searched), False)
    assert len(page(searched, LIST)) == ITEMS


def test_answers_go_on_when_its_graph_is_lost(searched: Service) -> None:
    page(searched)
    eventually(lambda: live_index(searched) is not None, True)
    with searched.context.database.transaction() as transaction:
        (name,) = transaction.session.scalars(
            text("SELECT indexname FROM pg_indexes WHERE indexname LIKE :like"), {"like": f"{INDEX}%"}
        )
        transaction.session.execute(text(f"DROP INDEX {name}"))
        transaction.session.execute(text("DROP EXTENSION vector CASCADE"))
    assert len(page(searched, "/recommend/u2?limit=5")) == 5

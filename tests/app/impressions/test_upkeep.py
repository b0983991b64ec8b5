from collections.abc import Iterator

import pytest
from sqlalchemy import select

from app.db.session import Database
from app.db.tables import AnswerPoolRow, AnswerRow
from app.impressions import upkeep
from app.impressions.repository import insert_answers
from app.impressions.upkeep import forget_answers
from app.projects.repository import ensure_project
from tests.app.impressions.making import answer

NOW, DAY_S = 1_790_000_000.0, 86_400.0


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=2)
    yield database
    database.close()


def test_old_answers_go_a_batch_at_a_time_and_their_pools_with_the_last(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 2)
    monkeypatch.setattr(upkeep, "now", lambda: NOW)
    with database.transaction() as transaction:
        projects = [ensure_project(transaction, name) for name in ("p", "q")]
        old = [answer(p, ["a"], at=NOW - 31 * DAY_S, pool=["a"]) for p in projects for _ in range(3)]
        older_pool = answer(projects[0], ["a"], at=NOW - 32 * DAY_S, pool=["gone"])
        young = answer(projects[0], ["a"], at=NOW - 29 * DAY_S, pool=["a"])
        insert_answers(transaction, [*old, older_pool, young])
        assert [forget_answers(transaction, days=30) for _ in range(3)] == [4, 3, 0]
        assert list(transaction.session.scalars(select(AnswerRow.id))) == [young.id]
        pools = transaction.session.execute(select(AnswerPoolRow.project_id, AnswerPoolRow.item_ids))
        assert [tuple(row) for row in pools] == [(projects[0], ["a"])]

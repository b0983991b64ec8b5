"""The buffered log against a real database, one that is away, and answers that cannot be stored."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from app.core.ids import uuid7
from app.core.types import ProjectId, VersionId
from app.db.session import Database
from app.db.tables import AnswerPoolRow, AnswerRow
from app.impressions import log as module
from app.impressions.bounded import BoundedAnswers
from app.impressions.log import BufferedAnswerLog
from app.impressions.record import AnswerRecord, HistoryMark, Rival, ShownItem, ShownItems
from app.projects.repository import ensure_project
from tests.app.impressions.making import T0, answer

OTHER = ProjectId(10**6)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=2)
    yield database
    database.close()


@pytest.fixture
def project(database: Database) -> ProjectId:
    with database.transaction() as transaction:
        return ensure_project(transaction, "p")


def stored(database: Database) -> set[uuid.UUID]:
    with database.transaction() as transaction:
        return set(transaction.session.scalars(select(AnswerRow.id)))


def full(project: ProjectId) -> AnswerRecord:
    """An answer whose every field is set, to something that a careless way through JSON or SQL would change."""
    return answer(
        project,
        (),
        user_id="Zoë \\ \"'{}",
        at=1_760_000_000.1234567,
        scenario="home",
        experiment_id=2**40,
        arm="b",
        options={"limit": 3, "pinned": {"i": 1}, "freshness_weight": 0.1},
        session=[{"item_id": "a", "type": "view", "timestamp": 1.5}],
        history=HistoryMark(1_000, 2**60, bytes(range(240, 256))),
        rotated={"x": 1_760_000_000.1234567, "y": 12.0},
        pool=["a,b", 'c"d', "NULL", "ë"],
        fallback="trending",
        offset=20,
        previous_id=uuid7(),
        rivals=[Rival("a", VersionId(7), {"limit": 3}), Rival("b", None, {})],
        items=ShownItems.of(
            [
                ShownItem("NULL", None, 1 / 3, "pinned"),
                ShownItem('{"', 0.1 + 0.2, 1e-300, "personal"),
                ShownItem("\\", -1e300, 1.0, "b"),
            ]
        ),
    )


async def test_what_is_read_back_is_what_was_recorded(database: Database, project: ProjectId) -> None:
    log = BufferedAnswerLog(database, flush_s=60)
    answers = [full(project), answer(project, ["a"])._replace(history=None, user_id=None, version_id=None)]
    for one in answers:
        log.record(one)
    assert [await log.find(project, one.id) for one in answers] == answers
    await log.flush()
    another_process = BufferedAnswerLog(database, flush_s=0.05)
    assert [await another_process.find(project, one.id) for one in answers] == answers


async def test_answers_are_written_at_intervals_and_at_the_end(database: Database, project: ProjectId) -> None:
    log = BufferedAnswerLog(database, flush_s=0.05)
    log.start()
    first, last = answer(project, ["a"]), answer(project, ["b"])
    log.record(first)
    async with asyncio.timeout(20):
        while stored(database) != {first.id}:
            await asyncio.sleep(0.02)
    log.record(last)
    await log.stop()
    assert stored(database) == {first.id, last.id}


async def test_more_than_one_statement_takes(database: Database, project: ProjectId) -> None:
    log = BufferedAnswerLog(database, flush_s=60)
    answers = [answer(project, ["a"]) for _ in range(module.BATCH + 3)]
    for one in answers:
        log.record(one)
    await log.flush()
    assert stored(database) == {one.id for one in answers}
    for one in answers[:2]:
        log.record(one)
    await log.flush()
    assert len(stored(database)) == len(answers)


async def test_nobody_finds_another_projects_answers(database: Database, project: ProjectId) -> None:
    log = BufferedAnswerLog(database, flush_s=0.05)
    one = answer(project, ["a"])
    log.record(one)
    assert await log.find(OTHER, one.id) is None
    await log.flush()
    assert await BufferedAnswerLog(database, flush_s=0.05).find(OTHER, one.id) is None


async def test_an_answer_that_another_process_is_about_to_write_is_waited_for(
    database: Database, project: ProjectId
) -> None:
    theirs, mine = BufferedAnswerLog(database, flush_s=60), BufferedAnswerLog(database, flush_s=30)
    one = answer(project, ["a"])
    theirs.record(one)
    finding = asyncio.create_task(mine.find(project, one.id))
    await asyncio.sleep(0.2)
    assert not finding.done()
    await theirs.flush()
    assert await finding == one


@pytest.mark.parametrize(
    "made",
    [lambda: uuid.uuid4(), lambda: uuid.UUID(int=uuid7().int - (3_600_000 << 80)), lambda: uuid.UUID(int=0)],
)
async def test_an_answer_that_cannot_come_any_more_is_not_waited_for(
    database: Database, project: ProjectId, made: Callable[[], uuid.UUID]
) -> None:
    async with asyncio.timeout(20):
        assert await BufferedAnswerLog(database, flush_s=3_600).find(project, made()) is None


async def test_a_clock_that_is_ahead_makes_nobody_wait_longer(database: Database, project: ProjectId) -> None:
    ahead = uuid.UUID(int=uuid7().int + (3_600_000 << 80))
    began = time.monotonic()
    assert await BufferedAnswerLog(database, flush_s=0.05).find(project, ahead) is None
    assert time.monotonic() - began < 60


async def test_settling_writes_at_once(database: Database, project: ProjectId) -> None:
    log = BufferedAnswerLog(database, flush_s=3_600)
    one = answer(project, ["a"])
    log.record(one)
    await log.settle(project, one.id)
    assert stored(database) == {one.id}
    await log.settle(project, one.id)
    await log.settle(project, uuid.uuid4())


@pytest.mark.parametrize("change", [{"options": {"x": "\x00"}}, {"options": {"x": object()}}, {"user_id": "\x00"}])
async def test_an_answer_that_cannot_be_stored_takes_no_other_with_it(
    database: Database, project: ProjectId, change: dict[str, Any]
) -> None:
    log = BufferedAnswerLog(database, flush_s=60)
    good = [answer(project, ["a"]), answer(project, ["b"])]
    for one in (good[0], answer(project, ["c"], **change), good[1]):
        log.record(one)
    await log.flush()
    assert stored(database) == {one.id for one in good}


async def test_answers_of_a_deleted_project_are_passed_over(database: Database, project: ProjectId) -> None:
    log = BufferedAnswerLog(database, flush_s=60)
    good = answer(project, ["a"], pool=["a"])
    log.record(answer(OTHER, ["a"], pool=["b"]))
    log.record(good)
    await log.flush()
    assert stored(database) == {good.id}


async def test_a_pool_is_stored_once(database: Database, project: ProjectId) -> None:
    log = BufferedAnswerLog(database, flush_s=60)
    for at, pool in ((T0 + 5, ["a", "b"]), (T0, ["a", "b"]), (T0, ["b", "a"])):
        log.record(answer(project, ["a"], pool=pool, at=at))
    await log.flush()
    log.record(answer(project, ["a"], pool=["a", "b"], at=T0 + 2))
    await log.flush()
    with database.transaction() as transaction:
        seconds = func.extract("epoch", AnswerPoolRow.last_at)
        rows = transaction.session.execute(select(AnswerPoolRow.item_ids, seconds).order_by(AnswerPoolRow.last_at))
        assert [(ids, float(at)) for ids, at in rows] == [(["b", "a"], T0), (["a", "b"], T0 + 5)]


class Flaky(Database):
    """A database that can be away."""

    away = False

    def transaction(self) -> Any:
        if self.away:
            raise OperationalError("", {}, ConnectionRefusedError())
        return super().transaction()


async def test_what_a_database_that_is_away_does_not_take_waits(database_url: str) -> None:
    database = Flaky(database_url, pool_size=2)
    with database.transaction() as transaction:
        project = ensure_project(transaction, "p")
    log = BufferedAnswerLog(database, flush_s=0.02, recent_items=1)
    log.start()
    database.away = True
    answers = [answer(project, ["a"]) for _ in range(3)]
    for one in answers:
        log.record(one)
    await asyncio.sleep(0.1)
    assert await log.find(project, answers[0].id) == answers[0]
    with pytest.raises(OperationalError):
        await log.flush()
    database.away = False
    await log.stop()
    assert stored(database) == {one.id for one in answers}
    database.close()


async def test_an_end_without_a_database_is_an_end(database_url: str) -> None:
    database = Flaky(database_url, pool_size=2)
    database.away = True
    log = BufferedAnswerLog(database, flush_s=0.02)
    log.start()
    log.record(answer(OTHER, ["a"]))
    async with asyncio.timeout(20):
        await log.stop()
    database.close()


async def test_the_oldest_go_when_too_many_wait(database: Database, project: ProjectId) -> None:
    # An answer of two items weighs three, so that two fit into seven.
    log = BufferedAnswerLog(database, flush_s=60, waiting_items=7, recent_items=4)
    answers = [answer(project, ["a", "b"]) for _ in range(4)]
    for one in answers:
        log.record(one)
    await log.flush()
    assert stored(database) == {one.id for one in answers[2:]}


def test_an_answer_longer_than_the_bound_is_not_kept() -> None:
    bounded = BoundedAnswers(5)
    assert bounded.add(answer(OTHER, ["a"])) == 0
    assert bounded.add(answer(OTHER, list("abcdefg"))) == 2
    assert len(bounded) == 0


def test_the_same_answer_twice_weighs_once() -> None:
    bounded = BoundedAnswers(5)
    one = answer(OTHER, ["a", "b", "c"])
    assert [bounded.add(one) for _ in range(3)] == [0, 0, 0]
    assert bounded.oldest(10) == [one]


def test_what_is_too_old_is_forgotten_in_the_order_of_arrival() -> None:
    bounded = BoundedAnswers(100)
    answers = [answer(OTHER, ["a"], at=T0 + seconds) for seconds in (0, 1, 2)]
    for one in answers:
        bounded.add(one)
    bounded.drop_before(T0 + 1.5)
    assert bounded.oldest(10) == answers[2:]
    bounded.drop_before(T0 + 3)
    assert len(bounded) == 0


async def test_memory_does_not_outlive_the_time(
    database: Database, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECENT_S", 0.0)
    log = BufferedAnswerLog(database, flush_s=0.02)
    log.start()
    one = answer(project, ["a"], at=time.time())
    log.record(one)
    async with asyncio.timeout(20):
        while stored(database) != {one.id}:
            await asyncio.sleep(0.02)
        with database.transaction() as transaction:
            transaction.session.execute(text("DELETE FROM answers"))
        while await log.find(project, one.id) is not None:
            await asyncio.sleep(0.02)
    await log.stop()


async def test_deleting_a_project_deletes_its_answers(database: Database, project: ProjectId) -> None:
    log = BufferedAnswerLog(database, flush_s=60)
    log.record(full(project))
    await log.flush()
    with database.transaction() as transaction:
        transaction.session.execute(text("DELETE FROM projects"))
        left = [
            transaction.session.scalars(select(func.count()).select_from(t)).one() for t in (AnswerRow, AnswerPoolRow)
        ]
    assert left == [0, 0]


def test_everything_that_an_answer_holds_weighs() -> None:
    heavy = answer(OTHER, ["a"])._replace(session=[{}] * 10, rotated={"b": 1.0}, pool=["c"] * 5)
    bounded = BoundedAnswers(18)
    assert bounded.add(heavy) == 0
    assert bounded.add(answer(OTHER, [])) == 1
    assert len(bounded) == 1

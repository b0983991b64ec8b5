"""Online metrics against a slow reference that follows their definitions word by word."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.core.errors import InvalidRequest
from app.core.types import ProjectId
from app.db.session import Database, Transaction
from app.db.tables import ItemRow, ModelVersionRow
from app.impressions import sums as module
from app.impressions.attribution import CLOCK_SKEW_S, Attribution, attributed_events
from app.impressions.intervals import wilson
from app.impressions.metrics import GroupBy, OnlineMetrics, online_metrics
from app.impressions.record import AnswerRecord
from app.impressions.repository import AnswerRepository, insert_answers
from app.projects.repository import ensure_project
from tests.app.impressions.making import T0, add_events, answer

ITEMS = [f"i{n}" for n in range(6)]
SINCE, UNTIL = datetime.fromtimestamp(T0, UTC), datetime.fromtimestamp(T0 + 1_000, UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=2)
    yield database
    database.close()


def new_project(transaction: Transaction, *, missing: Sequence[str] = ()) -> ProjectId:
    """A project whose items may be shown, but for the missing ones."""
    project = ensure_project(transaction, uuid.uuid4().hex)
    rows = [ItemRow(project_id=project, item_id=item, available=item not in missing) for item in ITEMS]
    transaction.session.add_all(rows)
    return project


def measure(transaction: Transaction, project: ProjectId, **options: Any) -> list[OnlineMetrics]:
    return online_metrics(transaction, project, **{"since": SINCE, "until": UNTIL, **options})


@dataclass(frozen=True)
class Shown:
    """What was drawn of an answer."""

    items: list[str]
    user: str | None
    at_s: float
    offset: int
    scenario: str | None
    fallback: str | None
    seen: list[int] | None


@dataclass(frozen=True)
class Done:
    """An event; `answer` counts through the answers, one past the last names none of them."""

    answer: int
    item: str
    type: str
    after_s: float


lists = st.lists(st.sampled_from(ITEMS), max_size=4, unique=True)
shown_answers = st.builds(
    Shown,
    items=lists,
    user=st.sampled_from(["u", "v", None]),
    at_s=st.sampled_from([-1.0, 0.0, 10.5, 999.999, 1_000.0]),
    offset=st.sampled_from([0, 0, 4, 18, 30]),
    scenario=st.sampled_from([None, "home", "mail"]),
    fallback=st.sampled_from([None, "trending"]),
    seen=st.none() | st.lists(st.integers(1, 4), max_size=3, unique=True),
)
events = st.builds(
    Done,
    answer=st.integers(0, 4),
    item=st.sampled_from([*ITEMS, "unknown"]),
    type=st.sampled_from(["view", "like", "buy"]),
    after_s=st.sampled_from([-CLOCK_SKEW_S - 1, -CLOCK_SKEW_S, -1.0, 5.0, 5.0, 6.0, 50.0, 51.0]),
)
policies = st.builds(
    Attribution,
    click_types=st.sampled_from([None, ("view",), ("view", "like"), ()]),
    conversion_types=st.sampled_from([(), ("buy",), ("buy", "like")]),
    window_s=st.sampled_from([5.5, 50.0]),
)


@dataclass
class Group:
    """Sets from which every number of a group follows."""

    answers: list[int] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    shown: list[tuple[str, int]] = field(default_factory=list)
    met: dict[tuple[int, int, str], tuple[float, int]] = field(default_factory=dict)
    """(answer, rank, type): first time and number."""


def reference(
    answers: Sequence[Shown], done: Sequence[Done], policy: Attribution, *, by_scenario: bool
) -> Mapping[str | None, Group]:
    groups: dict[str | None, Group] = {} if by_scenario else {None: Group()}
    for number, one in enumerate(answers):
        if not 0 <= one.at_s < 1_000:
            continue
        group = groups.setdefault(one.scenario if by_scenario else None, Group())
        group.answers.append(number)
        group.users |= {one.user} - {None}
        places = {item: place for place, item in enumerate(one.items, start=1) if one.seen is None or place in one.seen}
        group.shown += [(item, one.offset + place) for item, place in places.items()]
        for order, event in enumerate(done):
            in_time = -CLOCK_SKEW_S <= event.after_s <= policy.window_s
            if event.answer == number and in_time and event.item in places:
                key = (number, one.offset + places[event.item], event.type)
                group.met[key] = min(group.met.get(key, (1e99, 0)), (event.after_s, order))
    return groups


def check(
    found: OnlineMetrics, group: Group, answers: Sequence[Shown], policy: Attribution, showable: set[str]
) -> None:
    clicks = {key: at for key, at in group.met.items() if policy.click_types is None or key[2] in policy.click_types}
    clicked = {key[:2] for key in clicks}
    n = len(group.answers)
    first = {number: min((at, rank) for (a, rank, _), at in clicks.items() if a == number)[1] for number, _ in clicked}
    fallbacks = sum(answers[number].fallback is not None for number in group.answers)
    assert (found.answers, found.users, found.impressions) == (n, len(group.users), len(group.shown))
    assert (found.clicks, found.clicked_answers) == (len(clicked), len(first))
    assert found.ctr == wilson(len(clicked), len(group.shown))
    assert found.answer_ctr == wilson(len(first), n)
    assert found.mrr == (pytest.approx(sum(1 / rank for rank in first.values()) / n) if n else None)
    assert found.fallback_rate == wilson(fallbacks, n)
    assert found.personalised_rate == wilson(n - fallbacks, n)
    items = {item for item, _ in group.shown}
    assert (found.items_shown, found.coverage) == (len(items), len(items & showable) / len(showable))
    converted = {a for a, _, kind in group.met if kind in policy.conversion_types}
    assert found.converted_answers == (len(converted) if policy.conversion_types else None)
    assert found.conversion == wilson(len(converted), n if policy.conversion_types else 0)
    kinds = [kind for _, _, kind in group.met]
    assert found.events == {kind: kinds.count(kind) for kind in kinds}
    ranks = [rank for _, rank in group.shown if rank <= 20]
    assert [(one.rank, one.impressions, one.clicks, one.ctr) for one in found.positions] == [
        (rank, ranks.count(rank), c := sum(r == rank for _, r in clicked), wilson(c, ranks.count(rank)))
        for rank in sorted(set(ranks))
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answers=st.lists(shown_answers, max_size=4),
    done=st.lists(events, max_size=12),
    policy=policies,
    missing=st.sets(st.sampled_from(ITEMS), max_size=2),
    by_scenario=st.booleans(),
)
def test_they_are_what_their_definitions_say(
    database: Database,
    answers: list[Shown],
    done: list[Done],
    policy: Attribution,
    missing: set[str],
    by_scenario: bool,
) -> None:
    answers = [
        Shown(**{**vars(one), "seen": None if one.seen is None else [s for s in one.seen if s <= len(one.items)]})
        for one in answers
    ]
    with database.transaction() as transaction:
        project = new_project(transaction, missing=sorted(missing))
        records = [_record(project, one) for one in answers]
        insert_answers(transaction, records)
        for record, one in zip(records, answers, strict=True):
            row = AnswerRepository(transaction, project).hold(record.id)
            assert row is not None
            row.seen_positions = one.seen
        transaction.session.flush()
        named = [*[record.id for record in records], *[uuid.uuid4() for _ in range(5)]]
        times = [*[record.at for record in records], *[T0] * 5]
        add_events(
            transaction,
            project,
            *((named[one.answer], one.item, one.type, times[one.answer] + one.after_s) for one in done),
        )
        found = measure(transaction, project, attribution=policy, group_by=GroupBy.SCENARIO if by_scenario else None)
    expected = reference(answers, done, policy, by_scenario=by_scenario)
    assert {one.group for one in found} == set(expected)
    for one in found:
        check(one, expected[one.group], answers, policy, set(ITEMS) - missing)


def _record(project: ProjectId, one: Shown) -> AnswerRecord:
    fields = {"user_id": one.user, "offset": one.offset, "scenario": one.scenario, "fallback": one.fallback}
    return answer(project, one.items, at=T0 + one.at_s, **fields)


def test_by_version_and_by_arm(database: Database) -> None:
    with database.transaction() as transaction:
        project = new_project(transaction)
        version = ModelVersionRow(project_id=project, number=3, method="id", artifact="a", manifest={})
        transaction.session.add(version)
        transaction.session.flush()
        gone = version.id + 1
        in_arm = {"experiment_id": 5, "version_id": version.id}
        insert_answers(
            transaction,
            [
                answer(project, ITEMS, arm="a", **in_arm),
                answer(project, ITEMS, arm="b", **in_arm),
                answer(project, ITEMS, arm="a", **{**in_arm, "experiment_id": 6}),
                answer(project, ITEMS, version_id=gone),
                answer(project, ITEMS, version_id=None),
            ],
        )
        by_version = measure(transaction, project, group_by=GroupBy.VERSION)
        by_arm = measure(transaction, project, group_by=GroupBy.ARM)
        of_one = measure(transaction, project, group_by=GroupBy.ARM, experiment_id=5)
    assert [(one.group, one.answers) for one in by_version] == [(None, 1), (f"deleted version {gone}", 1), ("v3", 3)]
    assert [(one.group, one.answers) for one in by_arm] == [("5:a", 1), ("5:b", 1), ("6:a", 1)]
    assert [one.group for one in of_one] == ["5:a", "5:b"]


def test_another_projects_events_and_items_do_not_count(database: Database) -> None:
    with database.transaction() as transaction:
        mine, other = new_project(transaction), new_project(transaction)
        given_answer = answer(mine, ITEMS)
        insert_answers(transaction, [given_answer])
        add_events(transaction, other, (given_answer.id, "i0", "view", T0 + 1))
        (found,) = measure(transaction, mine)
        (theirs,) = measure(transaction, other)
    assert (found.answers, found.clicks, found.coverage) == (1, 0, 1.0)
    assert (theirs.answers, theirs.clicks, theirs.events, theirs.coverage) == (0, 0, {}, 0.0)


def test_attributed_events_are_the_first_of_each_type(database: Database) -> None:
    with database.transaction() as transaction:
        project = new_project(transaction)
        given_answer = answer(project, ["i2", "i4"], offset=10)
        insert_answers(transaction, [given_answer])
        named = given_answer.id
        add_events(
            transaction,
            project,
            (named, "i4", "view", T0 + 9),
            (named, "i4", "view", T0 + 4),
            (named, "i4", "buy", T0 + 8),
            (named, "i3", "view", T0 + 1),
            (None, "i4", "view", T0 + 1),
        )
        found = list(
            attributed_events(transaction, project, since=SINCE, until=UNTIL, attribution=Attribution(window_s=60))
        )
    assert {(one.answer_id, one.item_id, one.position, one.type, one.at.timestamp()) for one in found} == {
        (named, "i4", 2, "view", T0 + 4),
        (named, "i4", 2, "buy", T0 + 8),
    }


def test_counting_that_takes_too_long_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STATEMENT", "SELECT 'catalogue', NULL, NULL, 0, pg_sleep(20)")
    monkeypatch.setattr(module, "LONGEST_S", 0.05)
    with pytest.raises(InvalidRequest, match="since"), database.transaction() as transaction:
        measure(transaction, ensure_project(transaction, "p"))


def test_the_limit_of_time_is_for_counting_only(database: Database) -> None:
    with database.transaction() as transaction:
        measure(transaction, ensure_project(transaction, "p"))
        assert transaction.session.scalars(text("SHOW statement_timeout")).one() == "0"

"""Experiments as users meet them: assigned by the API, recorded, and reported."""

import time
from typing import Any

import pytest
from sqlalchemy import select

from app.db.tables import AnswerRow
from app.experiments.repository import running
from app.experiments.running import RunningExperiment
from tests.app.experiments.answers import add_version
from tests.fixtures.service import Service
from tests.fixtures.trained import USERS

PATH = "/admin/experiments"


def start(service: Service, **order: Any) -> RunningExperiment:
    made = service.client.post(PATH, json={"name": "one", "metric": {"types": ["click"]}, **order})
    assert made.status_code == 201, made.text
    assert service.client.post(f"{PATH}/{made.json()['id']}/start").status_code == 200
    with service.context.database.transaction() as transaction:
        (found,) = running(transaction.session, service.project)
    return found


def ask_everybody(service: Service, **options: Any) -> dict[str, dict[str, Any]]:
    requests = [{"user_id": f"u{n}", **options} for n in range(USERS)]
    results = service.client.post("/recommend", json={"requests": requests}).json()["results"]
    return {one["recommendation"]["user_id"]: one["recommendation"] for one in results}


def recorded(service: Service, count: int) -> list[AnswerRow]:
    for _ in range(200):
        with service.context.database.transaction() as transaction:
            rows = list(transaction.session.scalars(select(AnswerRow)))
        if len(rows) == count:
            return rows
        time.sleep(0.05)
    pytest.fail("answers are not in the database")


def test_users_see_their_arm_and_a_version_that_cannot_be_loaded_is_told(trained: Service) -> None:
    add_version(trained, 2)  # whose artifact is nowhere
    arms = [{"name": "old", "share": 0.4, "version": "v1"}, {"name": "new", "share": 0.4, "version": "v2"}]
    experiment = start(trained, arms=arms)
    expected = {f"u{n}": experiment.pick_arm(f"u{n}") for n in range(USERS)}
    names = {user: arm and arm.name for user, arm in expected.items()}
    assert set(names.values()) >= {"old", "new"}
    for _ in range(2):
        answers = ask_everybody(trained)
        assert {user: answer["arm"] for user, answer in answers.items()} == names
        assert {answer["model_version"] for answer in answers.values()} == {"v1"}
    rows = recorded(trained, 2 * USERS)
    assert {(row.user_id, row.arm, row.experiment_id is not None) for row in rows} == {
        (user, arm, arm is not None) for user, arm in names.items()
    }
    found = trained.client.get(f"{PATH}/{experiment.id}").json()["results"]
    by_name = {arm["arm"]: arm for arm in found["arms"]}
    for name in ("old", "new"):
        users = [*names.values()].count(name)
        assert (by_name[name]["users"], by_name[name]["answers"]) == (users, 2 * users)
    assert by_name["old"]["served_otherwise"] == 0
    assert by_name["new"]["served_otherwise"] == by_name["new"]["answers"]
    assert any("another version" in warning for warning in found["warnings"])


def test_nobody_is_in_it_any_more_once_it_is_stopped(trained: Service) -> None:
    experiment = start(trained, arms=[{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5}])
    assert {answer["arm"] for answer in ask_everybody(trained).values()} == {"a", "b"}
    trained.client.post(f"{PATH}/{experiment.id}/stop")
    assert {answer["arm"] for answer in ask_everybody(trained).values()} == {None}


def test_an_interleaved_answer_says_which_arm_each_item_counts_for(trained: Service) -> None:
    arms = [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5}]
    experiment = start(trained, kind="interleaving", arms=arms)
    answers = ask_everybody(trained, limit=6, exclude_seen=False)
    rows = recorded(trained, USERS)
    for row in rows:
        assert (row.arm, row.experiment_id) == (None, experiment.id)
        assert (row.sources.count("a"), row.sources.count("b")) == (3, 3)
    events = [
        {
            "user_id": row.user_id,
            "item_id": row.item_ids[row.sources.index("b")],
            "type": "click",
            "recommendation_id": answers[row.user_id or ""]["recommendation_id"],
        }
        for row in rows
    ]
    assert trained.client.post("/events", json=events).json()["accepted"] == USERS
    found = trained.client.get(f"{PATH}/{experiment.id}").json()["results"]["interleaving"]
    assert (found["first_wins"], found["second_wins"], found["users"]) == (0, USERS, USERS)
    # Twenty users of twenty: 2 * 0.5^20.
    assert found["preference"]["p_value"] == pytest.approx(2 * 0.5**USERS)

from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import text

from app.experiments import outcomes
from app.experiments.ratio import Moments
from tests.app.experiments.answers import add_answer, add_event, add_version
from tests.fixtures.service import Service

PATH = "/admin/experiments"


def experiment(service: Service, *, kind: str = "split", **arms: dict[str, Any]) -> int:
    order = {
        "name": str(uuid4()),
        "kind": kind,
        "arms": [{"name": name, **fields} for name, fields in arms.items()],
        "metric": {"types": ["click"], "window_s": 3600.0},
    }
    made = service.client.post(PATH, json=order)
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


def results(service: Service, number: int) -> dict[str, Any]:
    answer = service.client.get(f"{PATH}/{number}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["results"]
    return found


def test_an_experiment_nobody_has_seen(shared: Service) -> None:
    found = results(shared, experiment(shared, a={"share": 0.5}, b={"share": 0.5}))
    assert [arm["answers"] for arm in found["arms"]] == [0, 0]
    assert found["arms"][0]["ctr"] == {"value": None, "low": 0.0, "high": 1.0}
    assert found["arms"][1]["against_first"] == {"ctr": None, "conversion": None}
    assert found["sample_ratio"] is None


def test_what_counts_as_a_success(shared: Service) -> None:
    number = experiment(shared, a={"share": 0.5}, b={"share": 0.5})
    first = add_answer(shared, user="u1", experiment_id=number, arm="a", items=["x", "y"])
    add_answer(shared, user="u1", experiment_id=number, arm="a", items=["x", "y", "z"])
    other = add_answer(shared, user="u2", experiment_id=number, arm="a", items=["x"])
    add_event(shared, first, "x", user="u1")
    add_event(shared, first, "x", user="u1", after_s=90)  # the same item once more
    add_event(shared, first, "y", user="u1", type_="view")  # another type
    add_event(shared, first, "q", user="u1")  # not in the answer
    add_event(shared, other, "x", user="u2", after_s=3_601)  # too late
    add_event(shared, None, "x", user="u2")  # names no answer
    arm = results(shared, number)["arms"][0]
    assert (arm["answers"], arm["users"], arm["units"], arm["impressions"], arm["successes"]) == (3, 2, 2, 6, 1)
    assert arm["ctr"]["value"] == pytest.approx(1 / 6)
    assert arm["conversion"]["value"] == pytest.approx(1 / 2)


def test_places_that_nobody_saw_do_not_count(shared: Service) -> None:
    number = experiment(shared, a={"share": 0.5}, b={"share": 0.5})
    answer = add_answer(shared, experiment_id=number, arm="a", items=["x", "y", "z"], seen_positions=[1, 2])
    add_event(shared, answer, "x")
    add_event(shared, answer, "z")
    arm = results(shared, number)["arms"][0]
    assert (arm["impressions"], arm["successes"]) == (2, 1)


def test_the_database_adds_up_what_python_would(shared: Service) -> None:
    rng = np.random.default_rng(0)
    number = experiment(shared, a={"share": 0.5}, b={"share": 0.5})
    x: dict[str, float] = {}
    y: dict[str, float] = {}
    for n in range(30):
        user = f"v{rng.integers(8)}"
        items = [f"i{place}" for place in range(rng.integers(1, 5))]
        answer = add_answer(shared, user=user, experiment_id=number, arm="b", items=items)
        clicked = [item for item in items if rng.random() < 0.3]
        for item in clicked:
            add_event(shared, answer, item, user=user, after_s=float(n))
        x[user] = x.get(user, 0) + len(items)
        y[user] = y.get(user, 0) + len(clicked)
    xs, ys = np.array([*x.values()]), np.array([*y.values()])
    expected = Moments(len(xs), xs.sum(), ys.sum(), (xs * xs).sum(), (xs * ys).sum(), (ys * ys).sum())
    arm = results(shared, number)["arms"][1]
    assert arm["ctr"]["value"] == pytest.approx(expected.ratio)
    assert arm["ctr"]["low"] == pytest.approx(expected.interval().low)
    assert arm["conversion"]["value"] == pytest.approx((ys > 0).mean())


def test_each_answer_to_a_session_is_a_unit_and_none_is_a_user(shared: Service) -> None:
    number = experiment(shared, a={"share": 0.5}, b={"share": 0.5})
    for _ in range(3):
        add_answer(shared, user=None, experiment_id=number, arm="a")
    found = results(shared, number)
    assert (found["arms"][0]["users"], found["arms"][0]["units"]) == (0, 3)
    assert found["sample_ratio"] is None


def test_answers_that_another_version_had_to_make_are_told(shared: Service) -> None:
    first, second = add_version(shared, 1), add_version(shared, 2)
    number = experiment(shared, a={"share": 0.5}, b={"share": 0.5, "version": "v2"})
    add_answer(shared, experiment_id=number, arm="b", version_id=second)
    add_answer(shared, experiment_id=number, arm="b", version_id=first)
    add_answer(shared, experiment_id=number, arm="b", version_id=None)
    add_answer(shared, experiment_id=number, arm="a", version_id=first)
    found = results(shared, number)
    assert [arm["served_otherwise"] for arm in found["arms"]] == [0, 2]
    assert any("2 of 3 answers" in warning for warning in found["warnings"])


def test_an_interleaving_says_who_won_and_what_users_prefer(shared: Service) -> None:
    number = experiment(shared, kind="interleaving", a={"share": 0.5}, b={"share": 0.5})

    def answer(user: str, *clicks: str) -> None:
        made = add_answer(
            shared, user=user, experiment_id=number, items=["x", "y", "z"], sources=["a", "b", "personal"]
        )
        for item in clicks:
            add_event(shared, made, item, user=user)

    answer("u1", "y")
    answer("u1", "y")
    answer("u1", "x")
    answer("u2", "y")
    answer("u3", "x", "y")
    answer("u4", "z")
    found = results(shared, number)["interleaving"]
    assert (found["first"], found["second"], found["answers"], found["users"]) == ("a", "b", 6, 4)
    assert (found["first_wins"], found["second_wins"], found["ties"]) == (1, 3, 2)
    assert (found["first_successes"], found["second_successes"]) == (2, 4)
    # u1 (2 to 1) and u2 prefer the second arm, u3 and u4 neither. Sign test of 2 to 0: 2 * 0.5^2.
    assert found["preference"]["units"] == 2
    assert found["preference"]["share"] == 1.0
    assert found["preference"]["p_value"] == pytest.approx(0.5)


def test_answers_of_other_experiments_do_not_count(shared: Service) -> None:
    number = experiment(shared, a={"share": 0.5}, b={"share": 0.5})
    add_answer(shared, experiment_id=number + 1, arm="a")
    add_answer(shared, experiment_id=None, arm="a")
    assert results(shared, number)["arms"][0]["answers"] == 0


def test_counting_that_takes_too_long_is_given_up(shared: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    number = experiment(shared, a={"share": 0.5}, b={"share": 0.5})
    monkeypatch.setattr(outcomes, "_SPLIT", text("SELECT pg_sleep(20)"))
    monkeypatch.setattr(outcomes, "LONGEST_S", 0.05)
    answer = shared.client.get(f"{PATH}/{number}")
    assert (answer.status_code, answer.json()["type"].endswith("answer-timed-out")) == (504, True)

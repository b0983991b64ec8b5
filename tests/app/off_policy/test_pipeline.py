"""From recorded answers to a verdict, through the real API, database and ranking."""

import random
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlalchemy import func, select, text, update

from app.core.jobs import JobKind
from app.core.types import Scope
from app.db.tables import AnswerRow, ItemVectorRow, ModelVersionRow
from app.jobs.run import JobRun
from app.off_policy.pipeline import EstimatePipeline
from app.off_policy.places import place_probabilities
from app.off_policy.schemas import EstimateCreate
from app.recommendations import service as service_module
from tests.fixtures.service import Service
from tests.fixtures.trained import USERS

HOUR_S = 3_600
START_MS = 1_800_000_000_000
PAGE = {"limit": 4, "explore": 0.5, "explore_pool": 8, "exclude_seen": False}
ORDER = {"types": ["click"], "window_s": 60.0}


@dataclass
class Lab:
    """A service with a second version, whose vectors are those of the first or mirrored ones."""

    service: Service

    def __post_init__(self) -> None:
        self.service.more_work[JobKind.ESTIMATE] = self._work

    def _work(self, run: JobRun) -> None:
        context = self.service.context
        pipeline = EstimatePipeline(
            context.database, context.artifacts, run.project, check=run.check, on_progress=run.record_progress
        )
        result = pipeline.estimate(run.payload["version"], EstimateCreate.model_validate(run.payload["order"]))
        with context.database.transaction() as transaction:
            run.finish(transaction, result.model_dump(mode="json"))

    def add_version(self, change: Callable[[np.ndarray], np.ndarray]) -> str:
        """v2: v1 with other item vectors."""
        with self.service.context.database.transaction() as transaction:
            session = transaction.session
            first = session.scalars(select(ModelVersionRow)).one()
            second = ModelVersionRow(
                project_id=first.project_id,
                number=2,
                method=first.method,
                artifact=first.artifact,
                manifest=first.manifest,
            )
            session.add(second)
            session.flush()
            for row in session.scalars(select(ItemVectorRow).where(ItemVectorRow.version_id == first.id)).all():
                vector = change(np.frombuffer(row.vector, "<f4")).astype("<f4").tobytes()
                session.add(
                    ItemVectorRow(
                        version_id=second.id,
                        item_pk=row.item_pk,
                        vector=vector,
                        shares=row.shares,
                        content_key=row.content_key,
                    )
                )
        return "v2"

    def serve(self, rounds: int, **page: Any) -> list[dict[str, Any]]:
        """Answers for every user, as the API gives them; an hour passes afterwards."""
        requests = [{"user_id": f"u{n}", **PAGE, **page} for n in range(USERS)]
        answers: list[dict[str, Any]] = []
        for _ in range(rounds):
            results = self.service.client.post("/recommend", json={"requests": requests}).json()["results"]
            answers += [one["recommendation"] for one in results]
        self.settle(answers)
        return answers

    def settle(self, answers: list[dict[str, Any]]) -> None:
        """Wait for the answers to be in the database; they were given an hour ago then."""
        self._wait_for([answer["recommendation_id"] for answer in answers])
        with self.service.context.database.transaction() as transaction:
            transaction.session.execute(update(AnswerRow).values(at=AnswerRow.at - text("interval '1 hour'")))

    def _wait_for(self, ids: list[str]) -> None:
        query = select(func.count()).where(AnswerRow.id.in_([UUID(one) for one in ids]))
        for _ in range(200):
            with self.service.context.database.transaction() as transaction:
                if transaction.session.scalars(query).one() == len(ids):
                    return
            time.sleep(0.05)
        pytest.fail("answers are not in the database")

    def click(self, answers: list[dict[str, Any]], likes: Callable[[str, str], bool]) -> None:
        """Each user clicks what that user likes."""
        events = [
            {
                "user_id": answer["user_id"],
                "item_id": item["item_id"],
                "type": "click",
                "timestamp": time.time() - HOUR_S + 5,
                "event_id": str(uuid4()),
                "recommendation_id": answer["recommendation_id"],
            }
            for answer in answers
            for item in answer["items"]
            if likes(answer["user_id"], item["item_id"])
        ]
        for start in range(0, len(events), 1_000):
            report = self.service.client.post("/events", json=events[start : start + 1_000]).json()
            assert report["rejected"] == 0

    def estimate(self, version: str, **changes: Any) -> dict[str, Any]:
        """Order, do, and read."""
        ordered = self.service.client.post(f"/admin/models/{version}/estimate", json={**ORDER, **changes})
        assert ordered.status_code == 202, ordered.text
        self.service.run_jobs()
        read: dict[str, Any] = self.service.client.get(ordered.headers["location"]).json()
        assert read["state"] == "succeeded", read["error"]
        return read


@pytest.fixture
def lab(trained: Service) -> Lab:
    return Lab(trained)


def likes(user: str, item: str) -> bool:
    """One pair in three, whatever the versions think."""
    return zlib.crc32(f"{user} {item}".encode()) % 3 == 0


def test_a_version_against_itself_is_worth_what_it_earned(lab: Lab) -> None:
    answers = lab.serve(3)
    lab.click(answers, likes)
    read = lab.estimate("v1")
    result = read["result"]
    assert read["progress"] == {"answers": 60, "of": 60}
    assert (result["answers"], result["explored"], result["used"], result["users"]) == (60, 60, 60, USERS)
    earned = sum(likes(one["user_id"], item["item_id"]) for one in answers for item in one["items"]) / len(answers)
    assert result["served"]["value"] == pytest.approx(earned)
    for name in ("ips", "snips"):
        assert result[name]["candidate"]["value"] == pytest.approx(earned)
        assert result[name]["difference"]["value"] == pytest.approx(0, abs=1e-12)
    assert result["effective_sample_size"] == pytest.approx(60)
    assert (result["unsupported"], result["without_overlap"]) == (0.0, 0.0)
    assert result["verdict"] == "not_enough_evidence"


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same recommendation ids in every run: with them chance is the same."""
    rng = random.Random(7)
    made = iter(rng.getrandbits(74) for _ in range(10_000))

    def seeded_uuid7() -> UUID:
        chance, milliseconds = next(made), START_MS
        high, low = chance >> 62, chance & (1 << 62) - 1
        return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)

    monkeypatch.setattr(service_module, "uuid7", seeded_uuid7)


def test_another_version_is_estimated_on_answers_of_the_first(lab: Lab, seeded: None) -> None:
    """Users like what the second version puts first: it is found to be better, and worth what it then earns."""
    version = lab.add_version(lambda vector: vector[::-1].copy())
    pool = {"explore_pool": 20}
    first_of: dict[str, set[str]] = {}
    experiment = {
        "name": "look",
        "arms": [{"name": "a", "share": 0.5, "version": version}, {"name": "b", "share": 0.5, "version": version}],
        "metric": {"types": ["click"]},
    }
    number = lab.service.client.post("/admin/experiments", json=experiment).json()["id"]
    lab.service.client.post(f"/admin/experiments/{number}/start")
    for one in lab.serve(1, **pool, explore=0.0):
        first_of[one["user_id"]] = {item["item_id"] for item in one["items"]}
        assert one["model_version"] == version
    lab.service.client.post(f"/admin/experiments/{number}/stop")

    def likes_second(user: str, item: str) -> bool:
        return item in first_of[user]

    answers = lab.serve(40, **pool)
    lab.click(answers, likes_second)
    result = lab.estimate(version)["result"]
    assert (result["used"], result["not_reproduced"]) == (len(answers), 0)
    assert result["unsupported"] == 0.0
    # Under exploration it shows 4 of the 20 items; place by place the table of probabilities says how many of its own
    # first four it keeps, and every one of those is a click.
    truth = float(place_probabilities(0.5, 20, 4)[:, :4].sum())
    assert result["verdict"] == "better", result["explanation"]
    for name in ("ips", "snips", "dr"):
        found = result[name]["candidate"]
        # Four standard errors, by the seed of the fixture; the interval is 1.96 of them.
        assert truth == pytest.approx(found["value"], abs=4 / 1.96 * (found["high"] - found["value"])), name
        assert result[name]["difference"]["value"] > 0


def test_without_exploration_there_is_no_number_at_all(lab: Lab) -> None:
    lab.click(lab.serve(2, explore=0.0), likes)
    result = lab.estimate("v1")["result"]
    assert result["verdict"] == "no_overlap"
    assert result["without_overlap"] == 1.0
    assert (result["answers"], result["explored"], result["used"]) == (40, 0, 0)
    assert [result[name] for name in ("served", "ips", "snips", "dr", "effective_sample_size")] == [None] * 5


def test_answers_whose_places_were_not_a_matter_of_rank_are_told_and_left_out(lab: Lab) -> None:
    lab.serve(1, diversity=0.5)
    lab.serve(1, pinned={"i3": 1})
    lab.serve(1)
    result = lab.estimate("v1")["result"]
    assert (result["explored"], result["not_comparable"], result["used"]) == (60, 40, 20)


def test_what_cannot_be_recomputed_is_told_and_left_out(lab: Lab) -> None:
    lab.serve(1)
    with lab.service.context.database.transaction() as transaction:
        wrong = update(AnswerRow).where(AnswerRow.user_id == "u1").values(propensities=[0.5] * PAGE["limit"])
        transaction.session.execute(wrong)
        transaction.session.execute(text("DELETE FROM events WHERE user_id = 'u2'"))
    result = lab.estimate("v1")["result"]
    assert (result["not_reproduced"], result["used"]) == (2, 18)


def test_items_that_changed_since_are_taken_as_they_were(lab: Lab) -> None:
    lab.serve(1)
    for n in range(0, 20, 3):
        assert lab.service.client.delete(f"/items/i{n}").status_code == 204
    result = lab.estimate("v1")["result"]
    assert (result["used"], result["not_reproduced"]) == (20, 0)


def test_answers_before_and_after_a_change_see_each_its_own_catalogue(lab: Lab) -> None:
    lab.serve(1)
    for n in range(0, 20, 4):
        assert lab.service.client.delete(f"/items/i{n}").status_code == 204
    lab.serve(1)
    result = lab.estimate("v1")["result"]
    assert (result["used"], result["not_reproduced"]) == (40, 0)


def test_sessions_count_too_each_answer_by_itself(lab: Lab) -> None:
    page = {"session": ["i1", "i3"], **PAGE}
    answers = [lab.service.client.post("/recommend", json=page).json() for _ in range(3)]
    lab.settle(answers)
    result = lab.estimate("v1")["result"]
    assert (result["used"], result["users"]) == (3, 3)


def test_an_answer_counts_once_its_window_is_over(lab: Lab) -> None:
    lab.serve(1)
    assert lab.estimate("v1", window_s=2.0 * HOUR_S)["result"]["answers"] == 0
    assert lab.estimate("v1", since="2100-01-01T00:00:00Z")["result"]["answers"] == 0
    assert lab.estimate("v1", scenario="home")["result"]["answers"] == 0
    assert lab.estimate("v1")["result"]["answers"] == 20


def test_what_is_asked_must_make_sense(lab: Lab) -> None:
    client = lab.service.client
    assert client.post("/admin/models/v9/estimate", json=ORDER).status_code == 404
    assert client.post("/admin/models/v1/estimate", json={"types": []}).status_code == 422
    assert client.post("/admin/models/v1/estimate", json={**ORDER, "since": "2026-01-01T00:00:00"}).status_code == 422
    too_early = client.post("/admin/models/v1/estimate", json={**ORDER, "since": "0001-01-01T00:00:00Z"})
    assert (too_early.status_code, too_early.json()["errors"][0]["field"]) == (422, "since")
    assert client.get(f"/admin/estimates/{uuid4()}").json()["type"].endswith("estimate-not-found")
    headers = lab.service.headers(Scope.RECOMMEND)
    assert client.post("/admin/models/v1/estimate", json=ORDER, headers=headers).status_code == 403


def test_nobody_else_sees_it(lab: Lab) -> None:
    ordered = lab.service.client.post("/admin/models/v1/estimate", json=ORDER)
    other = lab.service.project_client("other")
    assert other.get(ordered.headers["location"]).status_code == 404
    assert other.post("/admin/models/v1/estimate", json=ORDER).status_code == 404


def test_a_version_that_is_gone_by_then_fails_the_job(lab: Lab) -> None:
    lab.add_version(lambda vector: vector)
    ordered = lab.service.client.post("/admin/models/v2/estimate", json=ORDER)
    with lab.service.context.database.transaction() as transaction:
        gone = update(ModelVersionRow).where(ModelVersionRow.number == 2).values(artifact="nowhere")
        transaction.session.execute(gone)
    lab.service.run_jobs()
    read = lab.service.client.get(ordered.headers["location"]).json()
    assert read["state"] == "failed"
    assert "v2" in read["error"]

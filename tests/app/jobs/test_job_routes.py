"""Jobs of any kind, and their events as they come."""

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import OperationalError

from app.api.streams import EventStream, StreamSlots, job_events
from app.core.errors import JobNotFound, TooManyStreams
from app.core.jobs import JobKind
from app.core.types import JobState
from app.jobs.repository import JobRepository
from app.jobs.schemas import JobRead
from tests.fixtures.service import Service
from tests.fixtures.trained import client_of, put_item


def read(state: JobState, **progress: Any) -> JobRead:
    return JobRead(
        id=UUID(int=1),
        kind=JobKind.TRAIN,
        state=state,
        attempts=1,
        progress=progress or None,
        result=None,
        error=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        started_at=None,
        finished_at=None,
    )


def parsed(events: list[str]) -> list[tuple[str, str, dict[str, Any]]]:
    """Id, name and data of each; comments are left out."""
    found = []
    for event in events:
        assert event.endswith("\n\n")
        fields = dict(line.split(": ", 1) for line in event.strip().split("\n"))
        if fields.get("", "?") == "?":
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


async def collect(looks: list[JobRead | Exception], **options: Any) -> list[str]:
    """The events of a job that is, at each look, as the list says; the last one for good."""
    following: Iterator[JobRead | Exception] = iter(looks)
    last: JobRead | Exception = looks[-1]

    async def look() -> JobRead:
        found = next(following, last)
        if isinstance(found, Exception):
            raise found
        return found

    options = {"longest_s": 60.0, "poll_s": 0.0, **options}
    return [event async for event in job_events(look, **options)]


async def test_an_event_for_each_change_and_none_without() -> None:
    queued, running = read(JobState.QUEUED), read(JobState.RUNNING)
    first, second = read(JobState.RUNNING, epoch=1), read(JobState.RUNNING, epoch=2)
    looks: list[JobRead | Exception] = [queued, queued, running, first, first, second, read(JobState.SUCCEEDED)]
    events = parsed(await collect(looks))
    assert [(number, name) for number, name, _ in events] == [
        ("1", "state"),
        ("2", "state"),
        ("3", "progress"),
        ("4", "progress"),
        ("end", "state"),
    ]
    assert [data["progress"] for _, _, data in events] == [None, None, {"epoch": 1}, {"epoch": 2}, None]
    assert events[-1][2]["state"] == "succeeded"


async def test_silence_is_broken_by_comments() -> None:
    looks: list[JobRead | Exception] = [*[read(JobState.RUNNING)] * 4, read(JobState.FAILED)]
    events = await collect(looks, heartbeat_s=0.0)
    assert [event.startswith(":") for event in events] == [False, True, True, True, False]


async def test_it_ends_after_its_longest_time() -> None:
    assert len(await collect([read(JobState.RUNNING)], longest_s=0.0)) == 1


@pytest.mark.parametrize("error", [JobNotFound("x"), OperationalError("select", None, Exception())])
async def test_it_ends_when_the_job_or_the_database_is_gone(error: Exception) -> None:
    assert len(await collect([read(JobState.RUNNING), error])) == 1


async def test_slots_are_given_back_however_a_stream_ends() -> None:
    slots = StreamSlots(1)

    async def nothing() -> Any:
        for _ in ():
            yield ""

    stream = EventStream(nothing(), slots)
    with pytest.raises(TooManyStreams):
        EventStream(nothing(), slots)

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(_: Any) -> None:
        raise OSError

    with pytest.raises(BaseException):  # noqa: B017, PT011 (which one is Starlette's affair)
        await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
    assert slots.taken == 0


def test_a_training_is_followed_to_its_end(light: Service) -> None:
    training = light.client.post("/admin/trainings", json={}).json()["id"]
    working = threading.Thread(target=light.run_jobs)
    with light.client.stream("GET", f"/admin/jobs/{training}/events", headers={"Last-Event-ID": "7"}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-cache"
        working.start()
        events = parsed([f"{event}\n\n" for event in "".join(answer.iter_text()).split("\n\n") if event])
    working.join()
    assert events[-1][0] == "end"
    assert events[-1][2]["state"] == "failed"
    assert events[-1][2] == light.client.get(f"/admin/jobs/{training}").json()
    assert light.client.app.state.edge.streams.taken == 0  # type: ignore[attr-defined]
    again = light.client.get(f"/admin/jobs/{training}/events", headers={"Last-Event-ID": "end"})
    assert again.status_code == 204, "a browser would come again and again"
    assert light.client.get(f"/admin/jobs/{training}/events").text.count("event: state") == 1


def test_streams_are_limited(light: Service) -> None:
    training = light.client.post("/admin/trainings", json={}).json()["id"]
    streams = light.client.app.state.edge.streams  # type: ignore[attr-defined]
    streams.taken = light.settings.job_streams
    answer = light.client.get(f"/admin/jobs/{training}/events")
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("too-many-streams")
    assert int(answer.headers["retry-after"]) > 0
    assert streams.taken == light.settings.job_streams


def test_jobs_are_listed_page_by_page(light: Service) -> None:
    put_item(light, "a", "x")
    trainings = [light.client.post("/admin/trainings", json={}).json()["id"] for _ in range(3)]
    seen: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = light.client.get("/admin/jobs", params=query).json()
        seen += page["jobs"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert [job["id"] for job in seen[:3]] == trainings[::-1]
    assert [job["kind"] for job in seen] == ["train", "train", "train", "encode"]
    light.client.delete(f"/admin/trainings/{trainings[0]}")
    chosen = light.client.get("/admin/jobs", params={"kind": "train", "state": "cancelled"}).json()["jobs"]
    assert [job["id"] for job in chosen] == [trainings[0]]


@pytest.mark.parametrize(
    ("query", "field"), [("kind=magic", "kind"), ("state=odd", "state"), ("cursor=eA", "cursor"), ("limit=0", "limit")]
)
def test_wrong_questions(shared: Service, query: str, field: str) -> None:
    answer = shared.client.get(f"/admin/jobs?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_jobs_of_others(light: Service) -> None:
    training = light.client.post("/admin/trainings", json={}).json()["id"]
    stranger = client_of(light, "other")
    assert stranger.get("/admin/jobs").json()["jobs"] == []
    for path in (f"/admin/jobs/{training}", f"/admin/jobs/{training}/events", f"/admin/jobs/{uuid4()}"):
        answer = stranger.get(path)
        assert (answer.status_code, answer.json()["type"].rpartition("job-")[2]) == (404, "not-found")


def test_what_a_job_was_ordered_with_is_not_shown(light: Service) -> None:
    with light.context.database.transaction() as transaction:
        job = JobRepository(transaction).add(light.project, JobKind.EXPORT, {"who": "somebody"})
    assert "somebody" not in light.client.get(f"/admin/jobs/{job.id}").text

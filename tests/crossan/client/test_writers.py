"""Both writers against a service that fails in every way; what they promise is that nothing is lost."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossan.client import AsyncClient, AsyncEventWriter, Client, EventsUnsent, EventWriter, RetryPolicy
from crossan.client.policy import WriterPolicy

URL, KEY = "http://crossan.test", "crs_test"
ONCE = RetryPolicy(attempts=1)


class Events:
    """A service that stores events; `answers` are statuses for the next requests, 0 breaks the connection."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.away = False
        self.batches: list[list[dict[str, Any]]] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        status = self.answers.pop(0) if self.answers else 200
        if self.away or status == 0:
            raise httpx.ConnectError("refused")
        if status != 200:
            return httpx.Response(status, json={"title": "Away"})
        batch = json.loads(request.content)["events"]
        self.batches.append(batch)
        results = [{"status": "rejected" if event["user_id"] == "nobody" else "accepted"} for event in batch]
        rejected = sum(result["status"] == "rejected" for result in results)
        counts = {"accepted": len(batch) - rejected, "duplicates": 0, "rejected": rejected}
        return httpx.Response(200, json={**counts, "results": results})

    @property
    def users(self) -> list[str]:
        return [event["user_id"] for batch in self.batches for event in batch]

    def client(self) -> Client:
        return Client(URL, KEY, transport=httpx.MockTransport(self.handle), retries=ONCE)

    def async_client(self) -> AsyncClient:
        return AsyncClient(URL, KEY, transport=httpx.MockTransport(self.handle), retries=ONCE)


def event(user: int | str) -> dict[str, Any]:
    return {"user_id": str(user), "item_id": "i"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


Write = Callable[[Any, int], Awaitable[None]]


def use(kind: str, service: Events, work: Callable[[Any], Any], **options: Any) -> None:
    """Run the same work with either writer; what `work` returns is awaited for the asynchronous one."""
    if kind == "sync":
        with service.client() as client, EventWriter(client, **options) as writer:
            work(writer)
        return

    async def run() -> None:
        async with service.async_client() as client, AsyncEventWriter(client, **options) as writer:
            for step in work(writer) or []:
                await step

    asyncio.run(run())


def many(count: int) -> Callable[[Any], list[Any]]:
    return lambda writer: [writer.write(event(number)) for number in range(count)]


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
def test_events_leave_in_batches_in_order_and_each_with_an_id_and_a_time(kind: str) -> None:
    service = Events()
    use(kind, service, many(25), policy=WriterPolicy(max_batch=10, max_delay_s=60))
    assert [len(batch) for batch in service.batches] == [10, 10, 5]
    assert service.users == [str(number) for number in range(25)]
    sent = [one for batch in service.batches for one in batch]
    assert len({one["event_id"] for one in sent}) == 25
    assert all(one["timestamp"] for one in sent)


@both
def test_trouble_is_waited_out(kind: str) -> None:
    service = Events(0, 503, 429)
    use(kind, service, lambda writer: [*many(3)(writer), writer.flush()])
    assert service.users == ["0", "1", "2"]


@both
def test_what_cannot_be_sent_is_kept_for_the_next_writer(kind: str) -> None:
    service = Events()
    service.away = True
    with pytest.raises(EventsUnsent, match="25 events") as caught:
        use(kind, service, many(25), policy=WriterPolicy(max_batch=10, max_delay_s=60))
    assert len(list(caught.value.path.iterdir())) == 3
    service.away = False
    use(kind, service, many(0))
    assert service.users == [str(number) for number in range(25)]
    assert list(caught.value.path.iterdir()) == []


@both
def test_events_of_another_service_are_left_alone(kind: str) -> None:
    service = Events()
    service.away = True
    with pytest.raises(EventsUnsent):
        use(kind, service, many(2))
    other = Events()
    with (
        Client("http://other.test", KEY, transport=httpx.MockTransport(other.handle)) as client,
        EventWriter(client) as writer,
    ):
        writer.write(event("x"))
    assert other.users == ["x"]


@both
def test_a_rejected_event_is_named_and_harms_no_other(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    service = Events()
    use(
        kind,
        service,
        lambda writer: [writer.write(event("a")), writer.write(event("nobody")), writer.write(event("b"))],
    )
    assert service.users == ["a", "nobody", "b"]
    assert "event rejected" in caplog.text


def test_flush_says_what_is_wrong() -> None:
    service = Events()
    service.away = True
    with service.client() as client:
        writer = EventWriter(client)
        writer.write(event("a"))
        with pytest.raises(Exception, match=r"refused|still wait"):
            writer.flush(timeout_s=0.5)
        service.away = False
        writer.close()
    assert service.users == ["a"]


def test_who_writes_too_much_is_held_up() -> None:
    service = Events()
    service.away = True
    with service.client() as client:
        writer = EventWriter(client, policy=WriterPolicy(max_waiting=2))
        writer.write(event(0))
        writer.write(event(1))
        held = threading.Thread(target=writer.write, args=(event(2),))
        held.start()
        held.join(0.2)
        assert held.is_alive()
        service.away = False
        held.join(30)
        writer.close()
    assert service.users == ["0", "1", "2"]


def test_a_closed_writer_takes_nothing() -> None:
    with Events().client() as client:
        writer = EventWriter(client)
        writer.close()
        with pytest.raises(RuntimeError, match="closed"):
            writer.write(event(0))


def test_a_batch_larger_than_a_request_is_refused() -> None:
    with pytest.raises(ValueError, match=r"max_batch: must be 1 to 1,000, it is 1,001"):
        WriterPolicy(max_batch=1_001)


_KILLED = """
import sys, time, httpx
from pathlib import Path
from crossan.client import Client, EventWriter
def refuse(request):
    raise httpx.ConnectError("refused")
client = Client("http://crossan.test", "crs_test", transport=httpx.MockTransport(refuse))
writer = EventWriter(client, journal=Path(sys.argv[1]))
for number in range(3):
    writer.write({"user_id": str(number), "item_id": "i"})
print("written", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs file locks")
def test_a_journal_outlives_a_killed_process(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    process = subprocess.Popen([sys.executable, "-c", _KILLED, str(journal)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    service = Events()
    with service.client() as client:
        EventWriter(client, journal=journal).close()
        assert service.users == []  # The other process still holds its file.
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        with next(journal.glob("*.ndjson")).open("a") as file:
            file.write('{"user_id": "torn')
        EventWriter(client, journal=journal).close()
    assert service.users == ["0", "1", "2"]
    assert list(journal.iterdir()) == []


_EXITS = """
import json, sys, httpx
from crossan.client import Client, EventWriter
def store(request):
    events = json.loads(request.content)["events"]
    with open(sys.argv[1], "a") as file:
        file.writelines(event["user_id"] + "\\n" for event in events)
    return httpx.Response(200, json={"accepted": len(events), "duplicates": 0, "rejected": 0, "results": []})
writer = EventWriter(Client("http://crossan.test", "crs_test", transport=httpx.MockTransport(store)))
for number in range(3):
    writer.write({"user_id": str(number), "item_id": "i"})
"""


def test_the_end_of_the_program_sends_what_is_left(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _EXITS, str(tmp_path / "sent")], check=True, timeout=60)
    assert (tmp_path / "sent").read_text() == "0\n1\n2\n"

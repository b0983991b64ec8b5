"""`crossan serve` with several processes: one address, one answer, and none of them is missed."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.cli.listening import bind_alone
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

LIST = "/recommend/u0?limit=1000&exclude_seen=false"
WITHIN_S = 90.0


class Serving:
    """A running command, and which of its processes answers."""

    def __init__(self, service: Service, folder: Path, *, processes: int) -> None:
        self.service = service
        with bind_alone("127.0.0.1", 0) as reserved:
            self.port = reserved.getsockname()[1]
        settings = service.settings
        own = {
            "CROSSAN_DATA_DIR": str(settings.data_dir),
            "CROSSAN_DATABASE_URL": str(settings.database_url),
            "CROSSAN_REDIS_URL": str(settings.redis_url),
            "CROSSAN_API_PROCESSES": str(processes),
            "CROSSAN_CATALOGUE_POLL_S": "600",
            "CROSSAN_METRICS_CACHE_S": "0",
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(folder),
        }
        self.log = (folder / "serve.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "serve", "--port", str(self.port)],
            env={**os.environ, **own},
            stdout=self.log,
            stderr=self.log,
        )

    def workers(self) -> list[psutil.Process]:
        """The API processes."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress_ended():
                if "app.cli.serve" in child.cmdline():
                    found.append(child)
        return found

    def ask(self, path: str) -> tuple[int, httpx.Response]:
        """An answer on a connection of its own, and the process that gave it."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30.0) as client:
            answer = client.get(path, headers={"Authorization": f"Bearer {self.service.key}"})
            stream = answer.extensions["network_stream"]
            here = stream.get_extra_info("client_addr")[1]
            for worker in self.workers():
                with suppress_ended():
                    if any(one.raddr and one.raddr.port == here for one in worker.net_connections("tcp")):
                        return worker.pid, answer
        raise AssertionError("nobody has the connection")

    def from_each(self, path: str, processes: int) -> dict[int, Any]:
        """What every process answers."""
        found: dict[int, Any] = {}
        deadline = time.monotonic() + WITHIN_S
        while len(found) < processes:
            assert time.monotonic() < deadline, found
            pid, answer = self.ask(path)
            assert answer.status_code == 200, answer.text
            found[pid] = answer.json()
        return found

    def listening(self) -> set[int]:
        """The processes that take connections."""
        found = set()
        for worker in self.workers():
            with suppress_ended():
                if any(one.status == psutil.CONN_LISTEN for one in worker.net_connections("tcp")):
                    found.add(worker.pid)
        return found

    def requests_counted(self) -> float:
        """Answered requests for recommendations, as a scrape of whichever process says."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.ask("/metrics")[1].text)
            for sample in family.samples
            if sample.name == "crossan_request_seconds_count" and sample.labels["route"] == "/recommend/{user_id}"
        )

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()


class suppress_ended:
    """A process may end while it is looked at."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, psutil.Error)


def eventually(found: Callable[[], Any], wanted: Any) -> None:
    deadline = time.monotonic() + WITHIN_S
    while (last := found()) != wanted:
        assert time.monotonic() < deadline, f"{last!r} is not {wanted!r}"
        time.sleep(0.1)


@pytest.fixture
def serving(trained: Service) -> Iterator[Serving]:
    """Two processes, both warm."""
    with tempfile.TemporaryDirectory(prefix="crossan-tests-") as folder:
        running = Serving(trained, Path(folder), processes=2)
        try:
            eventually(lambda: len(running.listening()), 2)
            yield running
        finally:
            running.close()


def shown(answer: dict[str, Any]) -> list[tuple[str, float | None]]:
    return [(item["item_id"], item["score"]) for item in answer["items"]]


def test_two_processes_answer_alike_and_see_what_is_new(serving: Serving) -> None:
    first, second = serving.from_each(LIST, 2).values()
    assert first["model_version"] == second["model_version"] == "v1"
    assert shown(first) == shown(second) != []
    put_item(serving.service, "new", "harbour boat")
    serving.service.run_jobs()
    for pid in serving.listening():
        eventually(lambda pid=pid: "new" in dict(shown(serving.from_each(LIST, 2)[pid])), True)
    first, second = serving.from_each(LIST, 2).values()
    assert shown(first) == shown(second)
    matrices = [
        {one.path for one in worker.memory_maps() if one.path.endswith(".matrix")} for worker in serving.workers()
    ]
    assert matrices[0] == matrices[1] != set()


def test_a_killed_process_is_missed_by_nobody_and_comes_back(serving: Serving) -> None:
    before = shown(next(iter(serving.from_each(LIST, 2).values())))
    killed, other = sorted(serving.listening())
    counted = serving.requests_counted()
    psutil.Process(killed).kill()
    eventually(lambda: killed in serving.listening(), False)
    asked = 0
    while len(serving.listening()) < 2:
        pid, answer = serving.ask(LIST)
        assert (answer.status_code, shown(answer.json())) == (200, before)
        asked += pid == other
        assert asked < 10_000
    assert asked
    answers = serving.from_each(LIST, 2)
    assert killed not in answers
    assert other in answers
    assert all(shown(answer) == before for answer in answers.values())
    # What the killed one had counted is not lost, whoever is asked.
    assert serving.requests_counted() >= counted + asked


def test_every_process_shows_the_requests_of_all(serving: Serving) -> None:
    before = serving.requests_counted()
    answered = Counter(serving.ask(LIST)[0] for _ in range(40))
    assert len(answered) == 2
    scraped: dict[int, set[float]] = {}
    while len(scraped) < 2:
        pid, answer = serving.ask("/metrics")
        scraped.setdefault(pid, set()).add(serving.requests_counted())
        assert "process_cpu_seconds_total" not in answer.text
    assert set.union(*scraped.values()) == {before + 40}


def test_the_signal_ends_all_of_them_and_frees_the_port(serving: Serving) -> None:
    workers = serving.workers()
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(30) == 0
    assert psutil.wait_procs(workers, timeout=1)[1] == []
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", serving.port))
    assert not list(Path(serving.log.name).parent.glob("crossan-metrics-*"))


def test_one_process_serves_without_a_supervisor(trained: Service) -> None:
    with tempfile.TemporaryDirectory(prefix="crossan-tests-") as folder:
        running = Serving(trained, Path(folder), processes=1)
        try:

            def answers() -> int:
                try:
                    return httpx.get(f"http://127.0.0.1:{running.port}/health/ready").status_code
                except httpx.TransportError:
                    return 0

            eventually(answers, 200)
            assert not running.workers()
            running.process.send_signal(signal.SIGTERM)
            running.process.wait(30)
        finally:
            running.close()

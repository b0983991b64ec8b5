"""`crossan up` as a person runs it: real services, real processes."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.cli.options import ADDRESS_FILE, KEY_FILE
from app.core.config import ENDPOINTS_FILE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


class Up:
    """One run of the command on a data folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CROSSAN_")}
        self.folder = folder
        self.log = (folder.parent / "up.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "up", "--port", "0", "--json", *arguments],
            env={**environment, "CROSSAN_DATA_DIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        self.result: dict[str, Any] = {}

    def wait(self) -> "Up":
        """Until it has printed its one document: that is after the API is ready."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.folder.parent / "up.log").read_text()
        self.result = json.loads(line)
        return self

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(
            self.result["url"] + path, headers={"Authorization": f"Bearer {self.result['key']}"}, timeout=30
        )

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(40)
        assert self.process.stdout is not None
        assert self.process.stdout.read() == b""
        self.close()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="crossan-tests-") as outer:
        yield Path(outer) / "data"


@pytest.fixture(scope="module")
def first(folder: Path) -> Iterator[Up]:
    up = Up(folder)
    try:
        yield up.wait()
    finally:
        up.close()


def test_it_starts_from_nothing_and_answers(first: Up, folder: Path) -> None:
    assert first.get("/recommend/somebody").json()["items"] == []
    assert first.get("/admin/status").json()["project"] == "default"
    assert (folder / KEY_FILE).read_text().strip() == first.result["key"]
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert (folder / ADDRESS_FILE).read_text().strip() == first.result["url"]


def test_small_answers_do_not_wait_for_acknowledgements(first: Up) -> None:
    # With Nagle's algorithm left on, every answer on a kept connection takes 40 ms and more: the kernel's delayed ACK.
    with httpx.Client(base_url=first.result["url"]) as client:
        times = sorted(client.get("/health/live").elapsed.total_seconds() for _ in range(21))
    assert times[3] < 0.03


def test_a_second_one_on_the_folder_is_refused(first: Up, folder: Path) -> None:
    second = Up(folder)
    out, _ = second.process.communicate(timeout=60)
    assert second.process.returncode == 1
    assert "in use by process" in json.loads(out)["error"]["detail"]
    second.close()
    assert first.get("/health/ready").status_code == 200
    assert (folder / ADDRESS_FILE).is_file()


def test_a_killed_api_comes_back_at_the_same_address(first: Up, folder: Path) -> None:
    (api,) = [process for process in first.children() if "app.cli.serve" in process.cmdline()]
    api.kill()
    # The listening socket outlives the process: the request waits for the next one, or is cut and sent again.
    until = time.monotonic() + 60
    status = 0
    while status != 200 and time.monotonic() < until:
        try:
            status = first.get("/health/ready").status_code
        except httpx.TransportError:
            time.sleep(0.1)
    assert status == 200
    assert "api ended (code -9)" in (folder.parent / "up.log").read_text()


def test_sigterm_stops_everything_and_the_next_start_takes_up_the_data(first: Up, folder: Path) -> None:
    processes = first.children()
    assert len(processes) >= 5
    assert first.end(signal.SIGTERM) == 0
    assert psutil.wait_procs(processes, timeout=1)[1] == []
    assert not (folder / ENDPOINTS_FILE).exists()
    assert not (folder / ADDRESS_FILE).exists()
    second = Up(folder).wait()
    try:
        assert second.result["key"] == first.result["key"]
        assert second.get("/recommend/somebody").status_code == 200
        processes = second.children()
        second.process.kill()
        assert psutil.wait_procs(processes, timeout=15)[1] == []
    finally:
        second.close()

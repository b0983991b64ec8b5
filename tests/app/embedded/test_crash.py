"""Power cuts in small: whatever was killed, the next start comes up with what was committed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from app.core.config import ENDPOINTS_FILE
from app.embedded.errors import EmbeddedError
from app.embedded.services import bundled_services

pytestmark = pytest.mark.e2e

# A shell gives its background jobs an ignored SIGINT: the tests must not depend on where they were started from.
_SUPERVISOR = """
import signal, sys, time
from pathlib import Path
from app.embedded.services import bundled_services
signal.signal(signal.SIGINT, signal.default_int_handler)
with bundled_services(Path(sys.argv[1])):
    print("up", flush=True)
    time.sleep(600)
"""


def _start(folder: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", _SUPERVISOR, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def _children(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def _commit(folder: Path, statement: str) -> None:
    url = json.loads((folder / ENDPOINTS_FILE).read_text())["database_url"]
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def _kept(folder: Path) -> list[int]:
    with bundled_services(folder, durable=False) as endpoints, psycopg.connect(endpoints.database_url) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM kept ORDER BY n")]


def test_kill_9_of_everything(tmp_path: Path) -> None:
    supervisor = _start(tmp_path)
    _commit(tmp_path, "CREATE TABLE kept AS SELECT generate_series(1, 3) AS n")
    for process in (psutil.Process(supervisor.pid), *_children(supervisor)):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    supervisor.communicate()
    assert (tmp_path / ENDPOINTS_FILE).is_file()
    assert (tmp_path / "postgres" / "postmaster.pid").is_file()
    assert _kept(tmp_path) == [1, 2, 3]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_kill_9_of_the_supervisor_ends_the_services_and_a_start_at_once_works(tmp_path: Path) -> None:
    supervisor = _start(tmp_path)
    _commit(tmp_path, "CREATE TABLE kept AS SELECT 7 AS n")
    services = _children(supervisor)
    assert {process.name() for process in services} >= {"postgres", "valkey-server"}
    supervisor.kill()
    supervisor.communicate()
    assert _kept(tmp_path) == [7]
    assert psutil.wait_procs(services, timeout=10)[1] == []


def test_ctrl_c_stops_cleanly(tmp_path: Path) -> None:
    supervisor = _start(tmp_path)
    services = _children(supervisor)
    supervisor.send_signal(signal.SIGINT)
    supervisor.communicate(timeout=60)
    assert psutil.wait_procs(services, timeout=0)[1] == []
    assert not (tmp_path / ENDPOINTS_FILE).exists()
    assert not (tmp_path / "postgres" / "postmaster.pid").exists()


def test_a_pid_file_whose_number_belongs_to_another_program_is_dropped(tmp_path: Path) -> None:
    with bundled_services(tmp_path, durable=False) as endpoints, psycopg.connect(endpoints.database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    pid_file = tmp_path / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{tmp_path / 'postgres'}\n{int(time.time())}\n5432\n")
    assert _kept(tmp_path) == [1]


def test_a_half_made_cluster_is_made_again(tmp_path: Path) -> None:
    half = tmp_path / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with bundled_services(tmp_path, durable=False) as endpoints:
        psycopg.connect(endpoints.database_url).close()
    assert not half.exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "postgres" / "letter.txt"
    mine.parent.mkdir()
    mine.write_text("not a cluster")
    with pytest.raises(EmbeddedError, match="in the way"), bundled_services(tmp_path):
        pass
    assert mine.read_text() == "not a cluster"


def test_a_broken_cluster_says_why(tmp_path: Path) -> None:
    with bundled_services(tmp_path, durable=False):
        pass
    (tmp_path / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match="no_such_setting"), bundled_services(tmp_path):
        pass
    with pytest.raises(EmbeddedError, match="no_such_setting"), bundled_services(tmp_path):
        pass

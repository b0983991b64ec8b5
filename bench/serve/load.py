"""Load: as many requests as a server answers on 32 connections, by wrk where it is installed, else by our own."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32
SCRIPT = Path(__file__).with_name("wrk.lua")


class LoadFailed(Exception):
    """A generator failed, or some answers were not right; the message says which."""


@dataclass(frozen=True)
class Asked:
    """One request: a GET, or a POST if it has a body (of JSON on one line)."""

    path: str
    body: str = ""


@dataclass(frozen=True)
class Load:
    """What to ask for: requests in turn, with these headers, on so many connections, for so long."""

    requests: Sequence[Asked]
    headers: Mapping[str, str]
    duration_s: float
    connections: int = CONNECTIONS


@dataclass(frozen=True)
class Measured:
    """What came of it; latencies in milliseconds."""

    requests: int
    rate_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


def put_load(url: str, load: Load, folder: Path) -> Measured:
    """Load a server, from the cores of this process.

    Args:
        url: of the server, without a path.
        load: what to ask for.
        folder: takes the list of requests: headers, an empty line, then path and body of each.

    Raises:
        LoadFailed: An answer was not 200, or there was none.
    """
    requests = folder / "requests.txt"
    headers = [f"{name}: {value}" for name, value in load.headers.items()]
    requests.write_text("\n".join([*headers, "", *(f"{one.path} {one.body}" for one in load.requests)]) + "\n")
    wrk = shutil.which("wrk")
    command = _wrk(wrk, url, load, requests) if wrk else _own(url, load, requests)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise LoadFailed(f"{command[0]} failed: {done.stdout}{done.stderr}")
    measured = Measured(**json.loads(lines[-1]))
    if measured.errors or not measured.requests:
        raise LoadFailed(f"{measured.errors} of {measured.requests} answers of {url} were not right")
    return measured


def _wrk(wrk: str, url: str, load: Load, requests: Path) -> list[str]:
    connections, duration = str(load.connections), f"{max(load.duration_s, 1):.0f}s"
    return [wrk, "-t1", "-c", connections, "-d", duration, "-s", str(SCRIPT), url, "--", str(requests)]


def _own(url: str, load: Load, requests: Path) -> list[str]:
    arguments = [url, str(requests), str(load.connections), str(load.duration_s)]
    return [sys.executable, "-m", "bench.serve.generator", *arguments]

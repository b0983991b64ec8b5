"""The demo catalogue: generated, imported, encoded and trained on once; then a way in that works as printed."""

import asyncio
import csv
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.cli.importer.run import count_rows, import_folder
from app.cli.output import notes
from app.cli.progress import POLL_S, bars, describe, follow, status_line
from app.embedded.processes import tethered
from crossan.client import AsyncClient, ClientError

_IMPORTED = "imported"
"""A file in the demo folder, written when the import is complete."""
_CONCURRENCY = 8
_HYPERPARAMETERS = {"epochs": 8}
"""Less than a real catalogue gets: enough here, and a first visitor does not like to wait."""


async def prepare_demo(client: AsyncClient, folder: Path) -> dict[str, Any]:
    """Bring the service to a live model of the demo catalogue; what earlier starts have done is not done again.

    Returns:
        "page": the address of the web page with the list of a user; "try": curl command lines by what they show;
        "sample": an answer of `/recommend`.

    Raises:
        ClientError: A step failed; the next start goes on from there.
    """
    if not (folder / "items.csv").is_file():
        await asyncio.to_thread(_generate, folder)
    status = await client.get("/admin/status")
    if not (folder / _IMPORTED).is_file() or not status["items"]["total"]:
        await _import(client, folder)
    status = await _wait_until_encoded(client)
    if not status["live_model"]:
        await _train(client)
    user = _first(folder / "events.csv", "user_id")
    sample = await client.get(f"/recommend/{user}", limit=5)
    page = f"{client.url}/ui/#key={client.key}&user={user}"
    return {"page": page, "try": _commands(client, folder, user=user), "sample": sample}


def _generate(folder: Path) -> None:
    started = time.monotonic()
    command = tethered([sys.executable, "-m", "app.demo", str(folder)], death_signal=signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
    if done.returncode:
        raise ClientError(f"The demo catalogue could not be generated:\n{done.stderr[-2000:]}")
    _tell("synthetic demo catalogue generated", started)


async def _import(client: AsyncClient, folder: Path) -> None:
    started = time.monotonic()
    totals = {name: count_rows(folder / f"{name}.csv") for name in ("items", "events")}
    with bars(totals) as advance:
        report = await import_folder(client, folder, concurrency=_CONCURRENCY, advance=advance)
    for failure in report.failures[:5]:
        notes.print(f"    {failure.where}: {failure.error}", markup=False)
    if report.failed:
        raise ClientError(f"{report.failed} parts of the demo catalogue were not accepted.")
    (folder / _IMPORTED).touch()
    _tell(f"{totals['items']} items and {totals['events']} events imported", started)


async def _wait_until_encoded(client: AsyncClient) -> dict[str, Any]:
    """Until no medium waits for its encoder, and with it no item but those that have none; the status then."""
    started = time.monotonic()
    waited = False
    with status_line() as show:
        while True:
            status: dict[str, Any] = await client.get("/admin/status")
            items = status["items"]
            if not items["pending"] or not any(one.get("pending") for one in status["media"].values()):
                break
            waited = True
            show(f"encoding: {items['total'] - items['pending']} of {items['total']} items")
            await asyncio.sleep(POLL_S)
    if waited:
        _tell(f"{status['items']['total']} items encoded", started)
    if status["items"]["failed"]:
        notes.print(f"    {status['items']['failed']} items could not be encoded; see GET /items?state=failed")
    return status


async def _train(client: AsyncClient) -> None:
    """Train, or join the training that an earlier start began."""
    started = time.monotonic()
    latest = (await client.get("/admin/trainings", limit=1))["trainings"]
    if latest and latest[0]["state"] in ("queued", "running"):
        training = latest[0]
    else:
        training = await client.train(hyperparameters=_HYPERPARAMETERS)
    with status_line() as show:
        ended = await follow(client, training["id"], lambda seen: show(describe(seen)))
    if ended["state"] != "succeeded":
        raise ClientError(f"The training {ended['state']}: {ended['error']}")
    _tell(f"trained: {_verdict(ended['result'])}", started)


def _verdict(result: Mapping[str, Any]) -> str:
    """'v1, HR@10 0.310 on held-out choices (most popular 0.080)'."""
    metrics = result.get("metrics") or {}
    test = metrics.get("test") or metrics.get("validation") or {}
    popular = (metrics.get("baselines") or {}).get("popular") or {}
    beside = f" (most popular {popular['hr10']:.3f})" if "hr10" in popular else ""
    return f"{result['model_version']}, HR@10 {test.get('hr10', 0.0):.3f} on held-out choices{beside}"


def _tell(what: str, started: float) -> None:
    notes.print(f"  [green]✓[/] {what}  [dim]{time.monotonic() - started:.1f} s[/]")


def _first(path: Path, column: str, *, needs: str | None = None) -> str:
    """A column of the first row (that has a value in `needs`)."""
    with path.open(encoding="utf-8", newline="") as file:
        return next(row[column] for row in csv.DictReader(file) if needs is None or row[needs])


def _commands(client: AsyncClient, folder: Path, *, user: str) -> dict[str, str]:
    curl = f"curl -s -H {shlex.quote(f'Authorization: Bearer {client.key}')}"
    item = _first(folder / "items.csv", "item_id")
    picture = folder / _first(folder / "items.csv", "image", needs="image")
    new_item = json.dumps({"item_id": "my-first-item", "title": "My first item", "description": "Seen here first."})
    upload = f"-F {shlex.quote(f'item={new_item}')} -F {shlex.quote(f'image=@{picture}')}"
    event = shlex.quote(json.dumps({"user_id": "me", "item_id": item, "type": "view"}))
    view = f"{curl} -H 'Content-Type: application/json' -d {event} {client.url}/events"
    return {
        "what a (synthetic) user would want next": f"{curl} '{client.url}/recommend/{user}?limit=5'",
        "a new item with its picture: recommendable within seconds": f"{curl} {upload} {client.url}/items",
        "a new user looks at something, and what to show next": f"{view} && {curl} '{client.url}/recommend/me?limit=5'",
    }

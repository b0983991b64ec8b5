"""`crossan train`: ask for a training, and watch it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from app.cli.options import AsJson, Key, Url, connect
from app.cli.output import console, notes, print_json, table
from app.cli.progress import describe, follow, status_line
from crossan.client import AsyncClient, ClientError

Promote = Literal["if_better", "always", "never"]


def train(
    *,
    method: Annotated[str, typer.Option(help="How the item tower is adapted.")] = "crossan",
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A hyperparameter; may be repeated.")
    ] = None,
    promote: Annotated[Promote, typer.Option(help="When the new version goes live.")] = "if_better",
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it has ended, and show its progress.")] = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Train on everything that has arrived; Ctrl-C while waiting leaves the training running."""
    order = {"method": method, "hyperparameters": parse_settings(setting or []), "promote": promote}

    async def run() -> dict[str, Any]:
        async with connect(url, key) as client:
            training = await client.train(**order)
            return await _watch(client, training, quiet=as_json) if wait else dict(training)

    training = asyncio.run(run())
    if as_json:
        print_json(training)
    else:
        _show(training)
    if training["state"] in ("failed", "cancelled"):
        raise typer.Exit(1)


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """'lr=0.001' → {"lr": 0.001}; a value that is not JSON is a string.

    Raises:
        ClientError: A pair has no '='.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise ClientError(f"--set takes KEY=VALUE, not '{pair}'.")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings


async def _watch(client: AsyncClient, training: Mapping[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Follow it with a line for every epoch."""
    epochs: set[int] = set()

    def show(seen: Mapping[str, Any]) -> None:
        line(describe(seen))
        progress = seen.get("progress") or {}
        epoch = progress.get("epoch")
        if not quiet and epoch and epoch not in epochs and progress.get("hr10") is not None:
            epochs.add(epoch)
            notes.print(f"  {describe(seen)} · {progress.get('seconds') or 0.0:.1f} s")

    with status_line(hidden=quiet) as line:
        return await follow(client, training["id"], show)


def _show(training: Mapping[str, Any]) -> None:
    result = training.get("result") or {}
    if not result:
        reason = f": {training['error']}" if training.get("error") else ""
        console.print(f"training {training['id']} {training['state']}{reason}")
        return
    metrics = result.get("metrics") or {}
    rows = [
        (f"{result['model_version']} {name}", metrics[name]) for name in ("validation", "test") if metrics.get(name)
    ]
    rows += [(f"{name} (test)", values) for name, values in (metrics.get("baselines") or {}).items()]
    cells = [(name, values.get("hr10"), values.get("ndcg10"), values.get("mrr")) for name, values in rows]
    console.print(table(("", "HR@10", "NDCG@10", "MRR"), cells, title=f"Training {training['id']} succeeded"))
    console.print(f"{result['model_version']} is {'live' if result.get('promoted') else 'not live'}.")

"""`crossan tune`: search for better hyperparameters, for as long as there is time."""

import asyncio
import hashlib
import json
import shlex
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from app.cli.options import AsJson, Key, Url, connect
from app.cli.output import console, print_json, table
from app.cli.train import parse_settings
from app.cli.tune_child import run_search
from app.core.config import Settings
from app.core.errors import ScopeMissing
from app.core.types import Scope
from crossan.client import ClientError
from model.options import ConfigError
from model.tuning_space import space_of

STUDY_NAME_LIMIT = 200


def tune(  # noqa: PLR0913 - one argument is one option of the command
    *,
    method: Annotated[str, typer.Option(help="How the item tower is adapted.")] = "crossan",
    minutes: Annotated[float, typer.Option(min=0.01, help="How long to search, reading the data included.")] = 30.0,
    trials: Annotated[int | None, typer.Option(min=1, help="End after so many trials, if that is sooner.")] = None,
    study: Annotated[
        str | None, typer.Option(help="Name of the search, to go on with later; by default it follows from the rest.")
    ] = None,
    modalities: Annotated[str | None, typer.Option(help="Which to learn from: 'text,image'. By default all.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Not to be searched; may be repeated.")
    ] = None,
    train_best: Annotated[bool, typer.Option("--train", help="Order a training with the best at the end.")] = False,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Search for better hyperparameters on what has arrived, judged by validation; Ctrl-C ends it early.

    Run it beside the service. The same command goes on where it stopped, even if it was killed.
    """
    if find_spec("optuna") is None:
        raise ClientError("`crossan tune` needs Optuna: pip install 'crossan[tune]'.")
    fixed = _fixed(method, [*(setting or []), *([f"modalities={modalities}"] if modalities else [])])
    client = connect(url, key)
    if train_best:
        asyncio.run(_reach(url, key))
    order = {
        "project": _project_of(client.key),
        "study": _checked(study) if study is not None else _default_name(method, fixed),
        "method": method,
        "fixed": fixed,
        "minutes": minutes,
        "trials": trials,
    }
    result = run_search(order, quiet=as_json)
    result["command"] = command_of(method, result["hyperparameters"])
    if train_best:
        result["training"] = asyncio.run(_train(url, key, result))
    print_json(result) if as_json else _show(result)


def _fixed(method: str, pairs: list[str]) -> dict[str, Any]:
    fixed = parse_settings(pairs)
    try:
        space_of(method, fixed)
    except ConfigError as error:
        raise ClientError(str(error)) from error
    return fixed


def _checked(study: str) -> str:
    if not study.isprintable() or not 0 < len(study) <= STUDY_NAME_LIMIT:
        raise ClientError(f"--study takes a name of 1 to {STUDY_NAME_LIMIT} printable characters.")
    return study


def _default_name(method: str, fixed: Mapping[str, Any]) -> str:
    """The method, and a mark of what is fixed if anything is."""
    if not fixed:
        return method
    return f"{method}-{hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]}"


def _project_of(key: str) -> int:
    """The project of an admin key, from the database: a search needs no running API.

    Raises:
        ClientError: nobody has this key.
        ScopeMissing: it may not order trainings, so it may not search for them either.
    """
    from app.db.session import Database
    from app.projects.service import ProjectService

    database = Database(Settings().database, pool_size=1)
    try:
        with database.transaction() as transaction:
            principal = ProjectService(transaction).authenticate(key)
    finally:
        database.close()
    if principal is None:
        raise ClientError("The API key is unknown or revoked.")
    if Scope.ADMIN not in principal.scopes:
        raise ScopeMissing(Scope.ADMIN)
    return int(principal.project)


async def _reach(url: str | None, key: str | None) -> None:
    """Better now than after the search: whether a training can be ordered."""
    async with connect(url, key) as client:
        await client.get("/admin/status")


async def _train(url: str | None, key: str | None, result: Mapping[str, Any]) -> Any:
    order = {name: result[name] for name in ("method", "hyperparameters")}
    async with connect(url, key) as client:
        return await client.train(**order)


def command_of(method: str, hyperparameters: Mapping[str, Any]) -> str:
    """The `crossan train` command line that trains with these hyperparameters."""
    pairs = [shlex.quote(f"{name}={_written(value)}") for name, value in hyperparameters.items()]
    return " ".join(["crossan train", "--method", method, *(f"--set {pair}" for pair in pairs)])


def _written(value: Any) -> str:
    """A value as `--set` reads it: text bare, unless that would be read as JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value)


def _show(result: Mapping[str, Any]) -> None:
    rows = [(f"best (trial {result['trial']})", result["validation"]), ("defaults", result["defaults"] or {})]
    cells = [(name, values.get("hr10"), values.get("ndcg10")) for name, values in rows]
    ended = ", ".join(f"{count} {outcome}" for outcome, count in sorted(result["trials"].items()))
    console.print(f"study {result['study']} · {sum(result['trials'].values())} trials ({ended})", markup=False)
    console.print(table(("on validation", "HR@10", "NDCG@10"), cells))
    if "training" in result:
        console.print(f"training {result['training']['id']} {result['training']['state']}")
    console.print(result["command"], markup=False, soft_wrap=True)

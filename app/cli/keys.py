"""`crossan keys`: make, list and revoke API keys."""

import asyncio
from typing import Annotated, Any

import typer

from app.cli.launch import create_key
from app.cli.options import AsJson, Key, Url, connect
from app.cli.output import console, print_json, table
from app.core.config import Settings
from app.core.types import Scope
from crossan.client import Call, ClientError

keys = typer.Typer(no_args_is_help=True, help="API keys: shown once, stored as hashes.")


def _call(method: str, path: str, *, url: str | None, key: str | None, **options: Any) -> Any:
    async def send() -> Any:
        async with connect(url, key) as client:
            return await client.send(Call[Any](method, path, **options))

    return asyncio.run(send())


@keys.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scopes: Annotated[str, typer.Option(help="Any of recommend, ingest and admin, joined by commas.")] = "recommend",
    project: Annotated[
        str | None, typer.Option(help="Make it in this project directly in the database: for the first key.")
    ] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    if not wanted or not set(wanted) <= set(Scope):
        raise ClientError(f"--scopes takes {', '.join(Scope)}, joined by commas, not '{scopes}'.")
    if project is not None:
        made = create_key(Settings(), project=project, name=name, scopes=wanted)
    else:
        made = _call("POST", "/admin/keys", url=url, key=key, json={"name": name, "scopes": wanted})
    if as_json:
        print_json(made)
    else:
        console.print(str(made["key"]), soft_wrap=True)


@keys.command("list")
def list_(*, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """List the keys of the project, without their secrets."""
    found = _call("GET", "/admin/keys", url=url, key=key)
    if as_json:
        print_json(found)
        return
    rows = [
        (k["id"], k["name"], f"{k['prefix']}…", ", ".join(k["scopes"]), k["created_at"], k["revoked_at"])
        for k in found["keys"]
    ]
    console.print(table(("id", "name", "key", "scopes", "made", "revoked"), rows))


@keys.command()
def revoke(
    key_id: Annotated[int, typer.Argument()], *, url: Url = None, key: Key = None, as_json: AsJson = False
) -> None:
    """Make a key useless, at once and for good."""
    _call("DELETE", f"/admin/keys/{key_id}", url=url, key=key)
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        console.print(f"key {key_id} revoked")

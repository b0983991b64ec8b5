"""`crossan status` and `crossan migrate`: how the service stands, and its database schema."""

import asyncio
from collections.abc import Mapping
from typing import Any

from app.cli.options import AsJson, Key, Url, connect
from app.cli.output import console, print_json, table
from app.core.config import Settings
from crossan.client import ApiError, AsyncClient


def status(*, url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show what the service holds, what waits and which model is live."""

    async def ask() -> dict[str, Any]:
        async with connect(url, key) as client:
            return {"ready": await _ready(client), **await client.get("/admin/status")}

    found = asyncio.run(ask())
    if as_json:
        print_json(found)
        return
    state = "ready" if found["ready"] else "NOT READY"
    console.print(f"project {found['project']} · {state} · live model {found['live_model'] or 'none'}")
    _counts({"items": found["items"], **{f"  {name}": counts for name, counts in found["media"].items()}})
    console.print(f"events {found['events']} of {found['users']} users")
    console.print("jobs " + ", ".join(f"{count} {state}" for state, count in found["jobs"].items()))


def migrate(*, as_json: AsJson = False) -> None:
    """Bring the database to the newest schema; safe to run at any time, from several machines."""
    from app.db.migrate import upgrade

    upgrade(Settings().database)
    if as_json:
        print_json({"migrated": True})
    else:
        console.print("the database has the newest schema")


async def _ready(client: AsyncClient) -> bool:
    try:
        await client.get("/health/ready")
    except ApiError:
        return False
    return True


def _counts(groups: Mapping[str, Mapping[str, int]]) -> None:
    states = list(dict.fromkeys(state for counts in groups.values() for state in counts))
    rows = [(name, *(counts.get(state) for state in states)) for name, counts in groups.items()]
    console.print(table(("", *states), rows))

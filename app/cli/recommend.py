"""`crossan recommend`: what a user would want next."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from app.cli.options import AsJson, Key, Url, connect
from app.cli.output import console, print_json, shares, table


def recommend(
    user: Annotated[str, typer.Argument(help="The user's id; one never seen gets what is popular now.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 10,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a user's next items."""

    async def ask() -> Any:
        async with connect(url, key) as client:
            return await client.recommend(user, limit=limit)

    answer = asyncio.run(ask())
    print_json(answer) if as_json else console.print(recommendation_table(answer))


def recommendation_table(answer: Mapping[str, Any]) -> Table:
    """The answer of `/recommend` for a person."""
    kind = "personalised" if answer["personalised"] else f"fallback: {answer['fallback']}"
    rows = [
        (item["rank"], item["item_id"], item.get("title") or "", item["score"], shares(item.get("shares")))
        for item in answer["items"]
    ]
    title = f"For {answer['user_id']} · model {answer['model_version'] or 'none'} · {kind}"
    return table(("#", "item", "title", "score", "made of"), rows, title=title)

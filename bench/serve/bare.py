"""The floor: a bare FastAPI route that gives one of our answers: `python -m bench.serve.bare FILE_DESCRIPTOR ANSWER`.

The same shape and bytes, a response model, the server settings of the product; nothing is done for it.
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Item(BaseModel):
    """One item of an answer."""

    item_id: str
    rank: int
    score: float | None
    title: str
    shares: dict[str, float] | None


class Answer(BaseModel):
    """What the route returns."""

    recommendation_id: str
    user_id: str | None
    model_version: str | None
    scenario: str | None
    experiment: str | None
    arm: str | None
    personalised: bool
    fallback: str | None
    items: list[Item]
    next_cursor: str | None


def bare_app(answer: dict[str, Any]) -> FastAPI:
    """An application with the one route."""
    app = FastAPI()

    @app.get("/recommend/{user_id}", response_model=Answer)
    async def recommend(user_id: str) -> dict[str, Any]:
        return answer

    return app


def main(descriptor: int, answer: Path) -> None:
    """Serve until a signal ends it, set up as `app.cli.serve` is."""
    app = bare_app(json.loads(answer.read_text()))
    config = uvicorn.Config(app, access_log=False, timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

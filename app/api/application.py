"""The application as a server runs it: the fast lane, and FastAPI for whatever the lane does not take."""

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app.api.fast_lane import FastLane


class Application(FastAPI):
    """FastAPI with a lane in front, outside of every middleware."""

    lane: FastLane | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the lane if it can."""
        if self.lane is None or not await self.lane.serve(scope, send):
            await super().__call__(scope, receive, send)

"""Events come in."""

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from app.api.auth import Ingester, documented
from app.api.deps import EdgeDep
from app.core.errors import InvalidRequest
from app.events.schemas import MAX_EVENTS, EventReport, EventWrite

router = APIRouter(tags=["events"], dependencies=documented)

_EVENT = EventWrite.model_json_schema()
_EVENTS = {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": MAX_EVENTS}
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [
                    _EVENT,
                    _EVENTS,
                    {"type": "object", "properties": {"events": _EVENTS}, "required": ["events"]},
                ]
            }
        }
    },
}


@router.post("/events", response_model=EventReport, openapi_extra={"requestBody": _BODY})
async def post_events(request: Request, edge: EdgeDep, principal: Ingester) -> Response:
    """Store one event, a list, or `{"events": […]}` of up to 1,000; each gets its own result, in order."""
    raw_events = _events_of(await request.body())
    report = await edge.call(principal.project, lambda services: services.events.record(raw_events))
    return Response(report.model_dump_json(exclude_none=True), media_type="application/json")


def _events_of(body: bytes) -> list[Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest.of("body", f"is not JSON: {error}") from error
    events = parsed["events"] if isinstance(parsed, dict) and "events" in parsed else parsed
    events = [events] if isinstance(events, dict) else events
    if not isinstance(events, list) or not events:
        raise InvalidRequest.of("events", "must be one event or a list of at least one")
    if len(events) > MAX_EVENTS:
        raise InvalidRequest.of("events", f"{len(events):,} events, the limit is {MAX_EVENTS:,}", limit=MAX_EVENTS)
    return events

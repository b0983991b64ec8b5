"""What may be asked for: one request of `/recommend`, for a user or for a session without one."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.core.text import EventType, Identifier, Name
from app.events.repository import microseconds
from app.events.schemas import Timestamp
from app.recommendations.options import MAX_LIMIT, RankingOptions
from app.stores.sequence_state import SequenceEvent, SequenceState

MAX_SESSION = 1_000
MAX_BATCH = 256
MAX_CURSOR = 512
DEFAULT_TYPE = "view"
MICROSECONDS = 1_000_000


class SessionEvent(BaseModel):
    """Something done in a session, without saying who did it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_id: Identifier
    type: EventType = DEFAULT_TYPE
    timestamp: Annotated[Timestamp | None, Field(description="Now, if it is left out.")] = None


class RecommendRequest(RankingOptions):
    """One request. It names a user, or brings a session; options that it does not set come from the scenario."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "u1", "limit": 20, "filter": "price < 30", "diversity": 0.3},
                {"session": ["i1", {"item_id": "i2", "type": "like"}], "scenario": "home"},
            ]
        }
    )

    user_id: Annotated[Identifier | None, Field(description="Whose next items; or give a `session`.")] = None
    session: Annotated[
        tuple[Identifier | SessionEvent, ...] | None,
        Field(max_length=MAX_SESSION, description="Item ids or events of somebody without a user id, oldest first."),
    ] = None
    session_id: Annotated[
        Identifier | None,
        Field(description="Keeps a session in its arm of an experiment, and remembers for it what `rotation_s` needs."),
    ] = None
    scenario: Annotated[Name | None, Field(description="Takes the options that are not set from this bundle.")] = None
    cursor: Annotated[
        str | None,
        Field(max_length=MAX_CURSOR, description="`next_cursor` of the page before; only `limit` counts beside it."),
    ] = None

    @model_validator(mode="after")
    def _user_or_session(self) -> "RecommendRequest":
        if (self.user_id is None) == (self.session is None) and self.cursor is None:
            raise ValueError("give a user_id or a session, one of them")
        return self

    @property
    def given_limit(self) -> int | None:
        """The limit if the request has one of its own."""
        return self.limit if "limit" in self.model_fields_set else None

    def unit(self, answer_id: UUID) -> str:
        """What an experiment assigns: the user, the session, or if neither has a name this answer alone."""
        return self.user_id if self.user_id is not None else self.session_key or str(answer_id)

    @property
    def session_key(self) -> str | None:
        """The session's name among the users: no user's id has a slash in it."""
        return None if self.session_id is None else f"/{self.session_id}"


def session_json(session: tuple[str | SessionEvent, ...], *, now: float) -> list[dict[str, Any]]:
    """The events of a session as a record keeps them, oldest first; `time_us` are microseconds since 1970."""
    return [_event(one, int(now * MICROSECONDS)) for one in session]


def session_state(events: list[dict[str, Any]]) -> SequenceState:
    """A session as a past; its events have no numbers."""
    return SequenceState.of(SequenceEvent(0, event["item_id"], event["time_us"], event["type"]) for event in events)


def _event(one: str | SessionEvent, now_us: int) -> dict[str, Any]:
    if isinstance(one, str):
        return {"item_id": one, "type": DEFAULT_TYPE, "time_us": now_us}
    at = now_us if one.timestamp is None else microseconds(one.timestamp)
    return {"item_id": one.item_id, "type": one.type, "time_us": at}


__all__ = ["MAX_BATCH", "MAX_LIMIT", "RecommendRequest", "SessionEvent", "session_json", "session_state"]

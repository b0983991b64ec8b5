"""Whose past an answer is made from: a user's, or that of a session without one."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.recommendations.memory import RememberedPast
from app.stores.sequence_state import SequenceState


class Past(NamedTuple):
    """Whose past, and what it is.

    Attributes:
        user_id: None for a session.
        key: the name that shown items are remembered under, None where nothing can be.
        remembered: the events, with what was worked out of them.
        session: the events of a session as they came, None for a user.
        shown: what was shown lately, with seconds since 1970.
    """

    user_id: str | None
    key: str | None
    remembered: RememberedPast
    session: list[dict[str, Any]] | None
    shown: Mapping[str, float]

    @property
    def state(self) -> SequenceState:
        """The events."""
        return self.remembered.state

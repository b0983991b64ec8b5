"""The users that an API process remembers between requests, as long as Redis says that their state is the same."""

import time
from collections import OrderedDict
from dataclasses import dataclass

from app.core.types import ProjectId
from app.recommendations.memory import RememberedPast

EVENTS_A_USER = 100
"""So many events a user may hold on average; if they hold more, fewer users are remembered."""
UNUSED_S = 600.0
"""What has not been asked for so long is forgotten: what was erased elsewhere is not to live on here."""


@dataclass
class RememberedUser:
    """A user's past under the version of the state in Redis.

    Attributes:
        version: of the state.
        has_older: whether items that only older events have made seen are part of it.
        past: the state and what was worked out of it.
        used_at: when it was last asked for, monotonic seconds.
    """

    version: bytes
    has_older: bool
    past: RememberedPast
    used_at: float

    @property
    def weight(self) -> int:
        """Entries that it holds."""
        return EVENTS_A_USER // 2 + self.past.state.count + len(self.past.state.older)


class RememberedUsers:
    """A bounded memory, the longest unused go first.

    Args:
        most: users with an average history; 0 remembers nobody.
    """

    def __init__(self, most: int) -> None:
        self._limit = most * EVENTS_A_USER
        self._users: OrderedDict[tuple[ProjectId, str], RememberedUser] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._users)

    def find(self, project: ProjectId, user_id: str, *, older: bool) -> RememberedUser | None:
        """The user, if what is remembered is enough.

        Args:
            project: whose user.
            user_id: who.
            older: whether the older items have to be a part of it.
        """
        found = self._users.get((project, user_id))
        if found is None or (older and not found.has_older):
            return None
        self._users.move_to_end((project, user_id))
        found.used_at = time.monotonic()
        self._forget_unused()
        return found

    def keep(self, project: ProjectId, user_id: str, user: RememberedUser) -> None:
        """Remember a user, and forget who is too much or too long unused."""
        self.forget(project, user_id)
        if user.weight > self._limit:
            return
        self._users[project, user_id] = user
        user.past.lasts = True
        self._weight += user.weight
        while self._weight > self._limit:
            self.forget(*next(iter(self._users)))
        self._forget_unused()

    def _forget_unused(self) -> None:
        unused = time.monotonic() - UNUSED_S
        while self._users and self._longest_unused.used_at < unused:
            self.forget(*next(iter(self._users)))

    @property
    def _longest_unused(self) -> RememberedUser:
        return next(iter(self._users.values()))

    def forget(self, project: ProjectId, user_id: str) -> None:
        """Remember nothing of a user."""
        gone = self._users.pop((project, user_id), None)
        if gone is not None:
            self._weight -= gone.weight

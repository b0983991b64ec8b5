"""When a request is tried again, and how long to wait before."""

import random
from dataclasses import dataclass

import httpx

RETRIED = frozenset({429, 500, 502, 503, 504})
LONGEST_ASKED_S = 60.0


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with jitter.

    Attributes:
        attempts: how often a request is sent at most.
        first_pause_s: the longest first pause; each further one may be twice as long.
        longest_pause_s: what no pause exceeds, unless the service asks for more by Retry-After.
    """

    attempts: int = 4
    first_pause_s: float = 0.25
    longest_pause_s: float = 10.0

    def worth_repeating(self, response: httpx.Response, attempt: int) -> bool:
        """Whether this answer to the attempt, counted from 1, is a passing trouble with attempts left."""
        return response.status_code in RETRIED and attempt < self.attempts

    def pause_s(self, attempt: int, response: httpx.Response | None = None) -> float:
        """Seconds to wait after the attempt, counted from 1: what Retry-After asks for, else a random back-off."""
        asked = response.headers.get("Retry-After") if response is not None else None
        if asked is not None and asked.isdecimal():
            return min(float(asked), LONGEST_ASKED_S)
        longest = min(self.first_pause_s * 2.0 ** min(attempt - 1, 30), self.longest_pause_s)
        return longest * random.uniform(0.5, 1.0)

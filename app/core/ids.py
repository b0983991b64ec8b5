"""Identifiers that sort by the time of their making, so that an index of them grows at one end only."""

import os
import time
from uuid import UUID

_VERSION_7, _VARIANT = 0x7 << 76, 0b10 << 62


def uuid7() -> UUID:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds since 1970, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000 & (1 << 48) - 1
    chance = int.from_bytes(os.urandom(10), "big")
    high, low = chance >> 68, chance & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | _VERSION_7 | (high & 0xFFF) << 64 | _VARIANT | low)


def made_at(identifier: UUID) -> float:
    """When a UUID of version 7 was made: seconds since 1970, exact to the millisecond."""
    return (identifier.int >> 80) / 1_000

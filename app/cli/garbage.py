"""Keeps the garbage collector out of the way of requests: it looks at what comes and goes, and rarely at the rest."""

import asyncio
import gc

YOUNG = 10_000
"""New objects that make it look: some hundred requests' worth, looked through in a fraction of a millisecond."""


async def settle(is_warm: asyncio.Event) -> None:
    """Once the process is warm, what it is made of (code, catalogue) is never looked through again."""
    await is_warm.wait()
    gc.collect()
    gc.freeze()


def look_rarely() -> None:
    """By default seven hundred new objects are enough: several times in a batch of requests."""
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])

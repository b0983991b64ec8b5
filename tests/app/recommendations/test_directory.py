"""Starting and stopping what follows the projects."""

import asyncio
from typing import Any

from app.recommendations.directory import StateDirectory


async def test_a_cancellation_that_gets_lost_is_repeated() -> None:
    directory: Any = StateDirectory.__new__(StateDirectory)
    directory._tasks = set()
    lost = 0

    async def swallows_one() -> None:
        nonlocal lost
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            lost += 1
        await asyncio.sleep(60)

    directory._spawn(swallows_one())
    await asyncio.sleep(0)
    await asyncio.wait_for(directory.stop(), timeout=30)
    assert lost == 1
    assert not directory._tasks

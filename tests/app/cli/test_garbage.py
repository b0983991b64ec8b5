"""The garbage collector of an API process; in a process of its own, since it is one for all tests."""

import subprocess
import sys

SCRIPT = """
import asyncio, gc
from app.cli import garbage

async def main():
    is_warm = asyncio.Event()
    settling = asyncio.create_task(garbage.settle(is_warm))
    await asyncio.sleep(0.01)
    assert gc.get_freeze_count() == 0
    is_warm.set()
    await settling
    assert gc.get_freeze_count() > 1_000

others = gc.get_threshold()[1:]
garbage.look_rarely()
assert gc.get_threshold() == (garbage.YOUNG, *others)
assert gc.isenabled()
asyncio.run(main())
"""


def test_it_settles_when_the_process_is_warm() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)

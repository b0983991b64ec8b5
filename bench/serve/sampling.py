"""Where the processor time of a process goes: stacks of all its threads, weighed with what each thread has used."""

import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

EVERY_S = 0.001
SHOWN = 25
Stack = tuple[str, ...]
"""Functions as `file:function`, the outermost first."""


class Sampler:
    """Samples between `start` and `stop`, both of which belong in the main thread.

    A timer of processor time interrupts that thread wherever it is: a thread of its own would only see it where it lets
    others run.
    """

    def __init__(self) -> None:
        self.seconds: dict[Stack, float] = defaultdict(float)
        self._used: dict[int, float] = {}

    def start(self) -> None:
        """Begin."""
        self._used = _used_s()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def stop(self) -> None:
        """End."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, number: int, interrupted: FrameType | None) -> None:
        now, frames = _used_s(), sys._current_frames()
        for thread, seconds in now.items():
            spent = seconds - self._used.get(thread, seconds)
            frame = interrupted if thread == threading.get_ident() else frames.get(thread)
            if spent > 0 and frame is not None:
                self.seconds[_stack(frame)] += spent
        self._used = now


def _used_s() -> dict[int, float]:
    """Processor seconds of every thread so far."""
    threads = [thread.ident for thread in threading.enumerate() if thread.ident is not None]
    return {ident: time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in threads}


def _stack(frame: FrameType | None) -> Stack:
    functions = []
    while frame is not None:
        functions.append(_function(frame))
        frame = frame.f_back
    return tuple(reversed(functions))


def _function(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    return f"{path.parent.name}/{path.name}:{frame.f_code.co_qualname}"


def report(seconds: Mapping[Stack, float]) -> str:
    """Shares by function: of its own, and with what it calls."""
    total = sum(seconds.values()) or 1.0
    own: dict[str, float] = defaultdict(float)
    whole: dict[str, float] = defaultdict(float)
    for stack, spent in seconds.items():
        own[stack[-1]] += spent
        for function in set(stack):
            whole[function] += spent
    lines = [f"{total:.2f} s of processor", "of their own:", *_lines(own, total), "with what they call:"]
    return "\n".join([*lines, *_lines(whole, total)])


def _lines(spent: Mapping[str, float], total: float) -> list[str]:
    largest = sorted(spent.items(), key=lambda one: -one[1])[:SHOWN]
    return [f"  {seconds / total:6.1%}  {function}" for function, seconds in largest]

import threading
import time

import pytest

from bench.serve.sampling import Sampler, report


def busy(until_s: float) -> None:
    while time.thread_time() < until_s:
        pass


def test_the_report_adds_up_shares() -> None:
    found = report({("a", "b"): 1.0, ("a", "c", "a"): 3.0})
    assert found.splitlines() == [
        "4.00 s of processor",
        "of their own:",
        "   75.0%  a",
        "   25.0%  b",
        "with what they call:",
        "  100.0%  a",
        "   75.0%  c",
        "   25.0%  b",
    ]


def test_it_sees_all_threads() -> None:
    sampler = Sampler()
    sampler.start()
    other = threading.Thread(target=lambda: busy(0.2), name="other")
    other.start()
    busy(time.thread_time() + 0.2)
    other.join()
    sampler.stop()
    mine = sum(seconds for stack, seconds in sampler.seconds.items() if "serve/test_sampling.py:busy" in stack)
    assert mine == pytest.approx(0.4, abs=0.15)
    assert any("threading.py:Thread.run" in function for stack in sampler.seconds for function in stack)

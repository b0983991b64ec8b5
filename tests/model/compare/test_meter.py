import subprocess
import sys

import pytest

from model.compare.meter import LifetimeMemory, Meter, gauge_of, warm_up

A_LARGE_BLOCK_COMES_AND_GOES = """
from model.compare.meter import ProcessMemory

LARGE = 64_000_000
gauge = ProcessMemory()
before = gauge.reset()
block = bytearray(LARGE)
assert gauge.peak() - before > 0.9 * LARGE
del block
assert gauge.peak() - before > 0.9 * LARGE
after = gauge.reset()
assert gauge.peak() - after < 0.5 * LARGE
"""


class Script:
    """Memory that is as a list says: what is in use at each reset, and the peak at each look."""

    def __init__(self, now: list[int], peaks: list[int]) -> None:
        self._now, self._peaks = now, peaks

    def reset(self) -> int:
        return self._now.pop(0)

    def peak(self) -> int:
        return self._peaks.pop(0)


def test_the_peak_is_of_the_first_epochs_steps_above_the_baseline() -> None:
    # Two epochs of three steps: looks before steps 2 and 3, and at the end, where validation has taken 90.
    meter = Meter(Script([100], [130, 150, 190]))
    for epoch in range(2):
        for _ in range(3):
            assert meter.before_step() is False
        meter.after_epoch(1.0 + 2.0 * epoch, 4.0)
    found = meter.document()
    assert found["baseline_bytes"] == 100
    assert found["peak_bytes"] == 50
    assert found["peak_bytes_with_validation"] == 90
    assert found["seconds_per_epoch"] == 2.0
    assert found["cpu_seconds_per_epoch"] == 4.0
    assert found["training_seconds"] == [1.0, 3.0]
    assert len(found["epoch_seconds"]) == 2
    assert found["steps"] == 6


def test_a_single_step_counts_with_its_validation() -> None:
    meter = Meter(Script([100], [130]))
    meter.before_step()
    meter.after_epoch(1.0, 1.0)
    assert meter.document()["peak_bytes"] == 30


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_resident_memory_forgets_an_earlier_peak() -> None:
    # In a process of its own: in this one other tests' threads give memory back meanwhile.
    subprocess.run([sys.executable, "-c", A_LARGE_BLOCK_COMES_AND_GOES], check=True)


def test_the_fallback_never_sinks() -> None:
    gauge = LifetimeMemory()
    before = gauge.reset()
    assert gauge.peak() >= before > 1_000_000


def test_a_gauge_for_this_machine() -> None:
    warm_up("cpu")
    assert gauge_of("cpu").reset() > 1_000_000

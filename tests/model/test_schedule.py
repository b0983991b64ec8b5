import pytest

from model.config import OptimisationConfig
from model.schedule import learning_rate


@pytest.mark.parametrize(
    ("schedule", "half", "end"),
    # After the warm-up of one epoch, epoch 6 is half of the way to epoch 11, where a tenth is left.
    [("cosine", 0.55, 0.1), ("linear", 0.55, 0.1), ("constant", 1.0, 1.0)],
)
def test_a_warm_up_and_then_the_curve(schedule: str, half: float, end: float) -> None:
    wanted = OptimisationConfig(learning_rate=1.0, epochs=11, warmup_epochs=1, schedule=schedule)
    rates = [learning_rate(wanted, epoch) for epoch in (0.5, 1.0, 6.0, 11.0)]
    assert rates == pytest.approx([0.5, 1.0, half, end])


def test_the_cosine_is_flat_at_both_ends_and_the_line_is_not() -> None:
    # A quarter of the way: 0.1 + 0.9 (1 + cos 45°) / 2 = 0.868, and 1 - 0.9 / 4 = 0.775.
    quarter = {
        name: learning_rate(OptimisationConfig(learning_rate=1.0, epochs=8, warmup_epochs=0, schedule=name), 2.0)
        for name in ("cosine", "linear")
    }
    assert quarter == pytest.approx({"cosine": 0.8682, "linear": 0.775}, abs=1e-4)


def test_a_warm_up_longer_than_the_training_never_gets_to_the_top() -> None:
    wanted = OptimisationConfig(learning_rate=1.0, epochs=2, warmup_epochs=4)
    assert learning_rate(wanted, 2.0) == pytest.approx(0.5)

import pytest

from model.compare.tpme import Cost, tpme


def test_by_hand() -> None:
    # time 22/443, parameters 4/200, memory 3/47 of full fine-tuning, weighted 0.45, 0.1 and 0.45:
    # 0.0223476 + 0.002 + 0.0287234 = 0.0530710
    full = Cost(443.0, 200e6, 47e9)
    assert tpme(Cost(22.0, 4e6, 3e9), full) == pytest.approx(0.0530710, abs=1e-7)


def test_full_fine_tuning_is_one() -> None:
    full = Cost(443.0, 200e6, 47e9)
    assert tpme(full, full) == pytest.approx(1.0)


def test_nothing_is_relative_to_nothing() -> None:
    assert tpme(Cost(1.0, 1, 1), Cost(1.0, 0, 1)) is None

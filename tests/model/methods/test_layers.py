import pytest

from model.config import ModalityConfig, parse_config
from model.methods.layers import last_layer, select_layers


@pytest.mark.parametrize(
    ("choice", "layers_total", "count", "expected"),
    [
        ("groups", 13, 6, [2, 4, 6, 8, 10, 12]),  # twelve layers in six pairs, the last of each
        ("groups", 13, 4, [3, 6, 9, 12]),
        ("groups", 7, 4, [1, 3, 4, 6]),
        ("groups", 5, 4, [1, 2, 3, 4]),
        ("groups", 3, 4, [1, 1, 1, 2]),  # shallower than the groups: some more than once
        ("groups", 1, 2, [0, 0]),  # an encoder that stores only one state
        ("second", 13, 6, [1, 3, 5, 7, 9, 11]),  # as IISAN reads twelve layers
        ("second", 13, 3, [3, 7, 11]),  # the last of each pair of 1, 3, 5, 7, 9, 11
        ("second", 7, 6, [1, 1, 1, 3, 3, 5]),  # of 1, 3, 5 in six groups, as six groups of three layers
        ("second", 2, 2, [1, 1]),
        ("second", 1, 2, [0, 0]),
        ("last", 13, 3, [10, 11, 12]),
        ("last", 3, 4, [1, 1, 1, 2]),
        ("last", 1, 2, [0, 0]),
        ("first", 13, 3, [1, 2, 3]),
        ("first", 3, 4, [1, 2, 2, 2]),
        ("first", 1, 2, [0, 0]),
    ],
)
def test_layer_choices(choice: str, layers_total: int, count: int, expected: list[int]) -> None:
    config = parse_config("crossan", {"layer_choice": choice, "side_layers": count})
    assert select_layers(config, ModalityConfig("any", 4, layers_total)) == expected


def test_last_layer() -> None:
    assert last_layer(parse_config("frozen", {}), ModalityConfig("any", 4, 7)) == [6]

import pytest
import torch
from torch import nn

from model.config import CatalogueShape, ModalityConfig, parse_config
from model.methods.crossan import build_tower

SHAPES = (ModalityConfig("text", 24, 7), ModalityConfig("image", 32, 13), ModalityConfig("audio", 8, 2))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [{}, {"cross_path": "raw", "expert": "linear"}, {"cross_path": "none"}, {"link_rank": 2, "fusion": "top1"}],
)
def test_tower_of_any_number_of_modalities(count: int, options: dict[str, object]) -> None:
    config = parse_config("crossan", {"item_width": 10, "side_width": 12, "side_layers": 3, **options})
    tower = build_tower(config, CatalogueShape(5, SHAPES[:count])).eval()
    states = [torch.randn(4, 3, modality.width) for modality in SHAPES[:count]]
    vectors, shares = tower(torch.ones(4, count, dtype=torch.bool), *states)
    assert vectors.shape == (4, 10)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4))


def test_parameters_are_as_many_as_the_paper_counts() -> None:
    """m·l·(2·d·r) in the adapters, with r the bottleneck, and one adapter a layer when they are shared."""

    def adapters(**options: object) -> int:
        config = parse_config("crossan", {"side_width": 16, "bottleneck": 4, "side_layers": 3, "heads": 2, **options})
        tower = build_tower(config, CatalogueShape(5, SHAPES))
        return sum(one.numel() for name, one in tower.named_parameters() if "adapters" in name and "weight" in name)

    assert adapters() == 3 * 3 * 2 * 16 * 4
    assert adapters(shared_adapters=True) == 3 * 2 * 16 * 4


def test_activation_is_chosen_by_the_builder() -> None:
    config = parse_config("crossan", {"activation": "relu"})
    modules = list(build_tower(config, CatalogueShape(5, SHAPES)).modules())
    assert any(isinstance(one, nn.ReLU) for one in modules)
    assert not any(isinstance(one, nn.GELU) for one in modules)


def test_maps_of_links_grow_with_modalities_and_not_with_pairs() -> None:
    """m·l·2·d·r for maps of rank r."""

    def weights(rank: int) -> int:
        config = parse_config("crossan", {"side_width": 16, "side_layers": 3, "link_rank": rank})
        return sum(one.numel() for one in build_tower(config, CatalogueShape(5, SHAPES)).parameters())

    assert weights(2) - weights(0) == 3 * 3 * 2 * 16 * 2

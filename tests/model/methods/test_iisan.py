import pytest
import torch

from model.config import CatalogueShape, ModalityConfig, parse_config
from model.data.dataset import TrainingDataError
from model.methods import crossan, iisan
from model.methods.layers import select_layers

TWELVE = ModalityConfig("image", 24, 13)
UNEQUAL = (ModalityConfig("text", 24, 7), ModalityConfig("image", 32, 13))


def test_it_reads_every_second_of_twelve_layers_as_published() -> None:
    assert select_layers(parse_config("iisan", {}), TWELVE) == [1, 3, 5, 7, 9, 11]
    assert select_layers(parse_config("iisan-versa", {}), TWELVE) == [3, 6, 9, 12]
    assert select_layers(parse_config("iisan", {"layer_choice": "groups", "side_layers": 2}), TWELVE) == [6, 12]


def test_encoders_of_unequal_width_need_versa() -> None:
    with pytest.raises(TrainingDataError, match=r"one width, found text 24, image 32; iisan-versa takes any widths"):
        iisan.build_tower(parse_config("iisan", {}), CatalogueShape(5, UNEQUAL))
    versa = iisan.build_versa_tower(parse_config("iisan-versa", {}), CatalogueShape(5, UNEQUAL)).eval()
    states = [torch.randn(3, 4, modality.width) for modality in UNEQUAL]
    vectors, shares = versa(torch.ones(3, 2, dtype=torch.bool), *states)
    assert vectors.shape == (3, 64)
    assert shares.tolist() == [[0.5, 0.5]] * 3


def test_it_adapts_in_the_encoders_width_and_versa_in_its_own() -> None:
    """The weights of adapters: (m + 1)·l·(2·d·r), for two modalities and an inter-modal tower."""
    options = {"side_layers": 3, "bottleneck": 4}
    catalogue = CatalogueShape(5, (TWELVE, ModalityConfig("text", 24, 7)))
    own = iisan.build_tower(parse_config("iisan", options), catalogue)
    versa = iisan.build_versa_tower(parse_config("iisan-versa", {**options, "side_width": 16}), catalogue)
    for tower, width in ((own, 24), (versa, 16)):
        found = sum(one.numel() for name, one in tower.named_parameters() if "adapter" in name and "weight" in name)
        assert found == 3 * 3 * 2 * width * 4
    assert not list(own.reader.projections.parameters())


@pytest.mark.parametrize("modalities", [2, 3, 4])
@pytest.mark.parametrize("width", [384, 768])
def test_crossan_trains_fewer_parameters(modalities: int, width: int) -> None:
    catalogue = CatalogueShape(100, tuple(ModalityConfig(str(k), width, 13) for k in range(modalities)))
    counts = [
        sum(one.numel() for one in build(parse_config(name, {}), catalogue).parameters())
        for name, build in (
            ("crossan", crossan.build_tower),
            ("iisan-versa", iisan.build_versa_tower),
            ("iisan", iisan.build_tower),
        )
    ]
    assert counts == sorted(counts)

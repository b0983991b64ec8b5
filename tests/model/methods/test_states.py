import torch

from model.config import CatalogueShape, ModalityConfig
from model.data.dataset import interactions_of
from model.methods.frozen import build_tower
from model.methods.states import calibrate
from tests.model.conftest import small_config


def test_projections_are_calibrated_on_the_items_that_have_the_modality() -> None:
    catalogue = CatalogueShape(4, (ModalityConfig("text", 3, 5), ModalityConfig("image", 2, 5)))
    tower = build_tower(small_config("frozen"), catalogue)
    present = torch.tensor([[True, True], [True, False], [True, True], [False, True]])
    text, image = 3 + torch.randn(4, 1, 3), 7 + torch.randn(4, 1, 2)
    calibrate(tower, (present, text, image), interactions_of([[0]]))
    torch.testing.assert_close(tower.reader.projections[0].centre, text[:3].mean(dim=0))
    torch.testing.assert_close(tower.reader.projections[1].centre, image[[0, 2, 3]].mean(dim=0))

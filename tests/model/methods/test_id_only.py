import torch

from model.config import CatalogueShape, parse_config
from model.methods.id_only import build_tower


def test_a_vector_for_each_item_and_no_shares() -> None:
    tower = build_tower(parse_config("id", {"item_width": 8}), CatalogueShape(6, ()))
    vectors, shares = tower(torch.tensor([5, 0, 5]))
    assert vectors.shape == (3, 8)
    assert shares.shape == (3, 0)
    torch.testing.assert_close(vectors[0], vectors[2])
    torch.testing.assert_close(vectors.mean(dim=1), torch.zeros(3), atol=1e-5, rtol=0)

import torch

from model.modules.projection import DimensionTransformation


def test_each_layer_has_its_own_map_of_the_normalised_state() -> None:
    torch.manual_seed(0)
    project = DimensionTransformation(6, 3, 2, dropout=0.0)
    with torch.no_grad():
        project.bias.normal_()
    states = 5 * torch.randn(4, 2, 6) + 3
    found = project(states)
    assert found.shape == (2, 4, 3)
    for item in range(4):
        for layer in range(2):
            h = states[item, layer]
            normed = (h - h.mean()) / (h.var(unbiased=False) + 1e-5).sqrt()
            expected = normed @ project.weight[layer] + project.bias[layer, 0]
            torch.testing.assert_close(found[layer, item], expected, atol=1e-5, rtol=1e-5)


def test_scale_of_the_encoder_does_not_matter() -> None:
    project = DimensionTransformation(6, 3, 2, dropout=0.0)
    states = torch.randn(4, 2, 6)
    torch.testing.assert_close(project(100 * states), project(states), atol=1e-3, rtol=1e-3)

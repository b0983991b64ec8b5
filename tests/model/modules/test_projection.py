import torch

from model.modules.projection import DimensionTransformation, Standardisation


def test_each_layer_has_its_own_map_of_the_standardised_normalised_state() -> None:
    torch.manual_seed(0)
    project = DimensionTransformation(6, 3, 2, dropout=0.0)
    with torch.no_grad():
        project.bias.normal_()
    states = 5 * torch.randn(40, 2, 6) + 3
    project.calibrate(states)
    found = project(states)
    assert found.shape == (2, 40, 3)
    for item in range(4):
        for layer in range(2):
            column = states[:, layer]
            h = (states[item, layer] - column.mean(dim=0)) / column.std(dim=0, correction=0)
            normed = (h - h.mean()) / (h.var(correction=0) + 1e-5).sqrt()
            expected = normed @ project.weight[layer] + project.bias[layer, 0]
            torch.testing.assert_close(found[layer, item], expected, atol=1e-5, rtol=1e-5)


def test_scale_and_offset_of_the_encoder_do_not_matter() -> None:
    """A dimension that is always large hides what the others say, until it is standardised."""
    torch.manual_seed(0)
    states = torch.randn(50, 2, 6)
    outlier = states * torch.tensor([1.0, 1.0, 500.0, 1.0, 1.0, 1.0]) + 70
    found = []
    for one in (states, outlier):
        project = DimensionTransformation(6, 3, 2, dropout=0.0)
        torch.nn.init.ones_(project.weight)
        torch.nn.init.constant_(project.weight[:, 2], -1.0)
        project.calibrate(one)
        found.append(project(one))
    torch.testing.assert_close(found[0], found[1], atol=1e-3, rtol=1e-3)


def test_nothing_and_one_item_calibrate_to_finite_numbers() -> None:
    project = DimensionTransformation(6, 3, 2, dropout=0.0)
    project.calibrate(torch.zeros(0, 2, 6))
    assert torch.equal(project.spread, torch.ones(2, 6))
    one = torch.randn(1, 2, 6)
    project.calibrate(one)
    assert torch.isfinite(project(one)).all()
    assert torch.isfinite(project(torch.randn(3, 2, 6))).all()


def test_standardisation_alone_keeps_the_width_and_trains_nothing() -> None:
    torch.manual_seed(0)
    standardise = Standardisation(6, 2, dropout=0.0)
    states = 5 * torch.randn(40, 2, 6) + 3
    standardise.calibrate(states)
    found = standardise(states)
    assert found.shape == (2, 40, 6)
    h = (states - states.mean(dim=0)) / states.std(dim=0, correction=0)
    expected = (h - h.mean(dim=-1, keepdim=True)) / (h.var(dim=-1, keepdim=True, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(found, expected.transpose(0, 1), atol=1e-5, rtol=1e-5)
    assert not list(standardise.parameters())

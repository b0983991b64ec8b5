import torch

from model.modules.dropout import Dropout


def test_a_share_is_dropped_and_the_rest_grows() -> None:
    """Of a million numbers the kept share has a standard error of 0.0004."""
    torch.manual_seed(0)
    found = Dropout(0.2)(torch.ones(1_000, 1_000))
    assert set(found.unique().tolist()) == {0.0, torch.tensor(1 / 0.8).item()}
    assert abs((found > 0).float().mean() - 0.8) < 0.002
    assert (
        abs((found[:, 1:] * found[:, :-1] > 0).float().mean() - 0.64) < 0.003
    )  # neighbours know nothing of each other


def test_the_gradient_goes_where_the_value_went() -> None:
    states = torch.randn(3, 5, requires_grad=True)
    found = Dropout(0.5)(states)
    found.sum().backward()
    torch.testing.assert_close(states.grad, found.detach() / states.detach())


def test_the_seed_decides() -> None:
    dropout, states = Dropout(0.5), torch.ones(7, 9)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(dropout(states))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_it_does_nothing_where_nothing_shall_be_dropped() -> None:
    states = torch.randn(4, 4)
    assert Dropout(0.5).eval()(states) is states
    assert Dropout(0.0)(states) is states


def test_lower_precision_stays() -> None:
    assert Dropout(0.1)(torch.ones(3, dtype=torch.bfloat16)).dtype == torch.bfloat16

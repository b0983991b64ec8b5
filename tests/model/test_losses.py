"""Every loss against its equation, written out over users, positions and items."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.config import OptimisationConfig
from model.data.batch import Batch
from model.data.dataset import interactions_of
from model.losses import (
    LOSSES,
    Catalogue,
    Positions,
    gbce_beta,
    gbce_loss,
    sampled_softmax_loss,
    softmax_loss,
)
from model.negatives import SAMPLERS, PopularitySampler
from model.processes import ALONE, Group
from model.step import BatchLoss

# Three users, four positions, eight items; -1 is padding.
INPUTS = [[-1, -1, 0, 1], [2, 3, 4, 5], [-1, -1, -1, 6]]
TARGETS = [[-1, -1, 1, 2], [3, 4, 5, 7], [-1, -1, -1, 0]]
ITEMS = 8
PLACES = [(b, t) for b in range(3) for t in range(4) if TARGETS[b][t] >= 0]


def case(seed: int) -> tuple[Tensor, Tensor, Positions]:
    """User states [3, 4, 5], item vectors [8, 5], and the same as positions."""
    generator = torch.Generator().manual_seed(seed)
    users = torch.randn(3, 4, 5, generator=generator)
    vectors = torch.randn(ITEMS, 5, generator=generator)
    window = torch.tensor([[*INPUTS[b], TARGETS[b][-1]] for b, _ in PLACES])
    states = torch.stack([users[b, t] for b, t in PLACES])
    return users, vectors, Positions(states, vectors, torch.tensor([TARGETS[b][t] for b, t in PLACES]), window)


def score(users: Tensor, vectors: Tensor, b: int, t: int, item: int) -> float:
    return sum(float(x) * float(y) for x, y in zip(users[b, t], vectors[item], strict=True))


def own(b: int, t: int) -> set[int]:
    """What user b has, and so does not compete with the target at t."""
    return {item for item in INPUTS[b] + TARGETS[b] if item >= 0} - {TARGETS[b][t]}


def softmax_reference(
    users: Tensor, vectors: Tensor, weight: Callable[[int, int], float], smoothing: float
) -> list[float]:
    """PAPER section 6 with weights w: -log (w+ e^s+ / sum w_i e^s_i); `weight` takes an item and the target."""
    losses = []
    for b, t in PLACES:
        target = TARGETS[b][t]
        terms = {
            item: weight(item, target) * math.exp(score(users, vectors, b, t, item))
            for item in range(ITEMS)
            if item not in own(b, t) and weight(item, target) > 0
        }
        total = sum(terms.values())
        surprise = {item: -math.log(term / total) for item, term in terms.items()}
        spread = sum(surprise.values()) / len(surprise)
        losses.append((1 - smoothing) * surprise[target] + smoothing * spread)
    return losses


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_full_softmax_is_the_equation(smoothing: float) -> None:
    users, vectors, positions = case(0)
    expected = softmax_reference(users, vectors, lambda item, target: 1.0, smoothing)
    assert softmax_loss(positions, smoothing=smoothing).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_softmax_with_popularity_correction_is_the_equation(smoothing: float) -> None:
    users, vectors, positions = case(1)
    popularity = [0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05]
    expected = softmax_reference(users, vectors, lambda item, target: 1 / popularity[item], smoothing)
    found = softmax_loss(positions, -torch.tensor(popularity).log(), smoothing=smoothing)
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_sampled_softmax_is_the_equation(smoothing: float) -> None:
    """Negatives 1, 3, 6 and 7, some of them a position's target or in its window; a target has weight 1."""
    users, vectors, positions = case(2)
    weights = {1: 2.0, 3: 0.5, 6: 1.5, 7: 4.0}
    expected = softmax_reference(
        users, vectors, lambda item, target: 1.0 if item == target else weights.get(item, 0.0), smoothing
    )
    log_weights = torch.tensor(list(weights.values())).log()
    found = sampled_softmax_loss(positions, torch.tensor(list(weights)), log_weights, smoothing=smoothing)
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_gbce_is_the_equation() -> None:
    """ArXiv 2308.07192, equation 10: -(log σ(s+)^β + sum log(1 - σ(s-))) / (k + 1)."""
    users, vectors, positions = case(3)
    negatives, beta = [0, 3, 4, 7], 0.3
    expected = []
    for b, t in PLACES:
        target = TARGETS[b][t]
        terms = [math.log(sigmoid(score(users, vectors, b, t, target)) ** beta)]
        for item in negatives:
            if item != target and item not in own(b, t):
                terms.append(math.log(1 - sigmoid(score(users, vectors, b, t, item))))
        expected.append(-sum(terms) / (len(negatives) + 1))
    found = gbce_loss(positions, torch.tensor(negatives), beta=beta)
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_beta_goes_from_one_to_the_sampling_rate() -> None:
    # 25 negatives of 101 items: α = 25 / 100. t = 0.5: 0.25 x (0.5 x (1 - 4) + 4) = 0.625.
    assert [gbce_beta(25, 101, t) for t in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.625, 0.25])
    # More negatives than items are all items: nothing to calibrate.
    assert gbce_beta(500, 101, 0.75) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "loss",
    [
        lambda positions: softmax_loss(positions, smoothing=0.1),
        lambda positions: sampled_softmax_loss(positions, torch.arange(ITEMS), torch.zeros(ITEMS), smoothing=0.1),
        lambda positions: gbce_loss(positions, torch.arange(ITEMS), beta=0.5),
    ],
)
def test_items_of_the_window_get_no_gradient(loss: Callable[[Positions], Tensor]) -> None:
    """One position of user 1, whose items are 2, 3, 4, 5 and 7; the target is 4."""
    vectors = torch.randn(ITEMS, 5, generator=torch.Generator().manual_seed(4), requires_grad=True)
    positions = Positions(torch.ones(1, 5), vectors, torch.tensor([4]), torch.tensor([[2, 3, 4, 5, 7]]))
    torch.autograd.backward(loss(positions).sum())
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()
    assert [item for item in range(ITEMS) if vectors.grad[item].abs().sum() > 0] == [0, 1, 4, 6]


# ---- candidates ----

HISTORIES = [[0, 1, 2], [2, 3, 4, 5, 7], [6, 0], [8], [9, 9, 9]]
BATCH = Batch(np.array(INPUTS), np.array(TARGETS), np.array([2, 4, 1]))


class Table(nn.Module):
    """The smallest recommender: a vector for each item, and a user is the sum of what they did so far."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(10, 5, generator=torch.Generator().manual_seed(5)))

    def forward(self, inputs: tuple[Tensor], sequences: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        vectors = self.vectors[inputs[0]]
        embedded = vectors[sequences.clamp(min=0)] * (sequences >= 0)[..., None]
        return vectors, embedded.cumsum(dim=1)


class Numbers:
    def gather(self, items: Tensor) -> tuple[Tensor]:
        return (items,)


def batch_loss(wanted: OptimisationConfig, group: Group = ALONE) -> tuple[float, Tensor]:
    """The loss of `BATCH` and the gradient of all item vectors; item 9 cannot be recommended."""
    network = Table()
    rankable = np.arange(10) < 9
    loss = BatchLoss(interactions_of(HISTORIES), rankable, wanted, device="cpu", group=group)
    found = loss(network, Numbers(), BATCH, np.random.default_rng(0))
    if found.requires_grad:
        torch.autograd.backward(found)
    gradient = network.vectors.grad
    return float(found.detach()), torch.zeros(10, 5) if gradient is None else gradient


def test_sampling_the_whole_catalogue_is_the_full_softmax() -> None:
    full, gradient = batch_loss(OptimisationConfig(loss="full"))
    sampled, other = batch_loss(OptimisationConfig(loss="sampled", negatives=100))
    assert sampled == pytest.approx(full, abs=1e-4)
    torch.testing.assert_close(other, gradient, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", list(LOSSES))
def test_what_cannot_be_recommended_never_competes(name: str) -> None:
    _, gradient = batch_loss(OptimisationConfig(loss=name))
    assert gradient[9].abs().sum() == 0
    assert gradient[:8].abs().sum(dim=1).min() > 0


@pytest.mark.parametrize("name", list(LOSSES))
def test_shares_of_a_batch_add_up_to_it(name: str) -> None:
    """Five processes for three rows: some have nothing to do."""
    wanted = OptimisationConfig(loss=name, negatives=3)
    whole, gradient = batch_loss(wanted)
    shares = [batch_loss(wanted, Fellow(rank)) for rank in range(5)]
    assert sum(loss for loss, _ in shares) == pytest.approx(whole, abs=1e-4)
    torch.testing.assert_close(sum(one for _, one in shares), gradient, atol=1e-5, rtol=1e-5)


class Fellow:
    """One of five processes that does not talk."""

    count = 5

    def __init__(self, rank: int) -> None:
        self.rank = rank

    add_up = from_main = None


def test_auto_is_full_for_a_small_catalogue_and_in_batch_for_a_large_one() -> None:
    def kind(items: int) -> str:
        catalogue = Catalogue(np.arange(items), np.ones(items, np.int64), "cpu")
        return type(LOSSES["auto"](catalogue, OptimisationConfig())).__name__

    assert (kind(5_000), kind(5_001)) == ("FullSoftmax", "InBatchSoftmax")


def test_temperature_divides_the_scores() -> None:
    """Half the temperature of inner products is twice the user's state."""
    network = Table()
    losses = []
    for temperature, factor in ((4.0, 2.0), (2.0, 1.0)):
        wanted = OptimisationConfig(loss="full", temperature=temperature)
        loss = BatchLoss(interactions_of(HISTORIES), np.ones(10, np.bool_), wanted, device="cpu", group=ALONE)
        scaled = Scaled(network, factor)
        losses.append(float(loss(scaled, Numbers(), BATCH, np.random.default_rng(0)).detach()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


class Scaled(nn.Module):
    """A network whose user states are longer."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network = network
        self.factor = factor

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        vectors, users = self.network(*inputs)
        return vectors, users * self.factor


@pytest.mark.parametrize("sampling", ["uniform", "popularity"])
def test_weighted_negatives_stand_for_the_catalogue(sampling: str) -> None:
    """The mean of 4,000 weighted sums is the sum over the catalogue, within five standard errors."""
    items, events = np.array([3, 4, 8, 9, 20]), np.array([0, 9, 2, 50, 1])
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    drawing, rng = SAMPLERS[sampling](items, events), np.random.default_rng(0)
    sums = []
    for _ in range(4_000):
        drawn = drawing.draw(3, rng)
        assert (np.diff(drawn.items) > 0).all()
        sums.append(np.exp(drawn.log_weights) @ values[np.searchsorted(items, drawn.items)])
    assert np.mean(sums) == pytest.approx(31.0, abs=5 * np.std(sums) / math.sqrt(4_000))


def test_popular_items_are_drawn_more_often() -> None:
    # Chances (9 + 1) / 20 and (4 + 1) / 20 and (4 + 1) / 20; 20,000 draws, five standard errors are below 0.02.
    drawing, rng = PopularitySampler(np.arange(3), np.array([9, 4, 4])), np.random.default_rng(0)
    counts = np.zeros(3)
    for _ in range(20_000):
        counts[drawing.draw(1, rng).items] += 1
    assert (counts / 20_000).tolist() == pytest.approx([0.5, 0.25, 0.25], abs=0.02)

import numpy as np
import pytest
import torch
from torch import Tensor

from model.config import UserEncoderConfig
from model.modules.interest_groups import GroupedUserEncoder, Router
from model.modules.user_encoder import UserEncoder

GROUPS, WIDTH = 3, 8


@pytest.fixture
def encoder() -> GroupedUserEncoder:
    torch.manual_seed(0)
    shared = UserEncoder(UserEncoderConfig(max_length=6, blocks=2, heads=2), WIDTH)
    return GroupedUserEncoder(shared, GROUPS).eval()


@pytest.fixture
def sequences() -> Tensor:
    return torch.randn(5, 6, GROUPS + GROUPS * WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def router() -> Router:
    router = Router((4, 6), components=3, groups=GROUPS)
    generator = torch.Generator().manual_seed(2)
    states = [torch.randn(40, 2, width, generator=generator) for width in router.widths]
    router.fit_basis(torch.ones(40, 2, dtype=torch.bool), states)
    router.centroids.copy_(torch.randn(GROUPS, 3, generator=generator))
    return router


def _states(count: int) -> list[Tensor]:
    return [torch.randn(count, 2, width) for width in (4, 6)]


def test_each_prefix_is_encoded_as_the_group_of_its_mean_sees_it(
    encoder: GroupedUserEncoder, sequences: Tensor
) -> None:
    """Against a loop: mean affinity of the real items so far, its best group, that group's slice alone."""
    lengths = torch.tensor([6, 4, 1, 3, 6])
    encoded = encoder(sequences, lengths)
    for user, length in enumerate(lengths.tolist()):
        for stop in range(6 - length + 1, 7):
            history = sequences[user, 6 - length : stop]
            group = int(history[:, :GROUPS].mean(dim=0).argmax())
            place = GROUPS + group * WIDTH
            expected = torch.zeros(GROUPS + GROUPS * WIDTH)
            # The shared encoder counts positions from the newest item of the whole sequence.
            whole = sequences[user : user + 1, 6 - length :, place : place + WIDTH]
            states = encoder.encoder(whole, torch.tensor([length]))
            expected[place : place + WIDTH] = states[0, len(history) - 1]
            torch.testing.assert_close(encoded[user, stop - 1], expected)


def test_last_is_the_last_of_all_prefixes(encoder: GroupedUserEncoder, sequences: Tensor) -> None:
    lengths = torch.tensor([6, 1, 4, 2, 6])
    torch.testing.assert_close(encoder.last(sequences, lengths), encoder(sequences, lengths)[:, -1])


def test_padding_does_not_route(encoder: GroupedUserEncoder, sequences: Tensor) -> None:
    """Padding that speaks loudly for another group changes nothing."""
    lengths = torch.tensor([2] * 5)
    loud = sequences.clone()
    loud[:, :4, :GROUPS] = torch.tensor([1e6, -1e6, 1e6])
    torch.testing.assert_close(encoder.last(loud, lengths), encoder.last(sequences[:, 4:], lengths))
    torch.testing.assert_close(encoder(loud, lengths)[:, 4:], encoder(sequences[:, 4:], lengths))


def test_highest_affinity_is_the_nearest_centroid_of_the_mean(router: Router) -> None:
    present = torch.rand(12, 2) < 0.7
    states = _states(12)
    components, affinities = router.components(present, states), router(present, states)
    for start in range(0, 12, 3):
        mean = components[start : start + 3].mean(dim=0)
        nearest = (router.centroids - mean).norm(dim=1).argmin()
        assert affinities[start : start + 3].mean(dim=0).argmax() == nearest


def test_what_is_absent_says_nothing(router: Router) -> None:
    present = torch.tensor([[True, False]])
    states, others = _states(1), _states(1)
    other = [states[0], others[1]]
    torch.testing.assert_close(router(present, states), router(present, other))


def test_components_are_those_of_a_slow_reference() -> None:
    """Standardised last states, each modality over √D_k; main axes from numpy's SVD, up to sign."""
    generator = torch.Generator().manual_seed(3)
    states = [torch.randn(30, 2, width, generator=generator) * 3 + 1 for width in (4, 5)]
    router = Router((4, 5), components=2, groups=2)
    present = torch.ones(30, 2, dtype=torch.bool)
    router.fit_basis(present, states)
    last = [part[:, -1].double().numpy() for part in states]
    joined = np.concatenate([(one - one.mean(0)) / one.std(0) / np.sqrt(one.shape[1]) for one in last], axis=1)
    axes = np.linalg.svd(joined, full_matrices=False)[2][:2]
    found = router.components(present, states).numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(joined @ axes.T), atol=1e-4)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-5)


def test_more_components_than_numbers_are_zero() -> None:
    router = Router((2,), components=5, groups=2)
    states = [torch.randn(9, 1, 2)]
    present = torch.ones(9, 1, dtype=torch.bool)
    router.fit_basis(present, states)
    assert router.components(present, states)[:, 2:].abs().max() == 0

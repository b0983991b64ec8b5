import numpy as np
import pytest

from app.recommendations.search.products import TILES_AT_ONCE, Multiplier, Products, fastest


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_products_and_maxima_are_those_of_plain_integers(kind: type[np.int8 | np.uint8]) -> None:
    rng = np.random.default_rng(0)
    multiplier = Multiplier.of(kind)
    if not multiplier.is_right:
        pytest.skip("this processor has no instructions for it, and it is never taken")
    tiles = TILES_AT_ONCE + 2
    codes = rng.integers(1, 256, (tiles, 16, 8, 20)).astype(np.uint8)
    users = rng.integers(-127, 128, (5, 20))
    expected = (codes.astype(int) - 128) @ users.T
    seen = 0
    for part in Products(codes, multiplier).parts(users):
        of_part = expected[part.first : part.first + len(part.maxima)]
        assert np.array_equal(part.products[..., :5], of_part)
        assert np.array_equal(part.maxima[..., :5], of_part.max(axis=1))
        block, user = np.array([0, 9]), np.array([4, 2])
        assert np.array_equal(part.of_blocks(block, user), [of_part[0, :, 0, 4], of_part[1, :, 1, 2]])
        seen += len(part.maxima)
    assert seen == tiles


def test_fewer_users_than_before_get_their_own_products() -> None:
    codes = np.full((1, 16, 8, 4), 129, np.uint8)
    products = Products(codes, fastest())
    next(products.parts(np.ones((16, 4))))
    part = next(products.parts(np.full((2, 4), 3)))
    assert (part.products[..., :2] == 12).all()


def test_what_overflows_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Multiplier, "is_right", property(lambda self: self.kind is np.uint8))
    assert fastest.__wrapped__().kind is np.uint8


def test_the_one_that_is_taken_is_right() -> None:
    assert fastest().is_right

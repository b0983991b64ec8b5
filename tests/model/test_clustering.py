import numpy as np

from model.clustering import k_means


def _heaps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three heaps of points, far from each other compared with their size."""
    rng = np.random.default_rng(seed)
    middles = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    return middles, np.concatenate([middle + 0.1 * rng.standard_normal((30, 2)) for middle in middles])


def test_centres_are_the_means_of_heaps() -> None:
    middles, points = _heaps(seed=1)
    centres = k_means(points, 3)
    means = points.reshape(3, 30, 2).mean(axis=1)
    order = [int(np.linalg.norm(centres - middle, axis=1).argmin()) for middle in middles]
    np.testing.assert_allclose(centres[order], means, atol=1e-9)


def test_the_same_seed_gives_the_same_centres() -> None:
    points = np.random.default_rng(0).standard_normal((50, 4))
    np.testing.assert_array_equal(k_means(points, 5, seed=3), k_means(points, 5, seed=3))


def test_every_centre_is_the_mean_of_what_is_nearest_to_it() -> None:
    points = np.random.default_rng(2).standard_normal((40, 3))
    centres = k_means(points, 4)
    nearest = np.array([np.linalg.norm(centres - point, axis=1).argmin() for point in points])
    for number in range(4):
        np.testing.assert_allclose(centres[number], points[nearest == number].mean(axis=0), atol=1e-9)


def test_fewer_points_than_centres_repeat() -> None:
    points = np.array([[1.0, 2.0], [1.0, 2.0]])
    np.testing.assert_array_equal(k_means(points, 3), np.array([[1.0, 2.0]] * 3))

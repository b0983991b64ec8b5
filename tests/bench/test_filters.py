import numpy as np

from bench import filters


def test_each_shape_is_compared_with_no_filter() -> None:
    bench = filters.Bench(filters.make_view(2_000, 4))
    rng = np.random.default_rng(0)
    for write in filters.SHAPES.values():
        found = filters.measure_shape(bench, write, rng, runs=3)
        assert found.keys() == {"repeated", "new"}
        assert all(figure.ratio > 0 and figure.floor > 0 and figure.runs == 3 for figure in found.values())

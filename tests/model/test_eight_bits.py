"""Products in 8 bits against the same arithmetic in numpy."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from model.eight_bits import LARGEST_WEIGHT, Range, input_names, quantise
from model.runtime import open_session

RANGE = Range(-1.0, 4.1)
"""A step is 5.1 / 255 = .02, so zero is at 50."""


def _network(nodes: list[onnx.NodeProto], **constants: NDArray[np.float32]) -> onnx.ModelProto:
    """From x [2, 3, 4] or [3, 4] to y."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)


def _run(network: onnx.ModelProto, x: NDArray[np.float32]) -> NDArray[np.float32]:
    (y,) = open_session(network.SerializeToString()).run(["y"], {"x": x})
    found: NDArray[np.float32] = y
    return found


def _expected(x: NDArray[np.float32], w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounds x to steps of .02, cut off at the ends of the range, and each column of w to 63 steps on either side."""
    steps = np.clip(np.rint(x / np.float32(0.02)), -50, 205)
    scales = np.abs(w).max(axis=0) / LARGEST_WEIGHT
    return (steps * 0.02) @ (np.rint(w / scales) * scales)


@pytest.fixture
def x() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(1.5, 3, (2, 3, 4)).astype(np.float32)


@pytest.fixture
def w() -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=(4, 5)) * [1, 10, 0.1, 1, 1]


def test_a_range_holds_zero_and_what_was_seen() -> None:
    seen = Range().with_values(np.array([0.5, 4.1], np.float32)).with_values(np.array([-1.0], np.float32))
    assert seen == pytest.approx(RANGE)
    assert (float(seen.scale), int(seen.zero_point)) == (pytest.approx(0.02), 50)
    assert (Range().scale, Range().zero_point) == (1.0, 0)


def test_a_product_and_its_bias_become_one_operator(x: NDArray[np.float32], w: NDArray[np.float64]) -> None:
    bias = np.arange(5.0)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["xw"]), helper.make_node("Add", ["xw", "b"], ["y"])]
    network = _network(nodes, w=w, b=bias)
    assert input_names(network) == ["x"]
    small = quantise(network, {"x": RANGE})
    assert [node.op_type for node in small.graph.node] == ["QuantizeLinear", "MatMulIntegerToFloat"]
    assert "w" not in {one.name for one in small.graph.initializer}
    assert (x > RANGE.largest).any()
    assert (x < RANGE.least).any()
    np.testing.assert_allclose(_run(small, x), _expected(x, w) + bias, atol=1e-4)


def test_a_product_with_a_transposed_matrix(x: NDArray[np.float32], w: NDArray[np.float64]) -> None:
    bias = np.arange(5.0)
    small = quantise(
        _network([helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)], w=w.T, b=bias), {"x": RANGE}
    )
    np.testing.assert_allclose(_run(small, x[0]), _expected(x[0], w) + bias, atol=1e-4)


def test_what_is_read_twice_stays_apart(x: NDArray[np.float32], w: NDArray[np.float64]) -> None:
    """The product is needed with and without its bias; x is rounded once for both products; a column is all zero."""
    w[:, 2] = 0
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"]),
        helper.make_node("Add", ["xw", "b"], ["biased"]),
        helper.make_node("Mul", ["xw", "biased"], ["square"]),
        helper.make_node("MatMul", ["x", "v"], ["xv"]),
        helper.make_node("Add", ["square", "xv"], ["y"]),
    ]
    small = quantise(_network(nodes, w=w, v=2 * w, b=np.ones(5)), {"x": RANGE})
    kinds = [node.op_type for node in small.graph.node]
    assert (kinds.count("QuantizeLinear"), kinds.count("MatMulIntegerToFloat"), kinds.count("Add")) == (1, 2, 2)
    w[:, 2] = 1  # only for the scale of `_expected`
    product = _expected(x, w) * [1, 1, 0, 1, 1]
    np.testing.assert_allclose(_run(small, x), product * (product + 1) + 2 * product, rtol=1e-4, atol=1e-3)


def test_products_of_two_activations_stay(x: NDArray[np.float32]) -> None:
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]), helper.make_node("MatMul", ["x", "t"], ["y"])]
    network = _network(nodes)
    assert input_names(network) == []
    np.testing.assert_array_equal(_run(quantise(network, {}), x), _run(network, x))


def test_gelu_is_by_tanh(x: NDArray[np.float32]) -> None:
    network = _network([helper.make_node("Gelu", ["x"], ["y"])])
    exact, found = _run(network, x), _run(quantise(network, {}), x)
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    np.testing.assert_allclose(found, 0.5 * x * (1 + np.tanh(inner)), atol=1e-6)
    assert 1e-6 < np.abs(found - exact).max() < 1e-3

"""Products with learned matrices in 8 bits, with scales that are fixed beforehand, in an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
"""Where the operator comes from that multiplies in 8 bits, scales and adds a bias at once."""
STEPS = 255
"""Between the least and the largest activation."""
LARGEST_WEIGHT = 63
"""Seven bits and not eight: processors without VNNI add two products in 16 bits, and 2 · 255 · 63 just fits."""


class Range(NamedTuple):
    """Where activations lie; zero always belongs to it, and stays zero in 8 bits."""

    least: float = 0.0
    largest: float = 0.0

    def with_values(self, values: NDArray[np.float32]) -> Range:
        """Returns the range of these values as well."""
        return Range(min(self.least, float(values.min())), max(self.largest, float(values.max())))

    @property
    def scale(self) -> np.float32:
        """The size of a step."""
        return np.float32((self.largest - self.least) / STEPS or 1.0)

    @property
    def zero_point(self) -> np.uint8:
        """What zero becomes."""
        return np.uint8(round(-self.least / float(self.scale)))


def input_names(network: ModelProto) -> list[str]:
    """Returns the activations that are to be in 8 bits, each once."""
    return list(dict.fromkeys(product.node.input[0] for product in _products(network.graph)))


def quantise(network: ModelProto, ranges: Mapping[str, Range]) -> ModelProto:
    """Returns a network whose products of matrices are computed in 8 bits.

    Args:
        network: as it is exported: its MatMul and Gemm nodes with a constant matrix, and the bias that is added to what
            they give, become one operator each.
        ranges: of each of `input_names`; what lies outside is cut off.
    """
    return _Rewriting(network, ranges).network()


class _Product(NamedTuple):
    """A product with a learned matrix, and the constant [n] that is added to it, as nodes of the old network."""

    node: NodeProto
    output: str
    bias: str

    @property
    def is_transposed(self) -> bool:
        """Whether the matrix is [n, k]."""
        return any(one.name == "transB" and one.i == 1 for one in self.node.attribute)


def _products(graph: GraphProto) -> list[_Product]:
    ranks = {one.name: len(one.dims) for one in graph.initializer}
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = []
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm") and ranks.get(node.input[1]) == 2:
            output, bias = node.output[0], "".join(node.input[2:])
            match readers.get(output):
                case [NodeProto(op_type="Add", input=[_, added]) as add] if not bias and ranks.get(added) == 1:
                    output, bias = add.output[0], added
            found.append(_Product(node, output, bias))
    return found


class _Rewriting:
    """Goes through the nodes of a network once and collects those of the new one."""

    def __init__(self, network: ModelProto, ranges: Mapping[str, Range]) -> None:
        self._old, self._ranges = network, ranges
        self._constants = {one.name: one for one in network.graph.initializer}
        self._nodes: list[NodeProto] = []
        self._in_8_bits: dict[str, list[str]] = {}
        """The names of an activation in 8 bits, of its scale and of its zero point, by its own name."""

    def network(self) -> ModelProto:
        """Returns the network in 8 bits."""
        old = self._old.graph
        products = {product.node.output[0]: product for product in _products(old)}
        added = {product.output for product in products.values()} - products.keys()
        for node in old.node:
            if product := products.get(node.output[0]):
                self._multiply(product)
            elif node.output[0] not in added:
                self._nodes.append(_gelu(node) if node.op_type == "Gelu" else node)
        used = {name for node in self._nodes for name in node.input}
        constants = [one for name, one in self._constants.items() if name in used]
        graph = helper.make_graph(self._nodes, old.name, old.input, old.output, constants)
        imports = [*self._old.opset_import, helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=self._old.ir_version)

    def _multiply(self, product: _Product) -> None:
        activation, scale, zero_point = self._quantised(product.node.input[0])
        matrix, column_scales = self._matrix(product)
        inputs = [activation, matrix, scale, column_scales, zero_point, "", product.bias]
        self._nodes.append(helper.make_node("MatMulIntegerToFloat", inputs, [product.output], domain=MICROSOFT))

    def _quantised(self, name: str) -> list[str]:
        if name not in self._in_8_bits:
            found = self._ranges[name]
            parameters = [
                self._constant(f"{name}.scale", found.scale),
                self._constant(f"{name}.zero", found.zero_point),
            ]
            self._in_8_bits[name] = [f"{name}.8_bits", *parameters]
            self._nodes.append(helper.make_node("QuantizeLinear", [name, *parameters], [f"{name}.8_bits"]))
        return self._in_8_bits[name]

    def _matrix(self, product: _Product) -> tuple[str, str]:
        """Adds a matrix [k, n] in 8 bits and the scales of its columns [n]; returns their names."""
        name = product.node.input[1]
        weights = numpy_helper.to_array(self._constants[name])
        weights = weights.T if product.is_transposed else weights
        largest = np.abs(weights).max(axis=0)
        scales = np.where(largest > 0, largest / LARGEST_WEIGHT, 1.0).astype(np.float32)
        rounded = np.rint(weights / scales).astype(np.int8)
        return self._constant(f"{name}.8_bits", rounded), self._constant(f"{name}.scales", scales)

    def _constant(self, name: str, value: Any) -> str:
        self._constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name


def _gelu(node: NodeProto) -> NodeProto:
    """Returns the cheaper GELU by tanh, whose error of .0005 is far below a step of 8 bits."""
    return helper.make_node("Gelu", node.input, node.output, approximate="tanh")

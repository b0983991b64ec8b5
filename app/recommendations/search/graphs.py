"""The ONNX graphs that score items and keep the best, and their runs over memory that is never copied."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 9
MICROSOFT = "com.microsoft"
BLOCK = 256
"""Scores that share one maximum: only the blocks of the highest maxima are looked at."""
USERS, ITEMS, COUNT, BLOCKS = "users", "items", "count", "blocks"
SCORES, MAXIMA, PRODUCTS = "scores", "maxima", "products"
ZERO = 128
"""What stands for zero in codes of type uint8."""
LEVELS = 127
"""Codes go up and down from zero by so many."""
TENSOR_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.uint8): TensorProto.UINT8,
}


def exact_graph() -> bytes:
    """Item vectors [c, d] and users [d, b] → values and rows [b, count] of each user's highest scores.

    In this order, and not users x items, ONNX Runtime reads the rows as they lie and packs only the few users. The
    highest lie in the `blocks` blocks of the highest maxima, for each of the others has that many rows before it.
    """
    node = helper.make_node
    nodes = [
        node("MatMul", [ITEMS, USERS], ["products"]),
        node("Transpose", ["products"], [SCORES], perm=[1, 0]),
        *_maxima(),
        node("TopK", [MAXIMA, BLOCKS], ["highest", "block"]),
        node("Unsqueeze", ["block", "last"], ["block_index"]),
        node("GatherND", ["blocked", "block_index"], ["kept"], batch_dims=1),
        node("Reshape", ["kept", "flat"], ["candidates"]),
        node("TopK", ["candidates", COUNT], ["values", "place"]),
        node("Div", ["place", "block_size"], ["rank"]),
        node("Mod", ["place", "block_size"], ["offset"]),
        node("GatherElements", ["block", "rank"], ["hit"], axis=1),
        node("Mul", ["hit", "block_size"], ["start"]),
        node("Add", ["start", "offset"], ["rows"]),
    ]
    inputs = [
        _tensor(ITEMS, np.float32, "c", "d"),
        _tensor(USERS, np.float32, "d", "b"),
        _tensor(COUNT, np.int64, 1),
        _tensor(BLOCKS, np.int64, 1),
    ]
    outputs = [_tensor("values", np.float32, "b", "k"), _tensor("rows", np.int64, "b", "k")]
    return _model(nodes, inputs, outputs, {"flat": np.array([0, -1]), "block_size": np.array(BLOCK)})


def quantised_graph(codes: NDArray[np.uint8], scales: NDArray[np.float32], width: int) -> bytes:
    """Users [b, d] → scores [b, c] and maxima of their blocks [b, c / block size], from 8-bit codes.

    ONNX Runtime rounds the users to 8 bits too, and multiplies integers.

    Args:
        codes: of the items, 128 for zero [c, d / columns, columns].
        scales: of each block of columns [c, d / columns].
        width: d.
    """
    matmul = helper.make_node(
        "MatMulNBits",
        [USERS, "codes", "scales"],
        [SCORES],
        domain=MICROSOFT,
        K=width,
        N=len(codes),
        bits=8,
        block_size=codes.shape[2],
        accuracy_level=4,
    )
    constants: dict[str, NDArray[Any]] = {"codes": codes, "scales": scales.reshape(-1)}
    outputs = [_tensor(SCORES, np.float32, "b", len(codes)), _tensor(MAXIMA, np.float32, "b", len(codes) // BLOCK)]
    return _model([matmul, *_maxima()], [_tensor(USERS, np.float32, "b", width)], outputs, constants)


def product_graph(kind: type[np.int8 | np.uint8]) -> bytes:
    """Codes [c, d] and users [d, b] → products [c, b], in whole numbers; in uint8 128 stands for zero."""
    zeros = {"zero": np.array(ZERO, np.uint8), "zero_of_users": np.array(ZERO if kind is np.uint8 else 0, kind)}
    node = helper.make_node("MatMulInteger", [ITEMS, USERS, *zeros], [PRODUCTS])
    inputs = [_tensor(ITEMS, np.uint8, "c", "d"), _tensor(USERS, kind, "d", "b")]
    return _model([node], inputs, [_tensor(PRODUCTS, np.int32, "c", "b")], zeros)


def _maxima() -> list[NodeProto]:
    """Scores [b, c], c a multiple of `BLOCK` → in blocks [b, c / BLOCK, BLOCK], and the maximum of each."""
    return [
        helper.make_node("Reshape", [SCORES, "by_block"], ["blocked"]),
        helper.make_node("ReduceMax", ["blocked", "last"], [MAXIMA], keepdims=0),
    ]


def _tensor(name: str, kind: Any, *shape: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TENSOR_TYPES[np.dtype(kind)], shape)


def _model(
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    constants: Mapping[str, NDArray[Any]],
) -> bytes:
    known = {"by_block": np.array([0, -1, BLOCK]), "last": np.array([2]), **constants}
    used = {name for node in nodes for name in node.input}
    initializers = [numpy_helper.from_array(value, name) for name, value in known.items() if name in used]
    graph = helper.make_graph(nodes, "search", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
    return model


def open_graph(model: bytes) -> ort.InferenceSession:
    """A session that any number of threads may run at once.

    One thread computes each run: requests run beside each other, and where memory is the limit two hardly help one.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # Python's part of it would keep the constants a second time, for a change of providers.
    session._model_bytes = b""
    return session

"""Change ONNX graphs: replace what ONNX does not have, and store the weights in half the space."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

Nodes = list[NodeProto]

LARGE = 1024  # numbers in a weight that is worth storing in less space
SAME = 1e-6  # difference of equal weights, as a share of the largest


def replace_unknown(graph: GraphProto) -> None:
    """Replace in place the operations of TensorFlow that the converter leaves in a graph; see REPLACEMENTS."""
    nodes = [REPLACEMENTS[node.op_type](node) if node.op_type in REPLACEMENTS else [node] for node in graph.node]
    _set(graph.node, [node for several in nodes for node in several])
    _repair_stitches(graph)


def _repair_stitches(graph: GraphProto) -> None:
    """Make the shapes that gradients stitch together as long as their largest index says.

    The converter makes them as long as all parts, though parts overlap (a shape, and the 1 of its reduced axes).
    """
    made_by = {output: node for node in graph.node for output in node.output}
    nodes: Nodes = []
    for node in graph.node:
        zeros = made_by.get(node.input[0]) if node.op_type == "ScatterElements" else None
        if zeros is not None and zeros.op_type == "ConstantOfShape":
            last, one, size, start = (f"{node.name}/{part}" for part in ("last", "one", "size", "start"))
            nodes.append(helper.make_node("ReduceMax", [node.input[1]], [last], keepdims=1))
            nodes.append(helper.make_node("Constant", [], [one], value_ints=[1]))
            nodes.append(helper.make_node("Add", [last, one], [size]))
            nodes.append(helper.make_node("ConstantOfShape", [size], [start]))
            nodes[-1].attribute.extend(zeros.attribute)
            node.input[0] = start
        nodes.append(node)
    _set(graph.node, nodes)


def halve_weights(graph: GraphProto, originals: Sequence[np.ndarray]) -> None:
    """Store weights that float16 can hold in float16, in place, without a loss.

    `originals` are the weights of the Keras model. The converter multiplies the kernels by the scale of the batch norm
    after them, so a kernel is stored as an original and the scale of each output. Other weights stay as they are. A
    matrix that is another one transposed, as in a gradient, is stored once.
    """
    halves = [layout for each in originals for layout in _layouts(each) if each.size >= LARGE and _fits_half(each)]
    nodes, constants = [], []
    known: dict[bytes, str] = {}
    for constant in graph.initializer:
        weights, name = numpy_helper.to_array(constant), constant.name
        if weights.dtype != np.float32 or weights.ndim not in (2, 4) or weights.size < LARGE:
            constants.append(constant)
        elif weights.ndim == 2 and (twin := known.get(weights.T.tobytes())):
            nodes.append(helper.make_node("Transpose", [twin], [name], perm=[1, 0]))
        elif (found := _as_scaled(weights, halves)) is None:
            constants.append(constant)
        else:
            known[weights.tobytes()] = name
            half, factor, whole = f"{name}/half", f"{name}/factor", f"{name}/whole"
            constants.append(numpy_helper.from_array(np.ascontiguousarray(found[0], np.float16), half))
            constants.append(numpy_helper.from_array(found[1], factor))
            nodes.append(helper.make_node("Cast", [half], [whole], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [whole, factor], [name]))
    _set(graph.initializer, constants)
    _set(graph.node, nodes + list(graph.node))


def _fits_half(weights: np.ndarray) -> bool:
    with np.errstate(over="ignore"):
        return np.array_equal(weights.astype(np.float16).astype(np.float32), weights)


def _layouts(weights: np.ndarray) -> list[np.ndarray]:
    """Return a Keras weight in the layouts that ONNX may have it in: the last axis of a kernel comes first."""
    return [weights.transpose(3, 2, 0, 1), weights.transpose(2, 3, 0, 1)] if weights.ndim == 4 else [weights]


def _as_scaled(weights: np.ndarray, halves: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return one of `halves` and a factor for each output whose product are the weights; None if none fits."""
    inputs = (0,) if weights.ndim == 2 else (1, 2, 3)  # axes
    for half in halves:
        if half.shape == weights.shape:
            squares = np.square(half, dtype=np.float64).sum(inputs, keepdims=True)
            products = np.multiply(weights, half, dtype=np.float64).sum(inputs, keepdims=True)
            factor = products / np.maximum(squares, np.finfo(np.float64).tiny)
            if np.abs(weights - half * factor).max() <= SAME * np.abs(weights).max():
                return half, factor.astype(np.float32)
    return None


def _set(repeated: Any, items: Sequence[Any]) -> None:
    items = list(items)
    del repeated[:]
    repeated.extend(items)


def _constant(value: float, name: str) -> NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(value, np.float32), name))


def _erfc(node: NodeProto) -> Nodes:
    """1 - erf(x); TensorFlow uses erfc for gelu."""
    one, erf = f"{node.name}/one", f"{node.name}/erf"
    return [
        _constant(1, one),
        helper.make_node("Erf", node.input, [erf]),
        helper.make_node("Sub", [one, erf], node.output),
    ]


def _relu_gradient(node: NodeProto) -> Nodes:
    """The gradient where the (leaky) ReLU is above 0, and alpha times it elsewhere."""
    alpha = next((attribute.f for attribute in node.attribute if attribute.name == "alpha"), 0.0)
    gradient, features = node.input
    zero, slope, above, lower = (f"{node.name}/{part}" for part in ("zero", "slope", "above", "lower"))
    return [
        _constant(0, zero),
        _constant(alpha, slope),
        helper.make_node("Greater", [features, zero], [above]),
        helper.make_node("Mul", [gradient, slope], [lower]),
        helper.make_node("Where", [above, gradient, lower], node.output),
    ]


def _max_pool_gradient(node: NodeProto) -> Nodes:
    """The gradient at each window's maximum; for windows that do not overlap, else the node stays unknown."""
    about = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    size, padding = about["ksize"][1:3], about["padding"].decode()
    if about["strides"][1:3] != size or about["data_format"] != b"NHWC" or padding not in ("SAME", "VALID"):
        return [node]
    x, _, gradient = node.input
    parts = ("x", "pooled", "places", "gradient", "shape", "result")
    first, pooled, places, channels_first, shape, result = (f"{node.name}/{part}" for part in parts)
    windows = {"kernel_shape": size, "strides": size}
    padding = {"SAME": "SAME_UPPER"}.get(padding, padding)
    return [
        helper.make_node("Transpose", [x], [first], perm=[0, 3, 1, 2]),
        helper.make_node("MaxPool", [first], [pooled, places], auto_pad=padding, **windows),
        helper.make_node("Transpose", [gradient], [channels_first], perm=[0, 3, 1, 2]),
        helper.make_node("Shape", [first], [shape]),
        helper.make_node("MaxUnpool", [channels_first, places, shape], [result], **windows),
        helper.make_node("Transpose", [result], node.output, perm=[0, 2, 3, 1]),
    ]


REPLACEMENTS: dict[str, Callable[[NodeProto], Nodes]] = {
    "Erfc": _erfc,
    "ReluGrad": _relu_gradient,
    "LeakyReluGrad": _relu_gradient,
    "MaxPoolGrad": _max_pool_gradient,
}

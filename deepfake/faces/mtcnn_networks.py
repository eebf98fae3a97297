"""Build the three networks of MTCNN as ONNX graphs from the weights in the `mtcnn` package.

Zhang et al. 2016, Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks.
"""

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime

from deepfake.faces import onnx_format

# ONNX Runtime pools blocks of 16 channels; other numbers would have to be reordered first
BLOCK = 16


@dataclass(frozen=True)
class Pool:
    """Max pooling with stride 2."""

    size: int
    padding: str = "SAME_UPPER"


@dataclass(frozen=True)
class Layout:
    """Layout of a network: the pooling after each convolution, the side of the input, and the type of the heads."""

    pools: tuple[Pool | None, ...]
    side: int | None  # None: any size
    dense: bool  # a dense layer and dense heads, else convolutional heads


LAYOUTS = {
    "pnet": Layout((Pool(2), None, None), side=None, dense=False),
    "rnet": Layout((Pool(3), Pool(3, "VALID"), None), side=24, dense=True),
    "onet": Layout((Pool(3), Pool(3, "VALID"), Pool(2), None), side=48, dense=True),
}


class Graph:
    """Builder of an ONNX graph: collects nodes and constants."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(onnx_format.tensor(name, array))
        return name

    def add(self, operator: str, *inputs: str | np.ndarray, outputs: int = 1, **attributes: Any) -> list[str]:
        """Add a node whose inputs are names or constants; returns the names of its outputs."""
        names = [item if isinstance(item, str) else self.constant(item) for item in inputs]
        results = [f"value{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(onnx_format.node(operator, names, results, attributes))
        return results


def load_network(name: str) -> onnxruntime.InferenceSession:
    """Load one of the networks in `LAYOUTS`, to run on one CPU core.

    Input: N x H x W x 3 uint8 RGB. Output: float32, N x 5 x h x w for pnet, N x 5 for rnet, N x 15 for onet. It holds
    the box's offsets (4), for onet the landmarks (5 x, 5 y), and the logit of a face.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(build_network(name), options, providers=["CPUExecutionProvider"])


def build_network(name: str) -> bytes:
    """Build the ONNX model of a network in `LAYOUTS`."""
    layout, graph, weights = LAYOUTS[name], Graph(), _read_weights(name)
    (x,) = graph.add("Transpose", "pixels", perm=[0, 3, 1, 2])
    (x,) = graph.add("Cast", x, to=onnx_format.FLOAT)
    for number, pool in enumerate(layout.pools):
        kernel, bias, slope = weights.pop(0).transpose(3, 2, 0, 1), weights.pop(0), weights.pop(0).reshape(-1, 1, 1)
        layer = _first_layer if number == 0 else _layer
        x = layer(graph, x, kernel, bias, slope, pool)
    if layout.dense:
        (x,) = graph.add("Flatten", x)
        (x,) = graph.add("Gemm", x, _channels_first(weights.pop(0), len(bias)), weights.pop(0))
        (x,) = graph.add("PRelu", x, weights.pop(0))
    kernel, bias = _join_heads(weights)
    if layout.dense:
        (x,) = graph.add("Gemm", x, kernel, bias)
    else:
        (x,) = graph.add("Conv", x, kernel.transpose(3, 2, 0, 1), bias)
    shape = ["n", layout.side or "height", layout.side or "width", 3]
    pixels = onnx_format.value("pixels", onnx_format.UINT8, shape)
    heads = onnx_format.value(x, onnx_format.FLOAT, ["n", len(bias), *(() if layout.dense else ("rows", "columns"))])
    return onnx_format.model(name, graph.nodes, graph.constants, [pixels], [heads])


def _read_weights(name: str) -> list[np.ndarray]:
    # do not import the package: that would load TensorFlow in every worker
    (package,) = importlib.util.find_spec("mtcnn").submodule_search_locations  # type: ignore[union-attr, misc]
    weights = joblib.load(Path(package, "assets", "weights", f"{name}.lz4"))
    return [np.asarray(array, np.float32) for array in weights]


def _layer(graph: Graph, x: str, kernel: np.ndarray, bias: np.ndarray, slope: np.ndarray, pool: Pool | None) -> str:
    """Convolution, PReLU and pooling; PReLU is max(x, slope * x), which is four times as fast in ONNX Runtime."""
    (x,) = graph.add("Conv", x, kernel, bias)
    assert slope.max() <= 1
    (x,) = graph.add("Max", x, *graph.add("Mul", x, slope))
    return _pool(graph, x, pool)


def _first_layer(
    graph: Graph, x: str, kernel: np.ndarray, bias: np.ndarray, slope: np.ndarray, pool: Pool | None
) -> str:
    """As `_layer` for pixels from 0 to 255, but with PReLU's maximum after the pooling.

    The first layer has large images and few channels, so computing slope * x as extra channels is cheaper than PReLU
    over all pixels.
    """
    kernel, bias = kernel / 128, bias - kernel.sum((1, 2, 3)) * 127.5 / 128  # (pixels - 127.5) / 128
    count, padding = len(bias), -2 * len(bias) % BLOCK
    factors = np.concatenate([np.ones(count), np.minimum(slope.ravel(), 1), np.zeros(padding)]).astype(np.float32)
    channels = [*range(count), *range(count), *[0] * padding]
    (x,) = graph.add("Conv", x, kernel[channels] * factors[:, None, None, None], bias[channels] * factors)
    x = _pool(graph, x, pool)
    first, second, _ = graph.add("Split", x, np.array([count, count, padding]), outputs=3, axis=1)
    (x,) = graph.add("Max", first, second)
    if slope.max() > 1:  # for slopes over 1 PReLU is the minimum; others are not affected
        (x,) = graph.add("Min", x, *graph.add("Mul", x, np.maximum(slope, 1)))
    return x


def _pool(graph: Graph, x: str, pool: Pool | None) -> str:
    if pool is None:
        return x
    return graph.add("MaxPool", x, kernel_shape=[pool.size] * 2, strides=[2, 2], auto_pad=pool.padding)[0]


def _channels_first(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Reorder a dense kernel for inputs of width x height x channels to channels x height x width."""
    side = math.isqrt(len(kernel) // channels)
    return kernel.reshape(side, side, channels, -1).transpose(2, 1, 0, 3).reshape(len(kernel), -1)


def _join_heads(weights: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Join all heads into one layer; the softmax over (no face, face) becomes a logit, the difference of the two."""
    *heads, no_face_or_face = zip(weights[::2], weights[1::2], strict=True)
    heads.append(tuple(array[..., 1:] - array[..., :1] for array in no_face_or_face))
    kernels, biases = zip(*heads, strict=True)
    return np.concatenate(kernels, axis=-1), np.concatenate(biases, axis=-1)

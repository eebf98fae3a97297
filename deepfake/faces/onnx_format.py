"""Write an ONNX graph as bytes, so that a scan needs ONNX Runtime but not the larger `onnx` package.

A message of ONNX is a list of numbered fields in the wire format of Protocol Buffers. The numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np

IR_VERSION, OPSET = 9, 17

FLOAT, UINT8 = 1, 2  # element types
TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.uint8): UINT8, np.dtype(np.int64): 7}

Value = int | float | str | bytes | Sequence["Value"]


def message(fields: Mapping[int, Value]) -> bytes:
    """Encode a message from its fields by number: integers, floats, texts, other messages, or sequences of these."""
    return b"".join(_field(number, value) for number, value in fields.items())


def _field(number: int, value: Value) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, str | bytes):
        data = value.encode() if isinstance(value, str) else value
        return _varint(number << 3 | 2) + _varint(len(data)) + data
    return b"".join(_field(number, item) for item in value)


def _varint(value: int) -> bytes:
    """Encode a non-negative integer, seven bits a byte, the lowest first."""
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def tensor(name: str, array: np.ndarray) -> bytes:
    """Encode a constant, float32, uint8 or int64."""
    return message({1: array.shape, 2: TYPES[array.dtype], 8: name, 9: array.tobytes()})


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Value]) -> bytes:
    """Encode a node; attributes are integers, texts, or lists of integers."""
    encoded = []
    for name, value in attributes.items():
        field, kind = (3, 2) if isinstance(value, int) else (4, 3) if isinstance(value, str) else (8, 7)
        encoded.append(message({1: name, field: value, 20: kind}))
    return message({1: inputs, 2: outputs, 4: operator, 5: encoded})


def value(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    """Encode an input or output of a graph; a text in the shape names a size that can differ from call to call."""
    sizes = [message({1 if isinstance(size, int) else 2: size}) for size in shape]
    return message({1: name, 2: message({1: message({1: kind, 2: message({1: sizes})})})})


def model(
    name: str, nodes: Sequence[bytes], constants: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]
) -> bytes:
    """Encode a graph as an ONNX model."""
    graph = message({1: nodes, 2: name, 5: constants, 11: inputs, 12: outputs})
    return message({1: IR_VERSION, 7: graph, 8: message({2: OPSET})})

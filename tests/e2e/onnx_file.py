"""What the demo reads of an ONNX file, which is a protobuf message: operator set and weights."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

# Numbers of fields in the messages of onnx.proto.
_MODEL_GRAPH, _MODEL_OPSET, _OPSET_VERSION = 7, 8, 2
_GRAPH_NODE, _GRAPH_TENSOR = 1, 5
_NODE_OUTPUT, _NODE_ATTRIBUTE = 2, 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 5, 6
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT = 1  # of TensorProto.DataType
_FIXED_SIZES = {1: 8, 5: 4}  # bytes, by wire type
_BYTES = 2
Named = tuple[str, npt.NDArray[np.float32]]


def opset(model: Path) -> int:
    """The operator set version that the file asks for."""
    for number, value in _fields(memoryview(model.read_bytes())):
        if number == _MODEL_OPSET:
            return int(dict(_fields(value))[_OPSET_VERSION])
    raise SystemExit(f"{model} states no operator set.")


def tensors(model: Path) -> Iterator[Named]:
    """Every tensor of floats with its name, those in branches as well."""
    for number, value in _fields(memoryview(model.read_bytes())):
        if number == _MODEL_GRAPH:
            yield from _of_graph(value)


def _of_graph(graph: memoryview) -> Iterator[Named]:
    for number, value in _fields(graph):
        if number == _GRAPH_TENSOR:
            yield from _of_tensor(value, "")
        elif number == _GRAPH_NODE:
            yield from _of_node(value)


def _of_node(node: memoryview) -> Iterator[Named]:
    parts = list(_fields(node))
    # A constant goes by the name of what its node puts out.
    name = next((bytes(value).decode() for number, value in parts if number == _NODE_OUTPUT), "")
    for attribute in (value for number, value in parts if number == _NODE_ATTRIBUTE):
        for number, value in _fields(attribute):
            if number == _ATTRIBUTE_GRAPH:
                yield from _of_graph(value)
            elif number == _ATTRIBUTE_TENSOR:
                yield from _of_tensor(value, name)


def _of_tensor(raw: memoryview, name: str) -> Iterator[Named]:
    parts = list(_fields(raw))
    fields = dict(parts)
    if fields.get(_TENSOR_TYPE) == _FLOAT and _TENSOR_RAW in fields:
        shape = [value for number, value in parts if number == _TENSOR_SHAPE]
        named = name or bytes(fields[_TENSOR_NAME]).decode()
        yield named, np.frombuffer(fields[_TENSOR_RAW], np.float32).reshape(shape)


def _fields(raw: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Fields of a message by number: numbers as such, all else as bytes."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(raw, at)
            yield tag >> 3, value
            continue
        size = _FIXED_SIZES.get(kind, 0)
        if kind == _BYTES:
            size, at = _varint(raw, at)
        yield tag >> 3, raw[at : at + size]
        at += size


def _varint(raw: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at

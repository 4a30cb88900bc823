"""Small files of every format that is looked into, made byte by byte."""

import io
import json
import pickle
import struct
import zipfile
from typing import Any


class Call:
    """Pickles as a call of something, as an attack would: nothing here ever loads it."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


def dangerous_pickle(protocol: int = 4) -> bytes:
    """A pickle that would run a command if it were loaded."""
    import os  # noqa: PLC0415 - only its name goes into the pickle

    return pickle.dumps(Call(os.system, "true"), protocol)


def safetensors(tensors: dict[str, Any] | None = None, content: bytes = bytes(24)) -> bytes:
    """A safetensors file with this header and these bytes behind it."""
    if tensors is None:
        tensors = {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
            "b": {"dtype": "F16", "shape": [4], "data_offsets": [16, 24]},
        }
    return safetensors_of(json.dumps(tensors).encode(), content)


def safetensors_of(header: bytes, content: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + content


def gguf(version: int = 3, offset: int = 0) -> bytes:
    """A GGUF file with one tensor of 2 x 3 and some metadata."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    entries = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("general.file_type") + struct.pack("<II", 4, 15),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
        text("tokenizer.ggml.scores") + struct.pack("<IIQ2f", 9, 6, 2, 0.0, 1.0),
    ]
    tensor = text("w") + struct.pack("<IQQIQ", 2, 2, 3, 12, offset)
    header = b"GGUF" + struct.pack("<IQQ", version, 1, len(entries)) + b"".join(entries) + tensor
    return header + bytes(-len(header) % 32) + bytes(32)


def varint(number: int) -> bytes:
    content = b""
    while number > 0x7F:
        content += bytes([number & 0x7F | 0x80])
        number >>= 7
    return content + bytes([number])


def field(number: int, value: int | bytes) -> bytes:
    """One protobuf field: a varint or a length-delimited one."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx(*, external: bool = False) -> bytes:
    """An ONNX file: one initializer of 2 x 3, a weight as a constant, a quantised operator."""
    weight = field(1, 2) + field(1, 3) + field(2, 1) + field(8, b"w") + field(9, bytes(24))
    weight += field(14, 1) if external else b""
    constant = field(1, varint(4)) + field(2, 10) + field(9, bytes(8))
    scalar = field(2, 1) + field(9, bytes(4))
    nodes = [
        field(4, b"Constant") + field(5, field(1, b"value") + field(5, constant)),
        field(4, b"Constant") + field(5, field(1, b"value") + field(5, scalar)),
        field(1, b"x") + field(4, b"MatMulInteger"),
    ]
    graph = b"".join(field(1, node) for node in nodes)
    graph += field(5, weight)
    graph += field(11, field(1, b"x")) + field(11, field(1, b"w")) + field(12, field(1, b"y"))
    opset = field(8, field(2, 17))
    return field(1, 8) + field(2, b"pytorch") + field(3, b"2.9") + field(7, graph) + opset


def torch(content: bytes, *, packing: int = zipfile.ZIP_STORED, name: str = "m/data.pkl") -> bytes:
    """What `torch.save` writes since version 1.6, with this pickle in it."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", packing) as archive:
        for path, body in ((name, content), ("m/byteorder", b"little"), ("m/data/0", bytes(64))):
            entry = zipfile.ZipInfo(path)  # of 1980, so that the same bytes are tried each time
            entry.compress_type = packing
            archive.writestr(entry, body)
    return written.getvalue()


def npy(descr: str, shape: str, content: bytes) -> bytes:
    """An array file of version 1.0."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content

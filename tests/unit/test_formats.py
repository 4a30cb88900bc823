"""Headers of safetensors, GGUF, ONNX and NumPy files."""

import json
import struct

import pytest
from support import model_files

from modelkeep.domain.formats import facts, numbers, reading, safetensors, source


def read(content: bytes) -> facts.Facts:
    return reading.read(source.Memory(content), content[: reading.HEAD_BYTES])


def test_safetensors_headers_are_told() -> None:
    found = read(model_files.safetensors())
    assert found == facts.Facts(
        format="safetensors",
        tensor_count=2,
        parameter_count=8,
        dtypes=("F16", "F32"),
        metadata={"format": "pt"},
    )


def tensor(start: int, end: int, dtype: str = "U8", shape: object = None) -> dict[str, object]:
    return {
        "dtype": dtype,
        "shape": [end - start] if shape is None else shape,
        "data_offsets": [start, end],
    }


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ({"a": tensor(0, 16), "b": tensor(15, 24)}, "two tensors overlap"),
        ({"a": tensor(0, 16), "b": tensor(17, 24)}, "two tensors have a hole between them"),
        ({"a": tensor(0, 25)}, "a tensor's offsets are beyond the file or turned around"),
        ({"a": tensor(0, 23)}, "1 bytes of it belong to no tensor"),
        ({"a": tensor(0, 24, "F32")}, "a tensor's shape and dtype do not fit its offsets"),
        ({"a": tensor(0, 24, shape=[-24])}, "a tensor's shape or offsets are not whole numbers"),
        ({"a": tensor(0, 24, shape=[True])}, "a tensor's shape or offsets are not whole numbers"),
        ({"a": {"dtype": "U8"}}, "a tensor lacks its dtype, shape or data_offsets"),
        ({"a": []}, "a tensor lacks its dtype, shape or data_offsets"),
        ({"a": tensor(0, 24), "__metadata__": {"a": 1}}, "__metadata__ has a value"),
        ({"a": tensor(0, 24, "X", [2**62, 4])}, "it counts more elements than can be"),
    ],
)
def test_broken_safetensors_are_refused(header: dict[str, object], problem: str) -> None:
    found = read(model_files.safetensors(header))
    assert found.format == "safetensors"
    assert found.problem.startswith(problem)
    assert found.tensor_count is None


def test_a_safetensors_header_with_a_key_twice_is_refused() -> None:
    entry = json.dumps(tensor(0, 24))
    header = f'{{"a": {entry}, "a": {entry}}}'.encode()
    assert read(model_files.safetensors_of(header, bytes(24))).problem.endswith("a key twice")


def test_a_safetensors_header_deeper_than_the_stack_is_refused() -> None:
    header = b'{"a":' * 100_000
    assert read(model_files.safetensors_of(header, b"")).problem == "its header is not JSON"


def test_a_safetensors_header_that_is_too_long_is_not_read() -> None:
    class Huge:
        size_bytes = 2 * safetensors.READ_HEADER_BYTES

        def read(self, offset: int, length: int) -> bytes:
            assert offset + length <= source.MIB
            return bytes(length)

    head = (safetensors.READ_HEADER_BYTES + 1).to_bytes(8, "little") + b"{" + bytes(64)
    assert "8,388,609 bytes" in reading.read(Huge(), head).problem


@pytest.mark.parametrize("version", [2, 3])
def test_gguf_headers_are_told(version: int) -> None:
    found = read(model_files.gguf(version))
    assert (found.format, found.problem) == ("gguf", "")
    assert (found.tensor_count, found.parameter_count, found.dtypes) == (1, 6, ("Q4_K",))
    assert (found.architecture, found.quantisation) == ("llama", "Q4_K_M")
    assert found.metadata["general.architecture"] == "llama"
    assert "tokenizer.ggml.tokens" not in found.metadata


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (model_files.gguf(4), "it is not of version 2 or 3, or it is big-endian"),
        (model_files.gguf(1 << 24 | 3), "it is not of version 2 or 3, or it is big-endian"),
        (model_files.gguf(offset=32), "a tensor begins beyond the end of the file"),
        (model_files.gguf()[:100], "it ends where"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 1), "it states 9,223,372,036,854,775,808 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + b"\xff" * 8, "a name has"),
        (
            b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 8, 2**40),
            "its arrays are too long or too deep",
        ),
        (
            b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 9) + struct.pack("<IQ", 9, 1) * 9,
            "its arrays are too long or too deep",
        ),
    ],
)
def test_broken_gguf_is_refused(content: bytes, problem: str) -> None:
    found = read(content)
    assert found.format == "gguf"
    assert found.problem.startswith(problem)


def test_onnx_graphs_are_told() -> None:
    found = read(model_files.onnx())
    assert found == facts.Facts(
        format="onnx",
        tensor_count=2,
        parameter_count=10,
        dtypes=("FLOAT", "FLOAT16"),
        quantisation="MatMulInteger",
        opset=17,
        inputs=("x",),
        outputs=("y",),
        metadata={"ir_version": "8", "producer": "pytorch", "producer_version": "2.9"},
    )
    assert read(model_files.onnx(external=True)).external


def test_an_onnx_graph_that_breaks_off_is_refused_and_other_messages_are_not_onnx() -> None:
    whole = model_files.onnx()
    moved = whole[:2] + model_files.field(8, model_files.field(2, 17)) + whole[2:]
    assert read(moved[:-8]).problem == "a field is longer than the message around it"
    other = model_files.field(1, 1) + model_files.field(2, b"a saved model of another kind")
    assert read(other) == facts.Facts()


def test_graphs_within_graphs_are_counted_and_bounded() -> None:
    inner = model_files.field(5, model_files.field(1, 3) + model_files.field(2, 1))
    for _ in range(3):
        inner = model_files.field(1, model_files.field(5, model_files.field(6, inner)))
    opset = model_files.field(8, model_files.field(2, 17))
    content = model_files.field(1, 8) + opset + model_files.field(7, inner)
    assert read(content).parameter_count == 3
    for _ in range(30):
        inner = model_files.field(1, model_files.field(5, model_files.field(6, inner)))
    content = model_files.field(1, 8) + opset + model_files.field(7, inner)
    assert "deep" in read(content).problem


def test_arrays_are_told() -> None:
    found = read(model_files.npy("'<f4'", "(2, 3)", bytes(24)))
    assert (found.format, found.dtypes, found.parameter_count) == ("npy", ("<f4",), 6)
    assert not found.pickle.found


def test_what_is_told_is_short_and_printable() -> None:
    header = {"__metadata__": {f"k{n}\x00": "v\x1b" * 500 for n in range(99)}}
    found = read(model_files.safetensors(header, b""))
    assert len(found.metadata) == numbers.ENTRIES
    for text in (*found.metadata, *found.metadata.values()):
        assert len(text) <= numbers.TEXT_CHARS
        assert text.isprintable()

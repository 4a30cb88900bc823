"""Whatever the bytes are, they are read within bounds, and nothing is raised."""

import json
import pickle
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import counted, model_files

from modelkeep.domain.formats import facts, source

SEEDS = [
    model_files.safetensors(),
    model_files.gguf(),
    model_files.onnx(),
    model_files.dangerous_pickle(0),
    model_files.dangerous_pickle(2),
    model_files.dangerous_pickle(4),
    model_files.torch(model_files.dangerous_pickle()),
    model_files.torch(pickle.dumps({"a": [1, 2]}), packing=zipfile.ZIP_DEFLATED),
    model_files.npy("'|O'", "(1,)", pickle.dumps([1])),
]
MAGICS = [b"", b"PK\x03\x04", b"GGUF\x03\0\0\0", b"\x80\x04", b"\x93NUMPY", b"\x1f\x8b", b"BZh"]
MAGICS += [b"\x08\x08\x12", b"x\x9c", b"\xfd7zXZ\0"]


@settings(max_examples=400, deadline=None)
@given(magic=st.sampled_from(MAGICS), content=st.binary(max_size=600))
def test_any_bytes_give_facts(magic: bytes, content: bytes) -> None:
    counted.read(counted.Counting(magic + content))


@settings(max_examples=600, deadline=None)
@given(seed=st.sampled_from(SEEDS), rng=st.randoms(use_true_random=False))
def test_any_damage_gives_facts(seed: bytes, rng: random.Random) -> None:
    content = bytearray(seed)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(content))
        match rng.randrange(4):
            case 0:
                content[at] = rng.randrange(256)
            case 1:
                del content[at : at + rng.randrange(1, 20)]
            case 2:
                content[at:at] = rng.randbytes(rng.randrange(1, 20))
            case 3:
                content[at : at + 8] = rng.choice([b"\xff" * 8, bytes(8), b"\xff" * 4])
        if not content:
            return
    counted.read(counted.Counting(bytes(content)))


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=300), protocol=st.integers(0, 5))
def test_what_breaks_off_behind_a_dangerous_pickle_does_not_hide_it(
    content: bytes, protocol: int
) -> None:
    evil = model_files.dangerous_pickle(protocol) + content
    assert counted.read(counted.Counting(evil)).pickle.verdict is facts.PickleVerdict.DANGEROUS


@settings(max_examples=100, deadline=None)
@given(seed=st.sampled_from(SEEDS), cut=st.floats(0, 1))
def test_a_pickle_that_is_cut_is_never_called_none_once_it_began(seed: bytes, cut: float) -> None:
    content = model_files.dangerous_pickle(4)
    length = max(2, int(len(content) * cut))
    assert counted.read(counted.Counting(content[:length])).pickle.found
    counted.read(counted.Counting(seed[: int(len(seed) * cut)]))


HUGE = {
    "zeros": b"",
    "one line": b"S'",
    "a pickle of Nones": b"\x80\x04" + b"N0" * 3_000_000,
    "a pickle of marks": b"\x80\x04" + b"(" * 5_000_000,
    "a pickle of puts": b"\x80\x04N" + b"r\xff\xff\xff\x7f" * 1_000_000,
    "a pickle of calls": b"\x80\x04cm\nn\n" + b")R" * 3_000_000,
    "a pickle of lines": b"\x80\x04" + b"I1\n0" * 1_000_000,
    "onnx of empty nodes": b"\x08\x08" + model_files.field(8, b"")
    + model_files.field(7, b"\x0a\0" * 4_000_000),
    "gguf of empty keys": b"GGUF\x03\0\0\0" + b"\xff" * 8 + b"\x10\x27" + bytes(6),
    "gguf of empty strings": b"GGUF\x03\0\0\0" + bytes(8) + b"\1" + bytes(7) + b"\1" + bytes(7)
    + b"k\x09\0\0\0\x08\0\0\0" + b"\x40\x42\x0f" + bytes(5),
    "safetensors of braces": (8_000_000).to_bytes(8, "little") + b'{"a":' + b"[" * 7_999_995,
    "safetensors of tensors": model_files.safetensors_of(
        b"{" + b",".join(
            b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % n for n in range(120_000)
        )
        + b"}", b""),
    "a bomb": b"",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("content", HUGE.values(), ids=HUGE.keys())
def test_bounds_of_time_and_memory_hold_for_hostile_files(
    content: bytes, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """In a process of its own, as tracing memory makes reading twenty times as slow."""
    if request.node.callspec.id == "a bomb":  # made here: all workers would make it
        content = model_files.torch(bytes(300_000_000), packing=zipfile.ZIP_DEFLATED)
    size_bytes = max(len(content), 10**9) if len(content) < 100 else len(content)
    (tmp_path / "content").write_bytes(content)
    program = [sys.executable, counted.__file__, str(tmp_path / "content"), str(size_bytes)]
    tests = str(Path(counted.__file__).parents[1])
    ended = subprocess.run(program, capture_output=True, check=True, text=True, cwd=tests)
    grown_bytes, took_s = json.loads(ended.stdout)
    assert grown_bytes < 128 * source.MIB
    assert took_s < 30  # a second or two

"""Pickles are found by content, wherever they hide, and never called clean when they are not."""

import builtins
import bz2
import collections
import gzip
import io
import lzma
import pickle
import pickletools
import struct
import zipfile
import zlib
from typing import Any

import pytest
from support import model_files

from modelkeep.domain.formats import archives, facts, pickle_imports, pickle_stream, reading, source

Verdict = facts.PickleVerdict
PROTOCOLS = range(6)


def read(content: bytes) -> facts.Facts:
    return reading.read(source.Memory(content), content[: reading.HEAD_BYTES])


def verdict(content: bytes) -> facts.PickleVerdict:
    return read(content).pickle.verdict


VALUES: list[Any] = [
    None, 1, 2**80, -1.5, "x" * 1000, b"y" * 1000, [1, [2, (3,), {}]], {"a": {1, 2}}, (), (1, 2),
    bytearray(b"z" * 300), frozenset({1}), ["same", "same"], list(range(2000)), True, "\N{SNOWMAN}",
]  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_every_pickle_is_followed_to_its_end_with_the_opcodes_that_pickletools_sees(
    value: Any, protocol: int
) -> None:
    content = pickle.dumps(value, protocol)
    found = read(content).pickle
    counted = collections.Counter(opcode.name for opcode, _, _ in pickletools.genops(content))
    assert found.opcodes == dict(counted)
    assert (found.streams, found.problem) == (1, "")
    assert found.verdict in {Verdict.PLAIN, Verdict.IMPORTS}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("optimized", [False, True])
def test_dangerous_imports_are_found_in_every_protocol(protocol: int, optimized: bool) -> None:
    content = model_files.dangerous_pickle(protocol)
    found = read(pickletools.optimize(content) if optimized else content)
    assert found.format == "pickle"
    assert found.pickle.verdict is Verdict.DANGEROUS
    assert found.pickle.dangerous == ("posix.system",)


def test_imports_that_are_not_known_to_be_dangerous_are_listed() -> None:
    found = read(pickle.dumps(collections.OrderedDict(a=1), 4)).pickle
    assert (found.verdict, found.imports) == (Verdict.IMPORTS, ("collections.OrderedDict",))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"), ("posix", "popen"), ("subprocess", "Popen"), ("builtins", "eval"),
        ("__builtin__", "exec"), ("builtins", "getattr"), ("runpy", "run_path"),
        ("torch", "serialization.os.system"), ("operator", "attrgetter"), ("numpy.f2py", "x.y"),
        ("torch.hub", "load"), ("pip", "main"), ("importlib", "import_module"),
        ("collections", "sys.modules"), ("torch", "builtins.eval"), ("builtins", "eval.__call__"),
    ],
)  # fmt: skip
def test_dangerous_names(module: str, name: str) -> None:
    assert pickle_imports.is_dangerous(module, name)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch._utils", "_rebuild_tensor_v2"), ("collections", "OrderedDict"),
        ("numpy.core.multiarray", "_reconstruct"), ("builtins", "set"), ("osmodel", "System"),
        ("sklearn.linear_model._base", "LinearRegression"),
    ],
)  # fmt: skip
def test_names_that_are_not_known_to_be_dangerous(module: str, name: str) -> None:
    assert not pickle_imports.is_dangerous(module, name)


STACK_GLOBAL = b"\x80\x04\x8c\x02os\x8c\x06system\x93."
HIDING = {
    "by the memo": b"\x80\x04\x8c\x06system\x940\x8c\x02osh\x00\x93.",
    "by the memo, moved": b"\x80\x04\x8c\x02os\x94q\x07" + b"0h\x07\x8c\x06system\x93.",
    "by a memo index in text": b"\x80\x04\x8c\x02osp123\n0g123\n\x8c\x06system\x93.",
    "by DUP and POP": b"\x80\x04\x8c\x02os2\x8c\x01x00\x8c\x06system\x93.",
    "by a tuple that is dropped": b"\x80\x04\x8c\x02os\x8c\x01a\x85\x30\x8c\x06system\x93.",
    "by POP_MARK": b"\x80\x04\x8c\x02os(\x8c\x01a\x8c\x01b1\x8c\x06system\x93.",
    "behind a mark that is popped": b"\x80\x04\x8c\x02os(0\x8c\x06system\x93.",
    "by GLOBAL in text": b"cos\nsystem\n(S'true'\ntR.",
    "by INST": b"(S'true'\nios\nsystem\n.",
    "by OBJ": b"(cos\nsystem\nS'true'\no.",
    "in an unquoted protocol 2": b"\x80\x02cos\nsystem\n.",
    "in the second stream": pickle.dumps([1]) + STACK_GLOBAL,
    "in a text stream behind another": b"I1\n." + b"cos\nsystem\n(S'true'\ntR.",
    "in a frame": b"\x80\x04\x95" + struct.pack("<Q", 14) + STACK_GLOBAL[2:],
    "before it breaks": STACK_GLOBAL[:-1] + b"\xff\xff",
    "before it ends": STACK_GLOBAL[:-1],
    "with no header and no end": b"cos\nsystem\n(S'true'\ntR",
    "behind long bytes": b"\x80\x04B" + struct.pack("<I", 200_000) + bytes(200_000)
    + b"0\x8c\x02os\x8c\x06system\x93.",
}  # fmt: skip


@pytest.mark.parametrize("hidden", HIDING.values(), ids=HIDING.keys())
def test_an_import_does_not_hide(hidden: bytes) -> None:
    found = read(hidden).pickle
    assert found.verdict is Verdict.DANGEROUS
    assert found.dangerous == ("os.system",)


UNREADABLE = {
    "a name made while loading": b"\x80\x04\x8c\x02os)\x93.",
    "a registered number": b"\x80\x02\x82\x01.",
    "an opcode that does not exist": b"\x80\x04K\x01\xff.",
    "cut": pickle.dumps(list(range(100)))[:-30],
    "an empty stack": b"\x80\x040.",
    "a memo entry that is not there": b"\x80\x04h\x05.",
    "no mark": b"\x80\x04t.",
    "a negative length": b"\x80\x02T\xff\xff\xff\xff.",
    "a header only": b"\x80\x04",
    "old torch, breaking off": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.I1\n.cwhat\n",
    "a text line that does not end": b"\x80\x04S'" + b"a" * 100_000,
    "joblib with an array within": b"\x80\x04cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}b"
    + bytes(100),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_pickle_that_cannot_be_read_is_taken_for_the_worst(content: bytes) -> None:
    found = read(content).pickle
    assert found.verdict is Verdict.UNKNOWN
    assert found.problem


def test_a_pickle_with_too_many_opcodes_is_taken_for_the_worst() -> None:
    for content in (
        b"\x80\x04" + b"N0" * pickle_stream.MAX_OPCODES + STACK_GLOBAL[2:],
        b"N0" * pickle_stream.MAX_OPCODES + STACK_GLOBAL[2:],
        b"N." * pickle_stream.MAX_OPCODES + STACK_GLOBAL,
    ):
        found = read(content).pickle
        assert found.verdict is Verdict.UNKNOWN
        assert "opcodes" in found.problem


def test_a_pickle_with_too_many_imports_is_taken_for_the_worst() -> None:
    imports = b"".join(b"cm\nn%d\n0" % n for n in range(pickle_stream.MAX_IMPORTS + 1))
    found = read(b"\x80\x04" + imports + b"N.").pickle
    assert (found.verdict, len(found.imports)) == (Verdict.UNKNOWN, facts.SHOWN_IMPORTS)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n", b"# Model card\n", b"{}", b'{"a": 1}', b"class A:\n    pass\n",
        b"cat\ndog\nrat\n", b"cimport os\nos.system\n",
        b"import os\nos.system('x')\n", b"N. Smith\n", b"I am\nnot\n", b"]\n", bytes(1000),
        b"\x89PNG\r\n\x1a\n" + bytes(100), b"%PDF-1.7\n", b"\x7fELF" + bytes(100), b"(c) 2026\n",
        "Übermodell\n".encode(), b"name,value\na,1\n", b"VERSION=1\n", b"p = 1\n", b"<xml/>",
    ],
)  # fmt: skip
def test_other_files_are_no_pickles(content: bytes) -> None:
    assert read(content) == facts.Facts()


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_pickles_in_torch_files_are_found(packing: int) -> None:
    found = read(model_files.torch(model_files.dangerous_pickle(), packing=packing))
    assert (found.format, found.pickle.verdict) == ("torch", Verdict.DANGEROUS)
    assert verdict(model_files.torch(pickle.dumps([1]), packing=packing)) is Verdict.PLAIN
    assert verdict(model_files.torch(b"hello", packing=packing)) is Verdict.UNKNOWN
    elsewhere = model_files.torch(model_files.dangerous_pickle(), packing=packing, name="m/x.txt")
    assert verdict(elsewhere) is Verdict.DANGEROUS


def spoilt(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def test_archives_that_strict_readers_refuse_are_read_all_the_same() -> None:
    content = model_files.torch(model_files.dangerous_pickle())
    central = content.index(b"PK\x01\x02")
    flags = spoilt(spoilt(content, 6, b"\x01\x00"), central + 8, b"\x01\x00")
    checksum = spoilt(spoilt(content, 14, b"abcd"), central + 16, b"abcd")
    name = spoilt(content, 30, b"n/data.txt")
    for broken in (flags, checksum, name):
        with pytest.raises((zipfile.BadZipFile, RuntimeError)):
            zipfile.ZipFile(io.BytesIO(broken)).read("m/data.pkl")
        assert verdict(broken) is Verdict.DANGEROUS


def test_archives_that_cannot_be_read_are_taken_for_the_worst() -> None:
    content = model_files.torch(pickle.dumps([1]))
    end, central = content.index(b"PK\x05\x06"), content.index(b"PK\x01\x02")
    broken = {
        "cut": content[:-40],
        "only the beginning": content[:50],
        "bytes between": content[:end] + b"\0" + content[end:],
        "two directories": content + content[end:],
        "no such entry": spoilt(content, central + 42, b"\x10\x00"),
        "a broken directory": spoilt(content, central, b"XX"),
        "an unknown method": spoilt(content, central + 10, b"\x63\x00"),
        "too few entries": spoilt(content, end + 10, b"\x01\x00"),
        "a broken entry": spoilt(content, central + 10, b"\x08\x00"),
    }
    found = {name: verdict(one) for name, one in broken.items()}
    assert found == dict.fromkeys(broken, Verdict.UNKNOWN)


def archive_of(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return written.getvalue()


def test_other_archives_are_looked_into() -> None:
    assert read(archive_of({"a.txt": b"hello"})).format == "zip"
    assert verdict(archive_of({"a.txt": b"hello", "b/c.json": b"{}"})) is Verdict.NONE
    assert verdict(archive_of({"a.pt": model_files.torch(b"x")})) is Verdict.UNKNOWN
    many = archive_of({f"{n}.txt": b"hello" for n in range(archives.MAX_OPENED + 1)})
    assert verdict(many) is Verdict.UNKNOWN
    arrays = {"a.npy": model_files.npy("'<f4'", "(2,)", bytes(8))}
    found = read(archive_of(arrays))
    assert (found.format, found.tensor_count, found.parameter_count) == ("npz", 1, 2)
    assert not found.pickle.found
    arrays["b.npy"] = model_files.npy("'|O'", "(1,)", model_files.dangerous_pickle())
    assert verdict(archive_of(arrays)) is Verdict.DANGEROUS


def test_arrays_of_objects_are_pickles() -> None:
    content = model_files.dangerous_pickle()
    assert verdict(model_files.npy("'|O'", "(1,)", content)) is Verdict.DANGEROUS
    assert verdict(model_files.npy("[('a', '<f4'), ('b', 'O')]", "(1,)", content)) is (
        Verdict.DANGEROUS
    )
    assert verdict(model_files.npy("'|O'", "(1,)", b"")) is Verdict.UNKNOWN
    assert verdict(b"\x93NUMPY\x01\x00\xff\xff{") is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, bz2.compress, lzma.compress, zlib.compress,
     lambda content: lzma.compress(content, lzma.FORMAT_ALONE)],
)  # fmt: skip
def test_compressed_pickles_are_found(pack: Any) -> None:
    assert verdict(pack(model_files.dangerous_pickle())) is Verdict.DANGEROUS
    assert verdict(pack(pickle.dumps([1]))) is Verdict.PLAIN
    assert verdict(pack(b"hello")) is Verdict.NONE
    assert verdict(pack(pickle.dumps(b"a" * 9_000_000) + STACK_GLOBAL)) is Verdict.UNKNOWN
    assert verdict(pack(pack(model_files.dangerous_pickle()))) is Verdict.UNKNOWN


def test_archives_of_kinds_that_are_not_opened_are_taken_for_the_worst() -> None:
    tar = bytes(257) + b"ustar" + bytes(250)
    for content in (tar, b"\x04\x22\x4d\x18" + bytes(9), b"\x28\xb5\x2f\xfd" + bytes(9)):
        assert verdict(content) is Verdict.UNKNOWN


def test_a_file_of_two_kinds_is_taken_for_both() -> None:
    """The header's length is a string opcode, its JSON is skipped as the string."""
    inner = b"\0\0\0" + b'{"__metadata__":{"a":"' + b" " * 300
    payload = b"0cos\nsystem\n(S'true'\ntR."
    header = (inner + payload).ljust(0x158 + 3, b" ")
    content = b"X" + struct.pack("<I", len(inner)) + header
    found = read(content)
    assert found.pickle.verdict is Verdict.DANGEROUS


def test_joblib_and_old_torch_are_named() -> None:
    joblib = b"\x80\x04cjoblib.numpy_pickle\nNumpyArrayWrapper\n."
    assert read(joblib).format == "joblib"
    old = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + pickle.dumps(1001, 2)
    old += pickle.dumps({}, 2) * 3 + bytes(100)
    assert (read(old).format, verdict(old)) == ("torch-legacy", Verdict.PLAIN)
    evil = old[:26] + b"cos\nsystem\n(S'true'\ntR."
    assert verdict(evil) is Verdict.DANGEROUS


def test_nothing_is_imported_or_called_while_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was loaded")

    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    monkeypatch.setattr(builtins, "__import__", refuse)
    assert verdict(model_files_dangerous) is Verdict.DANGEROUS


model_files_dangerous = model_files.dangerous_pickle()

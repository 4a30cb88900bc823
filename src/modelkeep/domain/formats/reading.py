"""Finds out what a file is by its content, never by its name, and reads its facts."""

import dataclasses
from collections.abc import Callable

from modelkeep.domain.formats import archives, arrays, facts, gguf, onnx, pickles, safetensors, zips
from modelkeep.domain.formats import source as sources

HEAD_BYTES = 64 * sources.KIB
"""How many of a file's first bytes `read` should be given."""
_WEAK = frozenset({"zlib", "lzma"})
"""Their magic numbers are so short that other files begin like them."""
_JOBLIB = "joblib.numpy_pickle"


def read(content: sources.Source, head: bytes) -> facts.Facts:
    """Facts of a file; whatever its bytes are, nothing is raised but what `content` raises.

    Args:
        content: the file.
        head: its first bytes.
    """
    bounded = sources.Bounded(content, head)
    archive = _archive(bounded, head)
    if archive is not None:
        return archive
    found = _tensors(bounded, head)
    # A file can be two things at once, so a known format does not excuse from looking.
    pickle = found.pickle.joined(pickles.scan(bounded))
    format_name = found.format
    if format_name == facts.OTHER and pickle.found:
        format_name = _pickle_format(head, pickle)
    return dataclasses.replace(found, format=format_name, pickle=pickle)


def _archive(content: sources.Source, head: bytes) -> facts.Facts | None:
    if head.startswith(zips.MAGIC):
        return _attempt("zip", lambda: archives.read_zip(content), suspect=True)
    packing = archives.packing_of(head)
    if not packing:
        return None
    read_facts = _attempt(packing, lambda: archives.read_packed(content, packing), suspect=True)
    return None if packing in _WEAK and read_facts.problem else read_facts


def _tensors(content: sources.Source, head: bytes) -> facts.Facts:
    if safetensors.looks_like(head, content.size_bytes):
        return _attempt(safetensors.FORMAT, lambda: safetensors.read(content))
    if gguf.looks_like(head):
        return _attempt(gguf.FORMAT, lambda: gguf.read(content))
    if arrays.looks_like(head):
        return _attempt(arrays.FORMAT, lambda: arrays.read(content), suspect=True)
    if onnx.looks_like(head):
        return _attempt(onnx.FORMAT, lambda: onnx.read(content))
    return facts.Facts()


def _attempt(
    format_name: str, read_it: Callable[[], facts.Facts], *, suspect: bool = False
) -> facts.Facts:
    """The facts, or why there are none; `suspect` files may then hold any pickle."""
    try:
        return read_it()
    except (sources.Malformed, sources.Cut) as error:
        pickle = facts.unreadable(str(error)) if suspect else facts.PickleFacts()
        return facts.Facts(format=format_name, problem=str(error), pickle=pickle)


def _pickle_format(head: bytes, pickle: facts.PickleFacts) -> str:
    if pickles.is_old_torch(head):
        return "torch-legacy"
    is_joblib = any(name.startswith(_JOBLIB) for name in pickle.imports)
    return "joblib" if is_joblib else "pickle"

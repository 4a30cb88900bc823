"""NumPy's array files, which hold a pickle where the elements are Python objects.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import ast
import re

from modelkeep.domain.formats import facts, numbers, pickles, source

FORMAT = "npy"
MAGIC = b"\x93NUMPY"
_MAX_HEADER_BYTES = 64 * source.KIB
_OBJECT = re.compile(r"['\"][|<>=]?O\d*['\"]")
_SHAPE = re.compile(r"['\"]shape['\"]\s*:\s*(\([\d,\s]*\))")
_DTYPE = re.compile(r"['\"]descr['\"]\s*:\s*['\"]([^'\"]{1,64})['\"]")
_FIRST_VERSION = 1


def looks_like(head: bytes) -> bool:
    """Whether a file begins as array files do."""
    return head.startswith(MAGIC)


def read(content: source.Source) -> facts.Facts:
    """Facts of the array; raises `source.Malformed`, `source.Cut`."""
    cursor = source.Cursor(content, len(MAGIC))
    version = cursor.take(2)[0]
    length = int.from_bytes(cursor.take(2 if version == _FIRST_VERSION else 4), "little")
    if length > _MAX_HEADER_BYTES:
        raise source.Cut(f"its header has {length:,} bytes")
    header = cursor.take(length).decode("latin-1")
    dtype, shape = _DTYPE.search(header), _SHAPE.search(header)
    holds_objects = _OBJECT.search(header) is not None or "descr" not in header
    return facts.Facts(
        format=FORMAT,
        tensor_count=1,
        parameter_count=_elements(shape[1]) if shape else None,
        dtypes=(numbers.clean(dtype[1]),) if dtype else (),
        pickle=pickles.scan(content, start=cursor.position, expected=True)
        if holds_objects
        else facts.PickleFacts(),
    )


def _elements(shape: str) -> int:
    try:
        sizes = ast.literal_eval(shape)
    except (ValueError, SyntaxError):
        raise source.Malformed("its shape is not a tuple of numbers") from None
    return numbers.product(sizes if isinstance(sizes, tuple) else (sizes,))

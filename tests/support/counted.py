"""Reading the facts of bytes, with an eye on what it takes.

    python counted.py FILE SIZE_BYTES

prints by how many bytes the process grew at most as it read the file, and the seconds it took.
"""

import json
import resource
import sys
import time
from pathlib import Path

from modelkeep.domain.formats import facts, numbers, reading, source


class Counting:
    """Bytes in memory that count what is read of them."""

    def __init__(self, content: bytes, size_bytes: int | None = None) -> None:
        self._content = content
        self.size_bytes = len(content) if size_bytes is None else size_bytes
        self.read_bytes = 0
        self.reads = 0

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        assert offset + length <= self.size_bytes
        self.read_bytes += length
        self.reads += 1
        return self._content[offset : offset + length].ljust(length, b"\0")


def read(content: Counting, head_bytes: int = 64) -> facts.Facts:
    """Read, and check what holds of any facts."""
    found = reading.read(content, content.read(0, min(head_bytes, content.size_bytes)))
    assert content.read_bytes <= source.MAX_READ_BYTES + head_bytes
    assert content.reads <= source.MAX_READS + 1
    for count in (found.tensor_count, found.parameter_count, found.opset):
        assert count is None or 0 <= count <= numbers.MAX
    texts = [found.architecture, *found.dtypes, *found.inputs, *found.outputs]
    texts += [*found.metadata, *found.metadata.values(), *found.pickle.imports]
    assert all(len(text) <= numbers.TEXT_CHARS and text.isprintable() for text in texts)
    assert len(found.pickle.imports) <= facts.SHOWN_IMPORTS
    assert found.pickle.verdict is not facts.PickleVerdict.UNKNOWN or found.pickle.problem
    return found


def _most_bytes() -> int:
    """The most memory that this program had."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts in `ru_maxrss` what was there before the program, too
        (peak,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    content = Counting(Path(sys.argv[1]).read_bytes(), int(sys.argv[2]))
    before_bytes, began = _most_bytes(), time.process_time()
    read(content, reading.HEAD_BYTES)
    took_s = time.process_time() - began
    print(json.dumps([_most_bytes() - before_bytes, took_s]))  # noqa: T201 - to the test

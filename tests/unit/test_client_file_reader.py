"""Reading a file over a line that breaks, and from a server that lies."""

import hashlib
import random
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from modelkeep import client
from modelkeep.client import file_reader, patience, wire_chunks

MIB = 1 << 20
CONTENT = random.Random(5).randbytes(6 * MIB + 17)
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE_S", 0)


class Line:
    """Sends a content chunk by chunk, and cuts each stream after so many chunks if told."""

    def __init__(self, content: bytes = CONTENT, digest: str = DIGEST) -> None:
        self.content = content
        self.digest = digest
        self.cuts: list[int | Exception] = []
        self.sent_bytes = 0
        self.streams: list[tuple[int, int]] = []

    async def open(self, offset: int, limit: int) -> AsyncGenerator[wire_chunks.ReadChunk, None]:
        self.streams.append((offset, limit))
        end = min(offset + limit, len(self.content)) if limit else len(self.content)
        cut = self.cuts.pop(0) if self.cuts else None
        if isinstance(cut, Exception):
            raise cut
        first = True
        for start in range(offset, end, MIB) if offset < end else [offset]:
            if cut is not None:
                if cut == 0:
                    raise client.Unavailable("cut", reason="DRAINING")
                cut -= 1
            block = self.content[start : min(start + MIB, end)]
            self.sent_bytes += len(block)
            digest, size = (self.digest, len(self.content)) if first else ("", 0)
            first = False
            yield wire_chunks.ReadChunk(start, None, block, digest, size)


async def read(line: Line, **order: Any) -> bytes:
    asked = file_reader.Order(path="w.bin", stall_s=0.2, **order)
    return b"".join([block async for block in file_reader.FileReader(line.open, asked).blocks()])


async def test_a_line_cut_at_every_mebibyte_brings_each_byte_once() -> None:
    line = Line()
    line.cuts = [1] * 6
    assert await read(line) == CONTENT
    assert line.sent_bytes == len(CONTENT)
    assert [offset for offset, _ in line.streams] == [n * MIB for n in range(7)]


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, None), (0, 1), (5, 0), (MIB - 1, 2), (len(CONTENT) - 1, 100), (3, 3 * MIB), (MIB, None)],
)
async def test_ranges_are_exact_over_a_line_that_breaks(offset: int, length: int | None) -> None:
    line = Line()
    line.cuts = [0, 1, 1, 0, 1]
    end = None if length is None else offset + length
    assert await read(line, offset=offset, length=length) == CONTENT[offset:end]


async def test_an_empty_file_is_read_and_checked() -> None:
    assert await read(Line(b"", f"sha256:{hashlib.sha256().hexdigest()}")) == b""
    with pytest.raises(client.DataLoss):
        await read(Line(b"", DIGEST))


async def test_a_whole_that_is_not_its_digest_is_data_loss_at_the_end() -> None:
    wrong = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    line = Line(wrong)
    with pytest.raises(client.DataLoss, match=r"w\.bin arrived with the digest"):
        await read(line)
    assert line.sent_bytes == len(CONTENT)
    # Some of it cannot be checked by the whole's digest; each block was by its own.
    assert await read(Line(wrong), offset=1) == wrong[1:]


async def test_another_file_under_the_same_name_is_never_joined_to_the_first() -> None:
    line = Line()
    line.cuts = [2]

    async def open_stream(offset: int, limit: int) -> AsyncGenerator[wire_chunks.ReadChunk, None]:
        async for chunk in line.open(offset, limit):
            yield chunk
            line.digest = f"sha256:{'0' * 64}"

    reader = file_reader.FileReader(open_stream, file_reader.Order(path="w.bin"))
    with pytest.raises(client.Conflict, match="became another file"):
        _ = [block async for block in reader.blocks()]


@pytest.mark.parametrize(
    "refusal", [client.NotFound("x"), client.Refused("x"), client.DataLoss("x", reason="LOST")]
)
async def test_what_cannot_pass_is_raised_at_once(refusal: client.RegistryError) -> None:
    line = Line()
    line.cuts = [refusal]
    with pytest.raises(type(refusal)):
        await read(line)
    assert len(line.streams) == 1


async def test_damage_on_the_way_is_fetched_again() -> None:
    line = Line()
    line.cuts = [3, client.DataLoss("damaged", reason="CHUNK_CHECKSUM")]
    assert await read(line) == CONTENT


async def test_a_line_that_stays_dead_is_given_up() -> None:
    line = Line()
    line.cuts = [1, *[0] * 100_000]
    with pytest.raises(client.Unavailable):
        await read(line)


@pytest.mark.parametrize("order", [{"offset": -1}, {"length": -1}])
def test_negative_ranges_are_refused(order: dict[str, int]) -> None:
    with pytest.raises(client.InvalidRequest):
        file_reader.Order(path="w", **order)

"""The checks of a store: each tries one thing and says in a few words what it saw.

Each raises `Wrong`, `Missing` or a domain error if the store does not do as it should.
"""

import asyncio
import contextlib
import datetime
import os
import statistics
import time
from collections.abc import Awaitable

import google_crc32c

from modelkeep.blobs import doctor_subject
from modelkeep.domain import errors

Subject = doctor_subject.Subject
Missing = doctor_subject.Missing
Wrong = doctor_subject.Wrong
_KIB = 1 << 10
PART_BYTES = 5 << 20
"""What S3 lets a part be at least, unless it is the last."""
_SKEW_S = 5 * 60
_TIME_OFF_S = 15 * 60
_SLOW_MS = 250
_ROUNDS = 10


async def access(subject: Subject) -> str:
    """The endpoint answers, takes the keys and has the bucket."""
    await subject.blobs.check()
    return "the endpoint answers, takes the keys and has the bucket"


async def make_bucket(subject: Subject) -> str:
    """A bucket of another name is made and removed."""
    await asyncio.to_thread(subject.direct.try_bucket)
    return "the keys may make a bucket (one was made and removed)"


async def clock(subject: Subject) -> str:
    """The two clocks agree."""
    skew_s = await asyncio.to_thread(subject.direct.skew_s)
    if skew_s is None:
        raise Missing("its answers have no Date")
    if abs(skew_s) > _SKEW_S:
        where = "ahead of" if skew_s > 0 else "behind"
        raise Wrong(f"its clock is {abs(skew_s):.0f} s {where} ours")
    return f"the clocks differ by less than {max(2, abs(skew_s) + 1):.0f} s"


async def put(subject: Subject) -> str:
    """Objects are stored with their checksum and come back the same."""
    for name, size_bytes in (("put-empty", 0), ("put", 64 * _KIB + 1)):
        body = os.urandom(size_bytes)
        key = await subject.put(name, body)
        found = await subject.blobs.stat(key)
        if found.size_bytes != size_bytes or await subject.read(key, 0, size_bytes) != body:
            raise Wrong(f"an object of {size_bytes} bytes does not come back as it was stored")
    return "objects stored with their crc32c, one of them empty, come back the same"


async def refuse_object(subject: Subject) -> str:
    """An object whose checksum is wrong is refused and not stored."""
    key, body = subject.key("wrong-crc32c"), os.urandom(_KIB)
    await _refused(subject.blobs.put(key, [body], google_crc32c.value(body) ^ 1))
    with contextlib.suppress(errors.NotFound):
        await subject.blobs.stat(key)
        raise Wrong("it refuses a body whose crc32c is wrong, and has stored it all the same")
    return "a body whose crc32c is wrong is refused and not stored"


async def refuse_part(subject: Subject) -> str:
    """A part whose checksum is wrong is refused."""
    multipart, body = await subject.start("wrong-part"), os.urandom(_KIB)
    wrong = google_crc32c.value(body) ^ 1
    await _refused(subject.blobs.put_part(*multipart, 1, [body], wrong))
    return "a part whose crc32c is wrong is refused"


async def ranges(subject: Subject) -> str:
    """Ranges are exact at both edges, and what is beyond the end is not answered."""
    size_bytes = 300 * _KIB + 1
    body = os.urandom(size_bytes)
    key = await subject.put("ranges", body)
    asked = ((0, 1), (size_bytes - 1, 1), (65_535, 65_538), (0, size_bytes))
    for offset, length in asked:
        if await subject.read(key, offset, length) != body[offset : offset + length]:
            raise Wrong(f"bytes {offset} to {offset + length - 1} come back as others")
    with contextlib.suppress(errors.DataLoss):
        await subject.read(key, size_bytes - 1, 2)
        raise Wrong("it answers a range that goes beyond the end of the object")
    return f"{len(asked)} ranges are exact; one beyond the end is told"


async def copy(subject: Subject) -> str:
    """Objects are copied by the store, in one request and in parts."""
    for name, size_bytes in (("copy", 64 * _KIB + 1), ("copy-parts", PART_BYTES + _KIB)):
        body = os.urandom(size_bytes)
        source, key = await subject.put(name, body), subject.key(f"{name}-made")
        made = [copied async for copied in subject.blobs.copy(source, key, size_bytes)]
        if sum(made) != size_bytes or await subject.read(key, 0, size_bytes) != body:
            raise Wrong(f"a copy of {size_bytes} bytes does not come back as its source")
    return "objects are copied within the store, in one request and in parts"


async def multipart(subject: Subject) -> str:
    """Parts that come out of order make one object."""
    bodies = [os.urandom(PART_BYTES), os.urandom(PART_BYTES), os.urandom(_KIB + 1)]
    upload = await subject.start("multipart")
    tags = [await subject.put_part(upload, number, bodies[number - 1]) for number in (3, 1, 2)]
    tags.sort(key=lambda tag: tag.number)
    await subject.blobs.complete_multipart(*upload, tags)
    whole = b"".join(bodies)
    if (await subject.blobs.stat(upload[0])).size_bytes != len(whole):
        raise Wrong("the object that three parts make does not have their size")
    if await subject.read(upload[0], 0, len(whole)) != whole:
        raise Wrong("the object that three parts make does not have their bytes")
    return "3 parts with crc32c, sent out of order, make one object"


async def complete_twice(subject: Subject) -> str:
    """Completing again, after an answer that was lost, does no harm."""
    upload = await subject.start("complete-twice")
    body = os.urandom(_KIB)
    tags = [await subject.put_part(upload, 1, body)]
    for _ in range(2):
        await subject.blobs.complete_multipart(*upload, tags)
    if await subject.read(upload[0], 0, len(body)) != body:
        raise Wrong("completing an upload again changes the object")
    return "completing an upload again changes nothing"


async def abort(subject: Subject) -> str:
    """An upload that was aborted is gone, and aborting it again does no harm."""
    upload = await subject.start("abort")
    await subject.put_part(upload, 1, os.urandom(_KIB))
    for _ in range(2):
        await subject.blobs.abort_multipart(*upload)
    if await subject.find_multipart(lambda entry: entry.multipart_id == upload[1]):
        raise Wrong("an upload that was aborted is still listed")
    with contextlib.suppress(errors.NotFound):
        await subject.put_part(upload, 2, os.urandom(_KIB))
        raise Wrong("an upload that was aborted still takes parts")
    return "an aborted upload is gone; aborting it again does no harm"


async def list_multiparts(subject: Subject) -> str:
    """Open uploads are listed with the time they began."""
    key, multipart_id = await subject.start("listed-upload")
    found = await subject.find_multipart(lambda entry: entry.multipart_id == multipart_id)
    if found is None or found.key != key:
        raise Missing("an open multipart upload is not listed")
    _require_recent(found.started_at, "multipart uploads")
    return "open multipart uploads are listed with the time they began"


async def list_pages(subject: Subject) -> str:
    """Objects are listed in the order of their keys, page by page, with the time of storing."""
    keys = [await subject.put(f"listed/{name}", b"x") for name in ("a", "b", "c")]
    prefix = f"{subject.prefix}listed/"
    first = await subject.blobs.list_page(prefix, "", 2)
    second = await subject.blobs.list_page(prefix, keys[1], 2)
    if [entry.key for entry in first] != keys[:2] or [entry.key for entry in second] != keys[2:]:
        raise Wrong("the pages of a listing do not have the objects in the order of their keys")
    for entry in (*first, *second):
        _require_recent(entry.modified_at, "objects")
    return "objects are listed in order, page by page, with the time they were stored"


async def delete(subject: Subject) -> str:
    """What is deleted is gone, and deleting it again does no harm."""
    key = await subject.put("delete", b"x")
    for _ in range(2):
        await subject.blobs.delete(key)
    with contextlib.suppress(errors.NotFound):
        await subject.blobs.stat(key)
        raise Wrong("an object that was deleted is still there")
    return "a deleted object is gone; deleting it again does no harm"


async def presigned_get(subject: Subject) -> str:
    """A client without keys reads a range by a signed URL."""
    body = os.urandom(64 * _KIB)
    key = await subject.put("presigned-get", body)
    found = await asyncio.to_thread(subject.direct.get_range, key, 1_000, 2_000)
    if found != body[1_000:3_000]:
        raise Wrong("a presigned GET of a range answers other bytes")
    return "a presigned GET answers a range"


async def presigned_put(subject: Subject) -> str:
    """A client without keys stores a part by a signed URL, checksummed all the same."""
    upload, body = await subject.start("presigned-put"), os.urandom(_KIB)
    crc32c = google_crc32c.value(body)
    send = subject.direct.put_part
    await _refused(asyncio.to_thread(send, upload, 1, body, crc32c ^ 1))
    tag = await asyncio.to_thread(send, upload, 1, body, crc32c)
    await subject.blobs.complete_multipart(*upload, [tag])
    if await subject.read(upload[0], 0, len(body)) != body:
        raise Wrong("a part that came by a presigned PUT does not have its bytes")
    return "a presigned PUT stores a part, and its crc32c is checked"


async def latency(subject: Subject) -> str:
    """A small object is stored and read in reasonable time."""
    key, body = subject.key("latency"), os.urandom(4 * _KIB)
    puts_ms, gets_ms = [], []
    for _ in range(_ROUNDS):
        puts_ms.append(await _timed_ms(subject.blobs.put(key, [body], google_crc32c.value(body))))
        gets_ms.append(await _timed_ms(subject.read(key, 0, len(body))))
    put_ms, get_ms = statistics.median(puts_ms), statistics.median(gets_ms)
    said = f"4 KiB: PUT {put_ms:.1f} ms, GET {get_ms:.1f} ms (median of {_ROUNDS})"
    if max(put_ms, get_ms) > _SLOW_MS:
        raise Wrong(f"{said}: slow")
    return said


async def clean_up(subject: Subject) -> str:
    """Everything that the other checks wrote is gone."""
    for key, multipart_id in subject.multiparts:
        await subject.blobs.abort_multipart(key, multipart_id)
    for key in subject.keys:
        await subject.blobs.delete(key)
    left = [entry.key for entry in await subject.blobs.list_page(subject.prefix, "", 100)]
    if left:
        raise Wrong(f"still there: {', '.join(left)}")
    return "everything that was written is removed"


async def _refused(sending: Awaitable[object]) -> None:
    with contextlib.suppress(errors.DataLoss):
        await sending
        raise Wrong("it ignores checksums: a body whose crc32c is wrong is stored as if right")


def _require_recent(instant: datetime.datetime | None, what: str) -> None:
    if instant is None:
        raise Missing(f"it lists {what} without their time")
    off_s = (datetime.datetime.now(datetime.UTC) - instant).total_seconds()
    if abs(off_s) > _TIME_OFF_S:
        raise Wrong(f"it lists {what} of this minute as of {instant:%Y-%m-%d %H:%M} UTC")


async def _timed_ms(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1_000

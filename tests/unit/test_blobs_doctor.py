"""The doctor tells a store that does what we need from one that only looks like it."""

import dataclasses
import datetime
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import google_crc32c
import minio
import pytest
from support import memory_store

from modelkeep.blobs import (
    doctor,
    doctor_direct,
    doctor_subject,
    s3_connection,
    s3_presigned,
    store,
)
from modelkeep.domain import errors

Verdict = doctor.Verdict
LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class DirectToMemory(doctor_direct.Direct):
    """Reaches the memory store past its coroutines, as presigned URLs go past the server."""

    def __init__(self, memory: memory_store.MemoryBlobStore) -> None:
        self.memory = memory
        self.told_skew_s: float | None = 0.4
        self.refuses: str | None = None

    def skew_s(self) -> float | None:
        return self.told_skew_s

    def try_bucket(self) -> None:
        if self.refuses == "bucket":
            raise errors.FailedPrecondition("AccessDenied")

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        whole = self.memory.objects[key]
        return whole if self.refuses == "range" else whole[offset : offset + length]

    def put_part(
        self, multipart: tuple[str, str], number: int, body: bytes, crc32c: int
    ) -> store.PartTag:
        if self.refuses == "part":
            raise errors.FailedPrecondition("SignatureDoesNotMatch")
        if self.refuses != "checksum" and google_crc32c.value(body) != crc32c:
            raise errors.DataLoss("BadDigest")
        self.memory.multiparts[multipart[1]][number] = body
        return store.PartTag(number, memory_store._etag(body), crc32c)


class IgnoringChecksums(memory_store.MemoryBlobStore):
    async def put(self, key: str, body: store.Buffers, crc32c: int) -> None:
        del crc32c
        await super().put(key, body, google_crc32c.value(b"".join(body)))

    async def put_part(
        self, key: str, multipart_id: str, number: int, body: store.Buffers, crc32c: int
    ) -> store.PartTag:
        del crc32c
        right = google_crc32c.value(b"".join(body))
        return await super().put_part(key, multipart_id, number, body, right)


class StoringWhatItRefuses(memory_store.MemoryBlobStore):
    async def put(self, key: str, body: store.Buffers, crc32c: int) -> None:
        self.objects[key] = b"".join(body)
        self.modified_at[key] = datetime.datetime.now(datetime.UTC)
        await super().put(key, body, crc32c)


class OneByteOff(memory_store.MemoryBlobStore):
    async def read(
        self, key: str, offset: int, length: int, chunk_bytes: int, crc32c: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        async for chunk in super().read(key, max(offset - 1, 0), length, chunk_bytes, crc32c):
            yield chunk


class ByArrival(memory_store.MemoryBlobStore):
    async def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[store.PartTag]
    ) -> None:
        stored = self.multiparts.get(multipart_id, {})
        arrived = sorted(parts, key=lambda tag: list(stored).index(tag.number)) if stored else parts
        await super().complete_multipart(key, multipart_id, arrived)


class CompletingOnce(memory_store.MemoryBlobStore):
    async def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[store.PartTag]
    ) -> None:
        if multipart_id not in self.multiparts:
            raise errors.NotFound("NoSuchUpload")
        await super().complete_multipart(key, multipart_id, parts)


class KeepingAborted(memory_store.MemoryBlobStore):
    async def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Answers well and does nothing."""


class HidingUploads(memory_store.MemoryBlobStore):
    async def list_multiparts(self, prefix: str, mark: str, limit: int) -> store.MultipartPage:
        page = await super().list_multiparts(prefix, mark, limit)
        return dataclasses.replace(page, entries=())


class TellingNoTime(memory_store.MemoryBlobStore):
    async def list_page(self, prefix: str, after: str, limit: int) -> list[store.StoredObject]:
        page = await super().list_page(prefix, after, limit)
        return [dataclasses.replace(entry, modified_at=None) for entry in page]


class TellingTheEpoch(memory_store.MemoryBlobStore):
    async def list_multiparts(self, prefix: str, mark: str, limit: int) -> store.MultipartPage:
        page = await super().list_multiparts(prefix, mark, limit)
        old = [dataclasses.replace(entry, started_at=LONG_AGO) for entry in page.entries]
        return dataclasses.replace(page, entries=old)


class BeginningAnew(memory_store.MemoryBlobStore):
    async def list_page(self, prefix: str, after: str, limit: int) -> list[store.StoredObject]:
        del after
        return await super().list_page(prefix, "", limit)


class KeepingDeleted(memory_store.MemoryBlobStore):
    async def delete(self, key: str) -> None:
        """Answers well and does nothing."""


class HangingOnDelete(memory_store.MemoryBlobStore):
    async def delete(self, key: str) -> None:
        raise errors.Unavailable(f"timed out deleting {key}")


async def verdicts(memory: memory_store.MemoryBlobStore, **direct: Any) -> dict[str, Verdict]:
    """What is not ok."""
    reached = DirectToMemory(memory)
    for name, value in direct.items():
        setattr(reached, name, value)
    found = await doctor.findings(doctor.CHECKS, doctor_subject.Subject(memory, reached))
    assert [one.check for one in found] == [*(check.name for check in doctor.CHECKS), "clean up"]
    bad = [one for one in found if one.verdict != Verdict.OK]
    assert all(one.advice and one.meaning for one in bad)
    return {one.check: one.verdict for one in bad}


async def test_a_good_store_is_told_so_and_left_as_it_was() -> None:
    memory = memory_store.MemoryBlobStore()
    memory.objects["blobs/theirs"] = b"kept"
    memory.modified_at["blobs/theirs"] = LONG_AGO
    theirs = await memory.start_multipart("blobs/theirs-too")
    assert await verdicts(memory) == {}
    assert set(memory.objects) == {"blobs/theirs"}
    assert set(memory.multiparts) == {theirs}


@pytest.mark.parametrize(
    ("faulty", "expected"),
    [
        (IgnoringChecksums, {"refuse object": "wrong", "refuse part": "wrong"}),
        (StoringWhatItRefuses, {"refuse object": "wrong"}),
        (ByArrival, {"multipart": "wrong"}),
        (CompletingOnce, {"complete twice": "wrong"}),
        (KeepingAborted, {"abort": "wrong"}),
        (HidingUploads, {"list uploads": "missing"}),
        (TellingNoTime, {"list objects": "missing"}),
        (TellingTheEpoch, {"list uploads": "wrong"}),
        (BeginningAnew, {"list objects": "wrong"}),
        (KeepingDeleted, {"delete": "wrong", "clean up": "wrong"}),
        (HangingOnDelete, {"delete": "missing", "clean up": "missing"}),
    ],
)
async def test_a_faulty_store_is_found_out(
    faulty: type[memory_store.MemoryBlobStore], expected: dict[str, str]
) -> None:
    assert await verdicts(faulty()) == expected


async def test_ranges_that_are_off_are_wrong() -> None:
    assert (await verdicts(OneByteOff()))["ranges"] == Verdict.WRONG


@pytest.mark.parametrize(
    ("direct", "expected"),
    [
        ({"refuses": "bucket"}, {"make bucket": "optional"}),
        ({"refuses": "range"}, {"presigned get": "optional"}),
        ({"refuses": "part"}, {"presigned put": "optional"}),
        ({"refuses": "checksum"}, {"presigned put": "optional"}),
        ({"told_skew_s": 301.0}, {"clock": "wrong"}),
        ({"told_skew_s": -301.0}, {"clock": "wrong"}),
        ({"told_skew_s": None}, {"clock": "missing"}),
    ],
)
async def test_what_is_beside_the_operations(
    direct: dict[str, Any], expected: dict[str, str]
) -> None:
    assert await verdicts(memory_store.MemoryBlobStore(), **direct) == expected


def test_nothing_depends_on_what_is_optional() -> None:
    found = {verdict: doctor.Finding("x", verdict, "y").is_acceptable for verdict in Verdict}
    assert found == {"ok": True, "missing": False, "wrong": False, "optional": True}


class WithoutBucket(memory_store.MemoryBlobStore):
    async def check(self) -> None:
        raise errors.FailedPrecondition("NoSuchBucket", reason="STORE_BUCKET_MISSING")


@pytest.mark.parametrize(
    ("refuses", "said"), [(None, "these keys may make it"), ("bucket", "may not make one")]
)
async def test_who_lacks_a_bucket_is_told_who_can_make_it(refuses: str | None, said: str) -> None:
    settings = s3_connection.S3Settings(
        endpoint="h:1", access_key="access", secret_key="secret", bucket="models"
    )
    memory = WithoutBucket()
    reached = DirectToMemory(memory)
    reached.refuses = refuses
    with pytest.raises(errors.FailedPrecondition, match=said) as raised:
        await doctor.require_bucket(memory, reached, settings)
    assert "no bucket 'models'" in raised.value.message


async def test_what_was_written_goes_even_if_the_doctor_is_interrupted() -> None:
    memory = memory_store.MemoryBlobStore()

    async def interrupted(subject: doctor_subject.Subject) -> str:
        await subject.put("half", b"x")
        await subject.start("half-upload")
        raise KeyboardInterrupt

    checks = [doctor.Check("interrupted", interrupted)]
    with pytest.raises(KeyboardInterrupt):
        await doctor.findings(checks, doctor_subject.Subject(memory, DirectToMemory(memory)))
    assert (memory.objects, memory.multiparts) == ({}, {})


@pytest.mark.parametrize(
    ("endpoint", "secure"),
    [("127.0.0.1:9000", False), ("s3.example", True), ("s3.example:443", True)],
)
@pytest.mark.parametrize("key", ["blobs/a", "blobs/a b+c=d~ü"])
def test_a_presigned_url_is_the_sdks_where_that_makes_one(
    endpoint: str, secure: bool, key: str
) -> None:
    settings = s3_connection.S3Settings(
        endpoint=endpoint, access_key="access", secret_key="secret", bucket="models", secure=secure
    )
    now = datetime.datetime(2026, 11, 24, 8, 0, tzinfo=datetime.UTC)
    query = {"partNumber": "2", "uploadId": "a/b+c"}
    ours = s3_presigned.presigned(settings, "PUT", key, expires_s=60, query=query, now=now)
    sdk = minio.Minio(endpoint, "access", "secret", secure=secure, region=settings.region)
    theirs = sdk.get_presigned_url(
        "PUT", "models", key, datetime.timedelta(seconds=60), None, now, None, dict(query)
    )
    assert ours.rpartition("=")[2] == theirs.rpartition("=")[2]


def test_a_presigned_url_is_bound_to_its_headers() -> None:
    settings = s3_connection.S3Settings(
        endpoint="h:1", access_key="access", secret_key="secret", bucket="models"
    )
    now = datetime.datetime(2026, 11, 24, 8, 0, tzinfo=datetime.UTC)
    urls = {
        s3_presigned.presigned(
            settings, "PUT", "k", expires_s=60, headers={"x-amz-a": value}, now=now
        )
        for value in ("1", "2")
    }
    assert len(urls) == 2
    assert all("SignedHeaders=host%3Bx-amz-a&" in url for url in urls)

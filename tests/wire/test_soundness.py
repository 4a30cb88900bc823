"""Bytes that the real store lost or damaged: reading refuses, verifying tells, the scrub acts."""

import asyncio
import functools
import random
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from support import rotting, services, wire, wire_uploads

from modelkeep import app
from modelkeep import config as configuration
from modelkeep.domain import limits
from modelkeep.service import scrub
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2

PART = limits.MIN_PART_BYTES
MIB = limits.MIB
SMALL = b"the configuration"
QUARANTINED = registry_service_pb2.VERSION_STATE_QUARANTINED


@pytest.fixture(scope="module")
def large() -> bytes:
    """A file of two parts."""
    return random.Random(11).randbytes(PART + MIB + 3)


@pytest.fixture
async def endpoint(
    config: configuration.Config, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """A server whose scrub looks often; what it takes is what somebody met, the rest is young."""
    eager = functools.partial(scrub.Settings, idle_s=0.02)
    monkeypatch.setattr(scrub, "Settings", eager)
    async with app.running(config) as address:
        yield address


async def verify(stubs: wire.Stubs, name: str) -> list[Any]:
    return [told async for told in stubs.artifact.VerifyVersion(pb.VerifyVersionRequest(name=name))]


async def findings(stubs: wire.Stubs, name: str) -> dict[str, tuple[int, str]]:
    results = [told.result for told in await verify(stubs, name) if told.HasField("result")]
    return {found.path: (found.verdict, found.detail) for found in results}


async def refused(stubs: wire.Stubs, name: str, **span: int) -> wire.Failure:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire_uploads.read(stubs, name, **span)
    return wire.failure_of(caught.value)


async def state_of(stubs: wire.Stubs, name: str) -> int:
    answer = await stubs.registry.GetVersion(registry_service_pb2.GetVersionRequest(name=name))
    state: int = answer.version.state
    return state


async def until_quarantined(stubs: wire.Stubs, name: str) -> None:
    async with asyncio.timeout(30):
        while await state_of(stubs, name) != QUARANTINED:  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.02)


async def test_a_sound_version_is_proven(stubs: wire.Stubs, large: bytes) -> None:
    name = await rotting.seal(stubs, "1.0.0", {"w/weights.bin": large, "config.json": SMALL})
    told = await verify(stubs, name)
    results = sorted(
        (each.result for each in told if each.HasField("result")), key=lambda found: found.path
    )
    assert results == [
        pb.FileResult(
            path=path,
            digest=wire_uploads.digest_of(body),
            size_bytes=len(body),
            verdict=pb.FILE_VERDICT_OK,
        )
        for path, body in (("config.json", SMALL), ("w/weights.bin", large))
    ]
    total = len(large) + len(SMALL)
    assert (told[0].checked_bytes, told[0].total_bytes, told[0].total_files) == (0, total, 2)
    assert told[-1].checked_bytes == total


async def test_damage_is_named_by_file_and_part_and_repaired_by_a_push(
    stubs: wire.Stubs, large: bytes, s3: services.S3, bucket: str
) -> None:
    name = await rotting.seal(stubs, "1.0.0", {"w/weights.bin": large, "config.json": SMALL})
    digest = wire_uploads.digest_of(large)
    key = rotting.overwrite(s3, bucket, large, PART + 10)
    failure = await refused(stubs, f"{name}/files/w/weights.bin")
    assert (failure.code, failure.reason) == (grpc.StatusCode.DATA_LOSS, "BLOB_DAMAGED_IN_STORE")
    assert failure.metadata == {
        "resource": f"{name}/files/w/weights.bin",
        "path": "w/weights.bin",
        "digest": digest,
        "offset": str(PART),
        "length": str(MIB + 3),
    }
    assert "w/weights.bin" in failure.message
    assert f"bytes {PART:,} to {len(large):,} are damaged" in failure.message
    assert key not in failure.message
    await until_quarantined(stubs, name)
    failure = await refused(stubs, f"{name}/files/config.json")
    assert (failure.code, failure.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "VERSION_NOT_READY",
    )
    assert failure.metadata["state"] == "quarantined"
    missing = await stubs.artifact.FindMissingBlobs(
        pb.FindMissingBlobsRequest(parent=rotting.PARENT, digests=[digest])
    )
    assert missing.missing_digests == [digest]
    upload = await wire_uploads.push(stubs, rotting.PARENT, large)
    assert upload.state == pb.UPLOAD_STATE_COMMITTED
    assert set((await findings(stubs, name)).values()) == {(pb.FILE_VERDICT_OK, "")}
    found, _ = await wire_uploads.read(stubs, f"{rotting.PARENT}/blobs/{digest}")
    assert found == large


async def test_a_lost_object_is_told_and_sets_the_version_aside(
    stubs: wire.Stubs, large: bytes, s3: services.S3, bucket: str
) -> None:
    name = await rotting.seal(stubs, "1.0.0", {"w.bin": large, "config.json": SMALL})
    other = await rotting.seal(stubs, "2.0.0", {"config.json": SMALL})
    rotting.lose(s3, bucket, large)
    assert await findings(stubs, name) == {
        "w.bin": (pb.FILE_VERDICT_MISSING, "its bytes are lost"),
        "config.json": (pb.FILE_VERDICT_OK, ""),
    }
    await until_quarantined(stubs, name)
    assert await state_of(stubs, other) == registry_service_pb2.VERSION_STATE_READY
    failure = await refused(stubs, f"{rotting.PARENT}/blobs/{wire_uploads.digest_of(large)}")
    assert (failure.code, failure.reason) == (grpc.StatusCode.DATA_LOSS, "BLOB_LOST_BY_STORE")


async def test_files_of_versions_that_are_not_ready_say_why(stubs: wire.Stubs) -> None:
    name = await rotting.seal(stubs, "1.0.0", {"config.json": SMALL})
    await stubs.registry.DeleteVersion(registry_service_pb2.DeleteVersionRequest(name=name))
    failure = await refused(stubs, f"{name}/files/config.json")
    assert (failure.reason, failure.metadata["state"]) == ("VERSION_NOT_READY", "deleted")
    failure = await refused(stubs, f"{rotting.MODEL}/versions/9.9.9/files/config.json")
    assert failure.code is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await verify(stubs, name)
    failure = wire.failure_of(caught.value)
    assert (failure.code, failure.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "VERSION_NOT_SEALED",
    )
    restored = registry_service_pb2.RestoreVersionRequest(name=name)
    await stubs.registry.RestoreVersion(restored)
    failure = await refused(stubs, f"{name}/files/nothing.json")
    assert failure.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("name", ["", "x" * 10_000, "namespaces/a", f"{rotting.MODEL}/versions/x"])
async def test_a_hostile_name_is_refused(stubs: wire.Stubs, name: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await verify(stubs, name)
    failure = wire.failure_of(caught.value)
    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["name"])


HOSTILE_RANGES = [
    (0, 0),
    (0, 1),
    (1, 2**63 - 1),
    (PART - 1, 2),
    (PART, MIB),
    (PART + 1, PART),
    (PART + MIB + 2, 1),
    (PART + MIB + 3, 1),
    (MIB - 1, MIB + 2),
]


async def test_every_range_is_exact(stubs: wire.Stubs, large: bytes) -> None:
    name = await rotting.seal(stubs, "1.0.0", {"w.bin": large})
    for offset, limit in HOSTILE_RANGES:
        found, _ = await wire_uploads.read(stubs, f"{name}/files/w.bin", offset=offset, limit=limit)
        assert found == (large[offset : offset + limit] if limit else large[offset:]), offset
    for offset, limit in ((len(large) + 1, 0), (2**63 - 1, 1)):
        failure = await refused(stubs, f"{name}/files/w.bin", offset=offset, limit=limit)
        assert failure.code is grpc.StatusCode.OUT_OF_RANGE
    for offset, limit in ((-1, 0), (0, -1), (-(2**63), -(2**63))):
        failure = await refused(stubs, f"{name}/files/w.bin", offset=offset, limit=limit)
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT

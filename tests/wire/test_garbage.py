"""CollectGarbage, ListUploads and the reaper on the real server, over the real store."""

import asyncio
import dataclasses
import datetime
import json
import os
import random
import sys

import asyncpg
import grpc
import pytest
from support import services, wire, wire_uploads

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.domain import limits
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2

MIB, PART = wire_uploads.MIB, limits.MIN_PART_BYTES
ACME = "namespaces/acme"
LARGE = random.Random(3).randbytes(PART + MIB)
LONG_AGO = "UPDATE blob SET touched_at = now() - interval '30 days'"
EXPIRE = "UPDATE upload SET expires_at = now() - interval '1 day'"


@pytest.fixture
def config(config: configuration.Config) -> configuration.Config:
    """The reaper comes every second."""
    return dataclasses.replace(config, reap_interval_s=1)


@pytest.fixture
async def acme(stubs: wire.Stubs) -> str:
    await stubs.registry.CreateNamespace(
        registry_service_pb2.CreateNamespaceRequest(namespace_id="acme")
    )
    return ACME


async def collect(stubs: wire.Stubs, **fields: object) -> pb.CollectGarbageResponse:
    request = pb.CollectGarbageRequest(parent=ACME, **fields)  # type: ignore[arg-type]
    return await stubs.artifact.CollectGarbage(request)


async def push_old(stubs: wire.Stubs, config: configuration.Config, *contents: bytes) -> list[str]:
    """Blobs nobody refers to, older than the grace period; their digests, sorted."""
    for content in contents:
        await wire_uploads.push(stubs, ACME, content)
    await services.execute(config.database_url, LONG_AGO)
    return sorted(wire_uploads.digest_of(content) for content in contents)


async def test_a_dry_run_tells_what_goes_and_why_and_the_run_removes_just_that(
    stubs: wire.Stubs, acme: str, config: configuration.Config, s3: services.S3
) -> None:
    digests = await push_old(stubs, config, b"one", LARGE)
    await wire_uploads.push(stubs, acme, b"young")
    told = await collect(stubs, dry_run=True)
    assert [blob.digest for blob in told.blobs] == digests
    assert told.grace_period.ToTimedelta() == datetime.timedelta(days=7)
    (large,) = [blob for blob in told.blobs if blob.size_bytes == len(LARGE)]
    assert large.name == f"{ACME}/blobs/{large.digest}"
    assert large.reason == pb.GARBAGE_REASON_UNREACHED
    age = large.create_time.ToDatetime() - large.last_use_time.ToDatetime()
    assert age > datetime.timedelta(days=29)
    assert (await collect(stubs, request_id="r")).blobs == told.blobs
    assert (await collect(stubs, request_id="r")).blobs == told.blobs  # the same answer again
    assert not (await collect(stubs)).blobs
    missing = await stubs.artifact.FindMissingBlobs(
        pb.FindMissingBlobsRequest(parent=acme, digests=digests)
    )
    assert missing.missing_digests == digests
    assert len(list(s3.client().list_objects(config.s3_bucket, recursive=True))) == 1


@pytest.mark.usefixtures("acme")
async def test_a_collection_goes_on_page_by_page_each_with_a_request_id_of_its_own(
    stubs: wire.Stubs, config: configuration.Config
) -> None:
    digests = await push_old(stubs, config, *(bytes([n]) for n in range(5)))
    found, token, pages = [], "", 0
    while token or not pages:
        page = await collect(stubs, request_id=f"r{pages}", page_size=2, page_token=token)
        assert len(page.blobs) <= 2
        found += [blob.digest for blob in page.blobs]
        token, pages = page.next_page_token, pages + 1
    assert found == digests
    failure = await wire.failing(collect(stubs, dry_run=True, page_token="forged"))
    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["page_token"])


async def test_uploads_are_listed_by_state_and_page(stubs: wire.Stubs, acme: str) -> None:
    opened = [await wire_uploads.start(stubs, acme, bytes([n])) for n in range(3)]
    done = await wire_uploads.push(stubs, acme, b"done")
    states = [pb.UPLOAD_STATE_ACTIVE, pb.UPLOAD_STATE_VERIFYING]
    request = pb.ListUploadsRequest(parent=acme, states=states, page_size=2)
    first = await stubs.artifact.ListUploads(request)
    request.page_token = first.next_page_token
    second = await stubs.artifact.ListUploads(request)
    assert second.next_page_token == ""
    listed = [*first.uploads, *second.uploads]
    assert sorted(listed, key=str) == sorted(opened, key=str)
    everything = await stubs.artifact.ListUploads(pb.ListUploadsRequest(parent=acme))
    assert len(everything.uploads) == 4
    request = pb.ListUploadsRequest(parent=acme, states=[pb.UPLOAD_STATE_COMMITTED])
    assert list((await stubs.artifact.ListUploads(request)).uploads) == [done]
    request = pb.ListUploadsRequest(parent=acme, states=[1, 99])  # type: ignore[list-item]
    failure = await wire.failing(stubs.artifact.ListUploads(request))
    assert failure.fields == ["states[1]"]


async def test_the_reaper_gives_up_what_is_abandoned_and_empties_the_store(
    stubs: wire.Stubs, acme: str, config: configuration.Config, s3: services.S3
) -> None:
    upload = await wire_uploads.start(stubs, acme, LARGE)
    messages = wire_uploads.messages_of(upload.name, LARGE, 0, PART, finish=False)
    await wire_uploads.write(stubs, messages)
    assert len(s3.client()._list_multipart_uploads(config.s3_bucket).uploads) == 1
    await services.execute(config.database_url, EXPIRE)
    async with asyncio.timeout(20):  # nobody signals that it is done
        state = pb.UPLOAD_STATE_ACTIVE
        while state == pb.UPLOAD_STATE_ACTIVE:
            await asyncio.sleep(0.05)
            state = (await wire_uploads.get(stubs, upload.name)).state
    assert state == pb.UPLOAD_STATE_ABORTED
    async with asyncio.timeout(20):
        listing = s3.client()._list_multipart_uploads
        while listing(config.s3_bucket).uploads:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.05)
    connection = await asyncpg.connect(config.database_url)
    actor = await connection.fetchval("SELECT actor FROM audit_event ORDER BY seq DESC LIMIT 1")
    await connection.close()
    assert actor == "system"


async def run(endpoint: str, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env=services.clean_environ(MODELKEEP_ENDPOINT=endpoint, PATH=os.environ["PATH"]),
    )
    stdout, _ = await process.communicate()
    assert process.returncode == 0
    return stdout.decode()


async def test_the_command_line_shows_and_collects(
    stubs: wire.Stubs, endpoint: str, acme: str, config: configuration.Config
) -> None:
    (digest,) = await push_old(stubs, config, b"one")
    told = json.loads(await run(endpoint, "gc", "--dry-run", "-o", "json"))
    assert (told["dry_run"], told["total_bytes"]) == (True, 3)
    assert [(blob["digest"], blob["reason"]) for blob in told["blobs"]] == [(digest, "unreached")]
    shown = (await run(endpoint, "gc", "acme", "--dry-run")).splitlines()
    assert "REASON" in shown[0]
    assert shown[-1] == "1 blob, 3 B would go, which would free 3 B at once"
    done = (await run(endpoint, "gc", "acme")).splitlines()[-1]
    assert done == "1 blob, 3 B removed, 3 B freed at once"
    assert await run(endpoint, "gc") == "nothing to remove\n"
    upload = await wire_uploads.start(stubs, acme, b"two")
    (listed,) = json.loads(await run(endpoint, "uploads", "ls", "-o", "json"))
    assert (listed["name"], listed["state"], listed["size_bytes"]) == (upload.name, "active", 3)
    assert upload.name in await run(endpoint, "uploads", "ls", "acme")
    assert await run(endpoint, "uploads", "abort", upload.name) == f"{upload.name} given up\n"
    assert json.loads(await run(endpoint, "uploads", "ls", "-o", "json")) == []
    assert len(json.loads(await run(endpoint, "uploads", "ls", "--all", "-o", "json"))) == 1


async def test_the_sdk_lists_and_collects(
    stubs: wire.Stubs, endpoint: str, acme: str, config: configuration.Config
) -> None:
    digests = await push_old(stubs, config, *(bytes([n]) for n in range(3)))
    upload = await wire_uploads.start(stubs, acme, b"open")
    async with client.connect(endpoint) as registry:
        (listed,) = [each async for each in registry.list_uploads("acme")]
        assert (listed.name, listed.creator) == (upload.name, "anonymous")
        told = [blob async for blob in registry.collect_garbage("acme", dry_run=True)]
        assert [blob.digest for blob in told] == digests
        assert {blob.reason for blob in told} == {client.GarbageReason.UNREACHED}
        assert [blob async for blob in registry.collect_garbage("acme")] == told
        assert [blob async for blob in registry.collect_garbage("acme")] == []

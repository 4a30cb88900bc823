"""BatchWriteBlobs and BatchReadBlobs over the wire, against the real store and database."""

import asyncio
import io
import pickle
from typing import Any

import asyncpg
import google_crc32c
import grpc
import pytest
from google.rpc import code_pb2
from support import services, uploading, wire, wire_uploads

from modelkeep import config as configuration
from modelkeep.domain import limits
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2

ACME, OTHER = "namespaces/acme", "namespaces/other"
KIB = limits.KIB
digest_of = wire_uploads.digest_of


@pytest.fixture(autouse=True)
async def _namespaces(stubs: wire.Stubs) -> None:
    for namespace in ("acme", "other"):
        await stubs.registry.CreateNamespace(
            registry_service_pb2.CreateNamespaceRequest(namespace_id=namespace)
        )


def blob_of(content: bytes, digest: str = "") -> pb.SmallBlob:
    return pb.SmallBlob(digest=digest or digest_of(content), data=content)


async def write(
    stubs: wire.Stubs, blobs: list[pb.SmallBlob], parent: str = ACME, request_id: str = ""
) -> list[pb.WrittenBlob]:
    request = pb.BatchWriteBlobsRequest(parent=parent, blobs=blobs, request_id=request_id)
    return list((await stubs.artifact.BatchWriteBlobs(request)).blobs)


async def read(stubs: wire.Stubs, digests: list[str], parent: str = ACME) -> list[pb.ReadSmallBlob]:
    request = pb.BatchReadBlobsRequest(parent=parent, digests=digests)
    return list((await stubs.artifact.BatchReadBlobs(request)).blobs)


def codes(blobs: list[Any]) -> list[int]:
    return [blob.status.code for blob in blobs]


def objects_in(s3: services.S3, bucket: str) -> list[str]:
    return [entry.object_name for entry in s3.client().list_objects(bucket, recursive=True)]


async def events_of(config: configuration.Config, action: str) -> list[str]:
    connection = await asyncpg.connect(config.database_url)
    rows = await connection.fetch(
        "SELECT a.resource, a.after FROM audit_event a JOIN event_log e USING (namespace_id, seq)"
        " WHERE a.action = $1 AND e.action = $1 ORDER BY seq",
        action,
    )
    await connection.close()
    return [f"{row['resource']} {row['after']}" for row in rows]


async def test_a_batch_goes_in_and_comes_out(
    stubs: wire.Stubs,
    s3: services.S3,
    bucket: str,
    config: configuration.Config,
) -> None:
    contents = [b"", b"x", uploading.content_of(256 * KIB)]
    written = await write(stubs, [blob_of(content) for content in contents])
    assert [(blob.digest, blob.size_bytes) for blob in written] == [
        (digest_of(content), len(content)) for content in contents
    ]
    assert codes(written) == [code_pb2.OK] * 3
    assert len(objects_in(s3, bucket)) == 1  # all together
    found = await read(stubs, [digest_of(content) for content in reversed(contents)])
    assert [blob.data for blob in found] == list(reversed(contents))
    assert [blob.crc32c for blob in found] == [google_crc32c.value(blob.data) for blob in found]
    # They are blobs like any other, and one event tells of all.
    name = f"{ACME}/blobs/{digest_of(b'x')}"
    assert (await wire_uploads.read(stubs, name))[0] == b"x"
    (told,) = await events_of(config, "blobs.stored")
    assert told.startswith(f"{ACME} ")
    assert all(f'{{"digest":"{digest_of(c)}","size_bytes":{len(c)}}}' in told for c in contents)


async def test_wrong_bytes_are_refused_and_the_rest_is_stored(
    stubs: wire.Stubs, s3: services.S3, bucket: str
) -> None:
    wrong = digest_of(b"something else")
    written = await write(stubs, [blob_of(b"a"), blob_of(b"b", wrong), blob_of(b"c")])
    assert codes(written) == [code_pb2.OK, code_pb2.DATA_LOSS, code_pb2.OK]
    status = written[1].status
    assert status.reason == "DIGEST_MISMATCH"
    assert digest_of(b"b") in status.message
    assert wrong in status.message
    found = await read(stubs, [digest_of(b"a"), wrong, digest_of(b"b"), digest_of(b"c")])
    assert codes(found) == [code_pb2.OK, code_pb2.NOT_FOUND, code_pb2.NOT_FOUND, code_pb2.OK]
    assert [blob.HasField("crc32c") for blob in found] == [True, False, False, True]
    assert len(objects_in(s3, bucket)) == 1


async def test_what_is_there_or_comes_twice_is_stored_once(
    stubs: wire.Stubs, s3: services.S3, bucket: str, config: configuration.Config
) -> None:
    await wire_uploads.push(stubs, ACME, b"uploaded")
    written = await write(
        stubs,
        [blob_of(b"uploaded"), blob_of(b"new"), blob_of(b"new"), blob_of(b"b", digest_of(b"new"))],
    )
    assert codes(written) == [code_pb2.OK, code_pb2.OK, code_pb2.OK, code_pb2.DATA_LOSS]
    assert len(objects_in(s3, bucket)) == 2
    # A digest that is held is no excuse for other bytes; and nothing new is no event.
    again = await write(stubs, [blob_of(b"uploaded"), blob_of(b"b", digest_of(b"uploaded"))])
    assert codes(again) == [code_pb2.OK, code_pb2.DATA_LOSS]
    assert len(await events_of(config, "blobs.stored")) == 1
    # An upload of it needs no byte.
    upload = await wire_uploads.start(stubs, ACME, b"new")
    assert upload.state == pb.UPLOAD_STATE_COMMITTED


async def test_batches_at_once_leave_one_row_and_no_orphan(
    stubs: wire.Stubs, s3: services.S3, bucket: str, config: configuration.Config
) -> None:
    contents = [uploading.content_of(1000, seed) for seed in range(20)]
    orders = [contents[n:] + contents[:n] for n in range(6)]
    answers = await asyncio.gather(
        *(write(stubs, [blob_of(content) for content in order]) for order in orders)
    )
    assert all(codes(written) == [code_pb2.OK] * 20 for written in answers)
    connection = await asyncpg.connect(config.database_url)
    keys = {row["storage_key"] for row in await connection.fetch("SELECT storage_key FROM blob")}
    packs = {row["storage_key"] for row in await connection.fetch("SELECT storage_key FROM pack")}
    await connection.close()
    assert keys == packs == set(objects_in(s3, bucket))
    told = " ".join(await events_of(config, "blobs.stored"))
    assert all(told.count(digest_of(content)) == 1 for content in contents)
    found = await read(stubs, [digest_of(content) for content in contents])
    assert [blob.data for blob in found] == contents


async def test_a_repeated_request_gets_its_answer_and_stores_nothing_twice(
    stubs: wire.Stubs, s3: services.S3, bucket: str
) -> None:
    blobs = [blob_of(b"a"), blob_of(b"b", digest_of(b"a"))]
    first = await write(stubs, blobs, request_id="r1")
    assert await write(stubs, blobs, request_id="r1") == first
    assert len(objects_in(s3, bucket)) == 1
    for other in ([blob_of(b"c")], [blob_of(b"a"), blob_of(b"c", digest_of(b"a"))]):
        failure = await wire.failing(write(stubs, other, request_id="r1"))
        assert failure.reason == "REQUEST_ID_REUSED"
    assert len(objects_in(s3, bucket)) == 1


@pytest.mark.parametrize(
    ("blobs", "fields"),
    [
        ([], ["blobs"]),
        ([blob_of(bytes([n % 256, n // 256])) for n in range(501)], ["blobs"]),
        ([blob_of(b"a"), blob_of(bytes(256 * KIB + 1))], ["blobs[1].data"]),
        ([blob_of(bytes([n]) * 250_000) for n in range(8)] + [blob_of(bytes(97_153))], ["blobs"]),
        ([blob_of(b"a", "md5:1"), pb.SmallBlob(data=b"b")], ["blobs[0].digest", "blobs[1].digest"]),
    ],
    ids=["none", "too many", "one too large", "too large together", "no digests"],
)
async def test_a_batch_that_cannot_be_taken_stores_nothing(
    stubs: wire.Stubs,
    s3: services.S3,
    bucket: str,
    blobs: list[pb.SmallBlob],
    fields: list[str],
) -> None:
    failure = await wire.failing(write(stubs, blobs))
    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, fields)
    assert objects_in(s3, bucket) == []


async def test_the_largest_batch_fits_into_a_message(stubs: wire.Stubs) -> None:
    size = limits.BATCH_BYTES // limits.BATCH_BLOBS
    contents = [uploading.content_of(size, seed) for seed in range(limits.BATCH_BLOBS)]
    request = pb.BatchWriteBlobsRequest(
        parent=f"namespaces/{'n' * 128}",
        blobs=[blob_of(content) for content in contents],
        request_id="r" * 128,
    )
    assert request.ByteSize() <= limits.MAX_MESSAGE_BYTES
    assert codes(await write(stubs, list(request.blobs))) == [code_pb2.OK] * len(contents)
    found = await read(stubs, [digest_of(content) for content in contents])
    assert [blob.data for blob in found] == contents


async def test_an_answer_that_is_full_asks_for_the_rest_again(stubs: wire.Stubs) -> None:
    contents = [uploading.content_of(256 * KIB, seed) for seed in range(9)]
    for content in contents:
        await write(stubs, [blob_of(content)])
    await write(stubs, [blob_of(b"small")])
    digests = [digest_of(content) for content in contents]
    found = await read(stubs, [*digests, digest_of(b"small"), digests[0]])
    assert codes(found) == [code_pb2.OK] * 8 + [code_pb2.RESOURCE_EXHAUSTED] * 2
    assert {blob.status.reason for blob in found[8:]} == {"BATCH_FULL"}
    assert [blob.data for blob in found] == [*contents[:8], b"", b""]
    rest = await read(stubs, [blob.digest for blob in found[8:]])
    assert [blob.data for blob in rest] == [contents[8], b"small"]


async def test_a_large_blob_is_not_read_in_a_batch(stubs: wire.Stubs) -> None:
    large = uploading.content_of(256 * KIB + 1)
    await wire_uploads.push(stubs, ACME, large)
    await write(stubs, [blob_of(b"a")])
    found = await read(stubs, [digest_of(large), digest_of(b"a")])
    assert codes(found) == [code_pb2.FAILED_PRECONDITION, code_pb2.OK]
    assert found[0].status.reason == "BLOB_TOO_LARGE"
    assert "ReadBlob" in found[0].status.message


async def test_a_digest_of_another_namespace_tells_nothing(
    stubs: wire.Stubs, s3: services.S3, bucket: str
) -> None:
    await write(stubs, [blob_of(b"secret")], parent=OTHER)
    held, unknown = digest_of(b"secret"), digest_of(b"nobody has this")
    found = await read(stubs, [held, unknown])
    assert codes(found) == [code_pb2.NOT_FOUND] * 2
    assert found[0].status.message.replace(held, unknown) == found[1].status.message
    written = await write(stubs, [blob_of(b"guess", held), blob_of(b"guess", unknown)])
    assert codes(written) == [code_pb2.DATA_LOSS] * 2
    assert written[0].status.message.replace(held, unknown) == written[1].status.message
    # To use it, its bytes must be sent, and are stored anew.
    await write(stubs, [blob_of(b"secret")])
    assert len(objects_in(s3, bucket)) == 2


@pytest.mark.parametrize("digests", [[], ["md5:1"], [digest_of(b"")] * 501])
async def test_a_reading_that_makes_no_sense_is_told_why(
    stubs: wire.Stubs, digests: list[str]
) -> None:
    failure = await wire.failing(read(stubs, digests))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields[0].startswith("digests")


async def test_a_namespace_that_is_not_there_is_not_found(stubs: wire.Stubs) -> None:
    none = "namespaces/none"
    for call in (write(stubs, [blob_of(b"a")], none), read(stubs, [digest_of(b"a")], none)):
        assert (await wire.failing(call)).code is grpc.StatusCode.NOT_FOUND


async def test_what_rotted_or_is_lost_is_data_loss_for_that_blob_alone(
    stubs: wire.Stubs, s3: services.S3, bucket: str
) -> None:
    await write(stubs, [blob_of(b"rotten")])
    (rotten,) = objects_in(s3, bucket)
    await write(stubs, [blob_of(b"lost")])
    (lost,) = set(objects_in(s3, bucket)) - {rotten}
    await write(stubs, [blob_of(b"fine")])
    s3.client().put_object(bucket, rotten, io.BytesIO(b"Rotten"), 6)
    s3.client().remove_object(bucket, lost)
    found = await read(stubs, [digest_of(each) for each in (b"rotten", b"lost", b"fine")])
    assert codes(found) == [code_pb2.DATA_LOSS, code_pb2.DATA_LOSS, code_pb2.OK]
    assert found[1].status.reason == "BLOB_LOST_BY_STORE"
    assert [blob.data for blob in found] == [b"", b"", b"fine"]


async def test_what_is_inside_is_known_before_a_seal_would_read_it_back(
    stubs: wire.Stubs, config: configuration.Config
) -> None:
    pickled = pickle.dumps({"a": 1})
    await write(stubs, [blob_of(pickled), blob_of(b"plain text")])
    connection = await asyncpg.connect(config.database_url)
    rows = await connection.fetch("SELECT digest, format FROM blob_facts")
    await connection.close()
    formats = {f"sha256:{row['digest'].hex()}": row["format"] for row in rows}
    assert formats.keys() == {digest_of(pickled), digest_of(b"plain text")}
    assert formats[digest_of(pickled)] == "pickle"

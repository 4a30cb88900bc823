"""ArtifactService over the wire, against the real store."""

import io
import random

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from support import services, wire, wire_uploads

import modelkeep
from modelkeep.domain import limits
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2

MIB = wire_uploads.MIB
PART = limits.MIN_PART_BYTES
ACME = "namespaces/acme"


@pytest.fixture(scope="module")
def content() -> bytes:
    """A blob of two whole parts and a bit."""
    return random.Random(7).randbytes(2 * PART + 3 * MIB + 5)


@pytest.fixture
async def acme(stubs: wire.Stubs) -> str:
    await stubs.registry.CreateNamespace(
        registry_service_pb2.CreateNamespaceRequest(namespace_id="acme")
    )
    return ACME


def blob_name(content: bytes) -> str:
    return f"{ACME}/blobs/{wire_uploads.digest_of(content)}"


async def test_the_capabilities_are_the_limits(stubs: wire.Stubs) -> None:
    found = await stubs.artifact.GetCapabilities(pb.GetCapabilitiesRequest())
    assert found == pb.GetCapabilitiesResponse(
        server_version=modelkeep.__version__,
        chunk_bytes=1 << 20,
        max_chunk_bytes=2 << 20,
        max_message_bytes=(2 << 20) + (64 << 10),
        min_part_bytes=16 << 20,
        max_parts=10_000,
        max_blob_bytes=5 << 40,
        max_streams_per_upload=limits.STREAMS_PER_UPLOAD,
        max_files_per_version=10_000,
        max_find_missing=1000,
        max_batch_blob_bytes=256 << 10,
        max_batch_bytes=2 << 20,
        max_batch_blobs=500,
        max_transfer_urls=64,
        max_streams=256,
        max_watches=10_000,
        max_streams_per_connection=1000,
        max_deadline_seconds=3600,
        min_upload_bytes_per_second=16 << 10,
    )


async def test_a_blob_goes_in_and_comes_out(stubs: wire.Stubs, acme: str, content: bytes) -> None:
    digest = wire_uploads.digest_of(content)
    upload = await wire_uploads.start(stubs, acme, content)
    assert upload.state == pb.UPLOAD_STATE_ACTIVE
    assert upload.part_size_bytes == PART
    assert upload.creator == "anonymous"
    assert upload.expire_time.seconds - upload.create_time.seconds == 7 * 24 * 3600
    answers = await wire_uploads.write(stubs, wire_uploads.messages_of(upload.name, content))
    offsets = [answer.persisted_offset for answer in answers]
    assert offsets == [PART, 2 * PART, len(content), len(content)]
    assert answers[-1].upload.persisted_ranges == [pb.ByteRange(start=0, end=len(content))]
    done = await wire_uploads.complete(stubs, upload.name)
    assert done.state == pb.UPLOAD_STATE_COMMITTED
    assert await wire_uploads.get(stubs, upload.name) == done
    found, messages = await wire_uploads.read(stubs, blob_name(content))
    assert found == content
    descriptor = pb.BlobDescriptor(digest=digest, size_bytes=len(content))
    assert messages[0].blob == descriptor
    assert not any(message.HasField("blob") for message in messages[1:])


async def test_an_empty_blob_needs_no_stream(stubs: wire.Stubs, acme: str) -> None:
    upload = await wire_uploads.push(stubs, acme, b"")
    assert upload.state == pb.UPLOAD_STATE_COMMITTED
    found, (message,) = await wire_uploads.read(stubs, blob_name(b""))
    assert found == b""
    assert message.blob.size_bytes == 0


async def test_a_file_of_a_sealed_version_is_read_by_its_path(stubs: wire.Stubs, acme: str) -> None:
    await wire_uploads.push(stubs, acme, b"weights")
    await stubs.registry.CreateModel(
        registry_service_pb2.CreateModelRequest(
            parent=acme,
            model_id="m",
            model=registry_service_pb2.Model(kind=registry_service_pb2.MODEL_KIND_MODEL),
        )
    )
    version = registry_service_pb2.Version()
    version.model.framework = "onnx"
    draft = await stubs.registry.CreateVersion(
        registry_service_pb2.CreateVersionRequest(
            parent=f"{acme}/models/m", version_id="1.0.0", version=version
        )
    )
    file = registry_service_pb2.File(
        path="a b/w@1.onnx", digest=wire_uploads.digest_of(b"weights"), size_bytes=7
    )
    name = f"{draft.version.name}/files/a b/w@1.onnx"
    failure = await expect_read(stubs, name, grpc.StatusCode.FAILED_PRECONDITION)
    assert (failure.reason, failure.metadata["state"]) == ("VERSION_NOT_READY", "draft")
    await stubs.registry.FinalizeVersion(
        registry_service_pb2.FinalizeVersionRequest(name=draft.version.name, files=[file])
    )
    assert (await wire_uploads.read(stubs, name))[0] == b"weights"
    assert (await wire_uploads.read(stubs, name, offset=2, limit=3))[0] == b"igh"


async def expect_read(
    stubs: wire.Stubs, name: str, code: grpc.StatusCode, **fields: int
) -> wire.Failure:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire_uploads.read(stubs, name, **fields)
    failure = wire.failure_of(caught.value)
    assert failure.code is code
    return failure


async def test_ranges_end_at_the_end_and_never_begin_beyond(stubs: wire.Stubs, acme: str) -> None:
    await wire_uploads.push(stubs, acme, b"abcdef")
    name = blob_name(b"abcdef")
    assert (await wire_uploads.read(stubs, name, offset=4, limit=100))[0] == b"ef"
    assert (await wire_uploads.read(stubs, name, offset=6))[0] == b""
    await expect_read(stubs, name, grpc.StatusCode.OUT_OF_RANGE, offset=7)
    for field in ("offset", "limit"):
        failure = await expect_read(stubs, name, grpc.StatusCode.INVALID_ARGUMENT, **{field: -1})
        assert failure.fields == [field]


async def test_bytes_that_rotted_in_the_store_are_never_read_to_their_end(
    stubs: wire.Stubs, acme: str, content: bytes, s3: services.S3, bucket: str
) -> None:
    await wire_uploads.push(stubs, acme, content)
    (entry,) = s3.client().list_objects(bucket, recursive=True)
    rotten = content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]
    s3.client().put_object(bucket, entry.object_name, io.BytesIO(rotten), len(rotten))
    call = stubs.artifact.ReadBlob(pb.ReadBlobRequest(name=blob_name(content)))
    received = 0
    while received < PART - MIB:
        received += len((await call.read()).data)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    failure = wire.failure_of(caught.value)
    assert (failure.code, failure.reason) == (grpc.StatusCode.DATA_LOSS, "BLOB_DAMAGED_IN_STORE")
    assert (failure.metadata["offset"], failure.metadata["length"]) == ("0", str(PART))
    # Parts that are sound can be had, and nothing else tells of the store's own names.
    found, _ = await wire_uploads.read(stubs, blob_name(content), offset=PART)
    assert found == content[PART:]
    assert entry.object_name not in failure.message


async def test_a_stream_tells_why_it_ends_in_its_last_answer_to_who_still_writes(
    stubs: wire.Stubs, acme: str, content: bytes
) -> None:
    upload = await wire_uploads.start(stubs, acme, content)
    messages = wire_uploads.messages_of(upload.name, content)
    messages[17].crc32c ^= 1
    call = stubs.artifact.WriteUpload(iter(messages))  # writes on, whatever comes back
    answers: list[pb.WriteUploadResponse] = []

    async def hear() -> None:
        async for answer in call:
            answers.append(answer)  # noqa: PERF401 - what comes before the error counts

    with pytest.raises(grpc.aio.AioRpcError):
        await hear()
    *before, last = answers
    told = status_pb2.Status.FromString(last.failure)
    reason = error_details_pb2.ErrorInfo()
    assert told.details[0].Unpack(reason)
    assert (told.code, reason.reason) == (grpc.StatusCode.DATA_LOSS.value[0], "CHUNK_CORRUPT")
    assert last.persisted_offset == PART
    assert [answer.failure for answer in before] == [b""] * len(before)


async def test_a_damaged_chunk_is_data_loss_and_its_part_is_sent_again(
    stubs: wire.Stubs, acme: str, content: bytes
) -> None:
    upload = await wire_uploads.start(stubs, acme, content)
    messages = wire_uploads.messages_of(upload.name, content)
    messages[17].crc32c ^= 1
    # No more than that: the Python client loses the status when it is still writing (grpc#36066).
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire_uploads.write(stubs, messages[:18])
    failure = wire.failure_of(caught.value)
    assert (failure.code, failure.reason) == (grpc.StatusCode.DATA_LOSS, "CHUNK_CORRUPT")
    assert failure.metadata["offset"] == str(17 * MIB)
    kept = await wire_uploads.get(stubs, upload.name)
    assert kept.persisted_ranges == [pb.ByteRange(start=0, end=PART)]
    await wire_uploads.write(stubs, wire_uploads.messages_of(upload.name, content, PART))
    done = await wire_uploads.complete(stubs, upload.name)
    assert done.state == pb.UPLOAD_STATE_COMMITTED


async def test_bytes_of_another_digest_are_data_loss_and_leave_nothing(
    stubs: wire.Stubs, acme: str, content: bytes, s3: services.S3, bucket: str
) -> None:
    upload = await wire_uploads.start(stubs, acme, content)
    wrong = content[:-1] + bytes([content[-1] ^ 1])
    await wire_uploads.write(stubs, wire_uploads.messages_of(upload.name, wrong))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire_uploads.complete(stubs, upload.name)
    failure = wire.failure_of(caught.value)
    assert (failure.code, failure.reason) == (grpc.StatusCode.DATA_LOSS, "DIGEST_MISMATCH")
    state = (await wire_uploads.get(stubs, upload.name)).state
    assert state == pb.UPLOAD_STATE_FAILED
    await expect_read(stubs, blob_name(content), grpc.StatusCode.NOT_FOUND)
    assert list(s3.client().list_objects(bucket, recursive=True)) == []


@pytest.mark.parametrize(
    ("message", "code", "detail"),
    [
        ({"offset": 1, "data": b"x"}, grpc.StatusCode.OUT_OF_RANGE, {"expected_offset": "0"}),
        ({"offset": -1, "data": b"x"}, grpc.StatusCode.INVALID_ARGUMENT, ["offset"]),
        ({"data": bytes(2 * MIB + 1)}, grpc.StatusCode.INVALID_ARGUMENT, ["data"]),
        ({"name": "", "data": b"x"}, grpc.StatusCode.INVALID_ARGUMENT, ["name"]),
        ({"name": "x", "data": b"x"}, grpc.StatusCode.INVALID_ARGUMENT, ["name"]),
        ({"data": bytes(101)}, grpc.StatusCode.OUT_OF_RANGE, {"expected_offset": "100"}),
        ({"name": f"{ACME}/uploads/{'0' * 32}"}, grpc.StatusCode.NOT_FOUND, {}),
        ({"data": bytes(3 * MIB)}, grpc.StatusCode.RESOURCE_EXHAUSTED, {}),
    ],
    ids=["gap", "negative", "large", "unnamed", "misnamed", "beyond", "unknown", "message"],
)
async def test_a_stream_that_cannot_be_taken_is_told_why(
    stubs: wire.Stubs, acme: str, message: dict[str, object], code: grpc.StatusCode, detail: object
) -> None:
    content = bytes(100)
    upload = await wire_uploads.start(stubs, acme, content)
    request = pb.WriteUploadRequest(**({"name": upload.name} | message))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire_uploads.write(stubs, [request])
    failure = wire.failure_of(caught.value)
    assert failure.code is code
    if isinstance(detail, list):
        assert failure.fields == detail
    else:
        assert failure.metadata.items() >= detail.items()
    # The server is unharmed.
    done = await wire_uploads.push(stubs, acme, content)
    assert done.state == pb.UPLOAD_STATE_COMMITTED


async def test_a_stream_without_any_message_is_told_to_name_the_upload(
    stubs: wire.Stubs,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire_uploads.write(stubs, [])
    assert wire.failure_of(caught.value).fields == ["name"]


async def test_completing_too_early_names_what_is_missing(stubs: wire.Stubs, acme: str) -> None:
    upload = await wire_uploads.start(stubs, acme, bytes(100))
    failure = await wire.failing(
        stubs.artifact.CompleteUpload(pb.CompleteUploadRequest(name=upload.name))
    )
    assert failure.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.reason == "UPLOAD_INCOMPLETE"
    assert failure.metadata == {"missing_start": "0", "missing_end": "100"}


async def test_abort_and_what_follows(stubs: wire.Stubs, acme: str) -> None:
    upload = await wire_uploads.start(stubs, acme, bytes(100))
    request = pb.AbortUploadRequest(name=upload.name)
    for _ in range(2):
        aborted = (await stubs.artifact.AbortUpload(request)).upload
        assert aborted.state == pb.UPLOAD_STATE_ABORTED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wire_uploads.write(stubs, wire_uploads.messages_of(upload.name, bytes(100)))
    assert wire.failure_of(caught.value).reason == "UPLOAD_NOT_ACTIVE"


async def test_missing_blobs_are_found(stubs: wire.Stubs, acme: str) -> None:
    await wire_uploads.push(stubs, acme, b"held")
    held, one, two = (wire_uploads.digest_of(each) for each in (b"held", b"one", b"two"))
    found = await stubs.artifact.FindMissingBlobs(
        pb.FindMissingBlobsRequest(parent=acme, digests=[two, held, one, two])
    )
    assert found.missing_digests == [two, one]
    for digests in ([], [one] * 1001, ["md5:1"]):
        failure = await wire.failing(
            stubs.artifact.FindMissingBlobs(
                pb.FindMissingBlobsRequest(parent=acme, digests=digests)
            )
        )
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert failure.fields[0].startswith("digests")

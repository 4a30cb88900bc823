"""Short messages that stand for very much: answered at once, in bounded memory.

None of these tests looks at a clock, because machines differ: the limit of time is that of the
whole suite, which each of these would have met before what it is about was put right.
"""

import grpc
import pytest
from support import wire, wire_uploads

from modelkeep.domain import limits
from modelkeep.transport import crowding
from modelkeep.v1 import artifact_service_pb2 as artifact_pb
from modelkeep.v1 import registry_service_pb2 as pb

DIGEST = "sha256:" + "ab" * 32


def tagged(number: int, content: bytes) -> bytes:
    """A length-delimited field, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


async def raw(stubs: wire.Stubs, service: str, method: str, content: bytes) -> wire.Failure:
    call = stubs.channel.unary_unary(f"/modelkeep.v1.{service}/{method}")
    return await wire.failing(call(content, timeout=60))


@pytest.mark.parametrize(
    ("service", "method", "field", "number"),
    [
        ("RegistryService", "FinalizeVersion", "files", 2),
        ("ArtifactService", "FindMissingBlobs", "digests", 2),
        ("EvaluationService", "CompareVersions", "refs", 1),
    ],
)
async def test_a_million_entries_are_refused_naming_the_field(
    stubs: wire.Stubs, service: str, method: str, field: str, number: int
) -> None:
    failure = await raw(stubs, service, method, tagged(number, b"") * 1_000_000)
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields == [field]


async def test_a_million_entries_within_entries_are_refused(stubs: wire.Stubs) -> None:
    scores = tagged(1, b"") * 60
    failure = await raw(
        stubs,
        "EvaluationService",
        "RecordEvaluation",
        (tagged(3, scores) + tagged(4, b"")) * 15_000,
    )
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_as_many_bad_files_as_go_through_are_told_in_a_short_answer(
    stubs: wire.Stubs,
) -> None:
    """Every one of them is wrong in three ways; the answer still fits into the trailers."""
    draft = await stubs.draft(await stubs.new_model())
    files = [pb.File(path=f"/{n}/..", digest="x", size_bytes=-1) for n in range(50_000)]
    request = pb.FinalizeVersionRequest(name=draft.name, files=files)
    failure = await wire.failing(stubs.registry.FinalizeVersion(request, timeout=60))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields
    assert "more" in failure.message


async def test_paths_as_deep_as_they_can_be_are_taken(stubs: wire.Stubs) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    parent = model.partition("/models/")[0]
    await wire_uploads.push(stubs, parent, b"x")
    digest = wire_uploads.digest_of(b"x")
    deep = ["/".join([*"a" * 500, f"{n}"]) for n in range(1500)]
    draft = await stubs.registry.CreateVersion(
        pb.CreateVersionRequest(parent=model, version_id="1.0.0")
    )
    files = [pb.File(path=path, digest=digest, size_bytes=1) for path in deep]
    sealed = await stubs.registry.FinalizeVersion(
        pb.FinalizeVersionRequest(name=draft.version.name, files=files), timeout=60
    )
    assert sealed.version.file_count == 1500


async def test_messages_longer_than_allowed_are_refused_by_the_transport(
    stubs: wire.Stubs,
) -> None:
    request = artifact_pb.FindMissingBlobsRequest(parent="namespaces/a", digests=[DIGEST] * 40_000)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stubs.artifact.FindMissingBlobs(request)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_nesting_deeper_than_any_message_is_refused(stubs: wire.Stubs) -> None:
    nested = b""
    for _ in range(3000):
        size, length = len(nested), b""
        while size > 0x7F:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        nested = bytes([3 << 3 | 2]) + length + bytes([size]) + nested
    failure = await raw(stubs, "RegistryService", "CreateVersion", nested)
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_metadata_longer_than_allowed_ends_the_call_and_not_the_server(
    stubs: wire.Stubs,
) -> None:
    """A token of a megabyte, for example."""
    call = stubs.registry.ListNamespaces(
        pb.ListNamespacesRequest(), metadata=(("authorization", "Bearer " + "x" * 1_000_000),)
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() in {
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,  # what HTTP/2 itself says of a stream that was reset
        grpc.StatusCode.UNAVAILABLE,
    }
    await stubs.registry.ListNamespaces(pb.ListNamespacesRequest())


def test_the_bounds_leave_room_for_all_that_is_allowed() -> None:
    """Scores with an example's name each, and all files of a version with their folders."""
    assert crowding.MOST > 2 * limits.SCORES + limits.EVALUATION_METRICS
    assert crowding.MOST > 2 * limits.FILES_PER_VERSION

"""The rules that every RPC keeps: retries, etags, masks, pages, limits, errors."""

import asyncio
import base64
import itertools
from collections.abc import AsyncIterable

import grpc
import pytest
from google.protobuf import field_mask_pb2
from support import wire

from modelkeep.v1 import registry_service_pb2 as pb


async def test_a_repeated_request_gets_the_first_answer(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    request = pb.CreateVersionRequest(
        parent=model, version_id="1.0.0", version=wire.prompt_version(), request_id="r-1"
    )
    first = await stubs.registry.CreateVersion(request)
    changed = pb.Version(name=first.version.name, card="changed since")
    await stubs.registry.UpdateVersion(
        pb.UpdateVersionRequest(version=changed, update_mask={"paths": ["card"]})
    )
    assert await stubs.registry.CreateVersion(request) == first


async def test_the_same_request_sent_at_once_is_carried_out_once(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    request = pb.CreateVersionRequest(
        parent=model, version_id="1.0.0", version=wire.prompt_version(), request_id="r-1"
    )
    answers = await asyncio.gather(*(stubs.registry.CreateVersion(request) for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)
    assert (await stubs.draft(model, "1.0.1")).ordinal == 2


async def test_a_request_id_used_for_another_request_is_refused(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    await stubs.registry.CreateVersion(
        pb.CreateVersionRequest(
            parent=model, version_id="1.0.0", version=wire.prompt_version(), request_id="r-1"
        )
    )
    other = pb.CreateVersionRequest(
        parent=model, version_id="1.0.1", version=wire.prompt_version(), request_id="r-1"
    )
    failure = await wire.failing(stubs.registry.CreateVersion(other))
    assert (failure.code, failure.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
    )


async def test_a_request_that_failed_may_be_sent_again(stubs: wire.Stubs) -> None:
    await stubs.registry.CreateNamespace(pb.CreateNamespaceRequest(namespace_id="later"))
    request = pb.CreateVersionRequest(
        parent="namespaces/later/models/m",
        version_id="1.0.0",
        version=wire.prompt_version(),
        request_id="r-1",
    )
    failure = await wire.failing(stubs.registry.CreateVersion(request))
    assert failure.code is grpc.StatusCode.NOT_FOUND
    await stubs.registry.CreateModel(
        pb.CreateModelRequest(
            parent="namespaces/later", model_id="m", model=pb.Model(kind=pb.MODEL_KIND_PROMPT)
        )
    )
    assert (await stubs.registry.CreateVersion(request)).version.ordinal == 1


async def test_a_stale_etag_is_refused_by_every_mutation_that_takes_one(
    stubs: wire.Stubs,
) -> None:
    model = await stubs.new_model()
    version = await stubs.ready(model)
    alias = await stubs.alias(version.name, "a")
    namespace = model.rpartition("/models/")[0]
    stale = "stale"
    calls = [
        stubs.registry.UpdateNamespace(
            pb.UpdateNamespaceRequest(
                namespace=pb.Namespace(name=namespace, etag=stale),
                update_mask={"paths": ["description"]},
            )
        ),
        stubs.registry.UpdateModel(
            pb.UpdateModelRequest(
                model=pb.Model(name=model, etag=stale), update_mask={"paths": ["owner"]}
            )
        ),
        stubs.registry.DeleteModel(pb.DeleteModelRequest(name=model, etag=stale)),
        stubs.registry.RestoreModel(pb.RestoreModelRequest(name=model, etag=stale)),
        stubs.registry.UpdateVersion(
            pb.UpdateVersionRequest(
                version=pb.Version(name=version.name, etag=stale),
                update_mask={"paths": ["card"]},
            )
        ),
        stubs.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=version.name, etag=stale)),
        stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=version.name, etag=stale)),
        stubs.registry.RestoreVersion(pb.RestoreVersionRequest(name=version.name, etag=stale)),
        stubs.registry.SetAlias(
            pb.SetAliasRequest(alias=pb.Alias(name=alias.name, version=version.name, etag=stale))
        ),
        stubs.registry.DeleteAlias(pb.DeleteAliasRequest(name=alias.name, etag=stale)),
    ]
    for call in calls:
        failure = await wire.failing(call)
        assert (failure.code, failure.reason) == (grpc.StatusCode.ABORTED, "STALE_ETAG")


async def test_compare_and_set_of_an_alias_lets_one_of_many_win(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    versions = [await stubs.ready(model, f"1.{n}.0") for n in range(8)]
    alias = await stubs.alias(versions[0].name, "champion")

    async def move(version: pb.Version) -> str:
        request = pb.SetAliasRequest(
            alias=pb.Alias(name=alias.name, version=version.name, etag=alias.etag)
        )
        try:
            await stubs.registry.SetAlias(request)
        except grpc.aio.AioRpcError as error:
            return wire.failure_of(error).reason
        return "won"

    outcomes = await asyncio.gather(*(move(version) for version in versions[1:]))
    assert sorted(outcomes) == ["STALE_ETAG"] * 6 + ["won"]


async def test_if_absent_creates_and_never_moves(stubs: wire.Stubs) -> None:
    version = await stubs.ready(await stubs.new_model())
    await stubs.alias(version.name, "champion", if_absent=True)
    failure = await wire.failing(stubs.alias(version.name, "champion", if_absent=True))
    assert failure.code is grpc.StatusCode.ALREADY_EXISTS


async def test_an_update_takes_only_what_its_mask_names(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    changed = pb.Model(name=model, owner="ml-team", description="ignored")
    answer = await stubs.registry.UpdateModel(
        pb.UpdateModelRequest(model=changed, update_mask={"paths": ["owner"]})
    )
    assert (answer.model.owner, answer.model.description) == ("ml-team", "")


@pytest.mark.parametrize("paths", [[], ["name"], ["owner", "kind"], ["*"], ["owner.x"]])
async def test_an_unknown_mask_path_is_refused(stubs: wire.Stubs, paths: list[str]) -> None:
    request = pb.UpdateModelRequest(
        model=pb.Model(name="namespaces/a/models/m"),
        update_mask=field_mask_pb2.FieldMask(paths=paths),
    )
    failure = await wire.failing(stubs.registry.UpdateModel(request))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields == ["update_mask"]


async def pages(stubs: wire.Stubs, parent: str, size: int) -> list[list[str]]:
    found, token = [], ""
    while True:
        answer = await stubs.registry.ListVersions(
            pb.ListVersionsRequest(parent=parent, page_size=size, page_token=token)
        )
        found.append([version.version for version in answer.versions])
        token = answer.next_page_token
        if not token:
            return found


async def test_pages_give_every_entry_once_in_order(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    for n in range(7):
        await stubs.draft(model, f"1.0.{n}")
    newest_first = [f"1.0.{n}" for n in reversed(range(7))]
    for size in (1, 2, 3, 6, 7, 8, 1000, 100_000):
        found = await pages(stubs, model, size)
        assert list(itertools.chain(*found)) == newest_first
        assert all(len(page) <= size for page in found)


async def test_pages_neither_repeat_nor_skip_while_others_insert(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    for n in range(6):
        await stubs.draft(model, f"1.0.{n}")
    first = await stubs.registry.ListVersions(pb.ListVersionsRequest(parent=model, page_size=3))
    await stubs.draft(model, "9.0.0")
    second = await stubs.registry.ListVersions(
        pb.ListVersionsRequest(parent=model, page_size=3, page_token=first.next_page_token)
    )
    seen = [v.version for v in (*first.versions, *second.versions)]
    assert seen == [f"1.0.{n}" for n in reversed(range(6))]


async def test_a_page_ends_early_rather_than_outgrow_a_message(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    for n in range(70):
        version = wire.prompt_version()
        version.labels.update({f"key{k}": "x" * 256 for k in range(64)})
        await stubs.registry.CreateVersion(
            pb.CreateVersionRequest(parent=model, version_id=f"1.0.{n}", version=version)
        )
    request = pb.ListVersionsRequest(parent=model, page_size=1000)
    answer = await stubs.registry.ListVersions(request)
    assert answer.ByteSize() < 1.1 * 2**20
    assert 0 < len(answer.versions) < 70
    assert sum(map(len, await pages(stubs, model, 1000))) == 70


async def test_a_page_token_is_bound_to_its_query(stubs: wire.Stubs) -> None:
    model, other = await stubs.new_model(), await stubs.new_model()
    for n in range(3):
        await stubs.draft(model, f"1.0.{n}")
    first = await stubs.registry.ListVersions(pb.ListVersionsRequest(parent=model, page_size=1))
    token = first.next_page_token
    forged = base64.urlsafe_b64encode(b"\0" * 16 + b"99").decode()
    requests = [
        pb.ListVersionsRequest(parent=other, page_token=token),
        pb.ListVersionsRequest(parent=model, page_token=token, show_deleted=True),
        pb.ListVersionsRequest(parent=model, page_token=token[:-2]),
        pb.ListVersionsRequest(parent=model, page_token=forged),
        pb.ListVersionsRequest(parent=model, page_token="é"),
    ]
    for request in requests:
        failure = await wire.failing(stubs.registry.ListVersions(request))
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert failure.fields == ["page_token"]
    failure = await wire.failing(
        stubs.registry.ListModels(
            pb.ListModelsRequest(parent=model.rpartition("/models/")[0], page_token=token)
        )
    )
    assert failure.fields == ["page_token"], "another list's token"


async def test_a_message_over_the_limit_is_refused_and_harms_nobody(stubs: wire.Stubs) -> None:
    huge = pb.CreateNamespaceRequest(namespace_id="x" * 3 * 2**20)
    failure = await wire.failing(stubs.registry.CreateNamespace(huge))
    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await stubs.new_model()


async def test_bytes_that_are_no_message_are_refused_by_every_kind_of_call(
    stubs: wire.Stubs,
) -> None:
    async def drained(call: AsyncIterable[object]) -> None:
        async for _ in call:
            pass

    junk = b"\xff\xff\xff"
    unary = stubs.channel.unary_unary("/modelkeep.v1.RegistryService/GetModel")
    reading = stubs.channel.unary_stream("/modelkeep.v1.ArtifactService/ReadBlob")
    writing = stubs.channel.stream_stream("/modelkeep.v1.ArtifactService/WriteUpload")
    for call in (unary(junk), drained(reading(junk)), drained(writing([junk]))):
        failure = await wire.failing(call)
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert failure.fields == ["request"]


async def test_all_violations_are_answered_at_once(stubs: wire.Stubs) -> None:
    request = pb.CreateModelRequest(
        parent="x", model_id="Bad", model=pb.Model(kind=9, owner="o" * 300), request_id="é"
    )
    failure = await wire.failing(stubs.registry.CreateModel(request))
    assert failure.fields == ["request_id", "parent", "model_id", "model.kind", "model.owner"]


async def test_an_error_carries_the_callers_request_id_or_one_of_ours(
    stubs: wire.Stubs,
) -> None:
    for sent in ("trace-42", ""):
        metadata = (("x-request-id", sent),) if sent else ()
        request = pb.GetNamespaceRequest(name="namespaces/none")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stubs.registry.GetNamespace(request, metadata=metadata)
        returned = dict(failed.value.trailing_metadata() or ())["x-request-id"]
        assert returned == sent if sent else len(returned) == 16

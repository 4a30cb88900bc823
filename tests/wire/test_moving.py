"""Models that are called otherwise now: every old name goes on to mean them."""

import asyncio
from typing import Any

import grpc
from support import wire, wire_uploads

from modelkeep.v1 import artifact_service_pb2 as artifact_pb
from modelkeep.v1 import lifecycle_service_pb2 as lifecycle_pb
from modelkeep.v1 import registry_service_pb2 as pb
from modelkeep.v1 import spec_pb2


async def move(stubs: wire.Stubs, name: str, model_id: str, **fields: Any) -> pb.Model:
    destination = f"{name.rpartition('/')[0]}/{model_id}"
    request = pb.MoveModelRequest(name=name, destination=destination, **fields)
    return (await stubs.registry.MoveModel(request)).model


async def code_of(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def test_every_read_by_the_old_name_answers_as_by_the_new(stubs: wire.Stubs) -> None:
    old = await stubs.new_model()
    sealed = await stubs.ready(old)
    await stubs.alias(sealed.name, "champion")
    new = (await move(stubs, old, "renamed")).name
    namespace = old.split("/")[1]
    calls = stubs.registry
    for read, request in [
        (calls.GetModel, lambda name: pb.GetModelRequest(name=name)),
        (calls.GetVersion, lambda name: pb.GetVersionRequest(name=f"{name}/versions/1.0.0")),
        (calls.ListVersions, lambda name: pb.ListVersionsRequest(parent=name)),
        (calls.ListAliases, lambda name: pb.ListAliasesRequest(parent=name)),
        (calls.GetAlias, lambda name: pb.GetAliasRequest(name=f"{name}/aliases/champion")),
        (calls.ListFiles, lambda name: pb.ListFilesRequest(parent=f"{name}/versions/1.0.0")),
        (
            calls.ResolveVersion,
            lambda name: pb.ResolveVersionRequest(
                ref=f"{namespace}/{name.rpartition('/')[2]}@champion"
            ),
        ),
    ]:
        assert await read(request(old)) == await read(request(new)), read
    answer = await calls.GetVersion(pb.GetVersionRequest(name=f"{old}/versions/1.0.0"))
    assert answer.version.name == f"{new}/versions/1.0.0"


async def test_changes_by_the_old_name_change_the_model(stubs: wire.Stubs) -> None:
    old = await stubs.new_model()
    new = (await move(stubs, old, "renamed")).name
    draft = await stubs.draft(old, "2.0.0")
    assert draft.name == f"{new}/versions/2.0.0"
    sealed = await stubs.registry.FinalizeVersion(
        pb.FinalizeVersionRequest(name=f"{old}/versions/2.0.0")
    )
    assert sealed.version.name == draft.name
    moved = await stubs.stage(f"{old}/versions/2.0.0", "staging")
    assert moved.version.stage == "staging"
    alias = await stubs.alias(f"{old}/versions/2.0.0", "champion")
    assert alias.name == f"{new}/aliases/champion"
    request = pb.UpdateModelRequest(model=pb.Model(name=old, owner="somebody"))
    request.update_mask.paths.append("owner")
    assert (await stubs.registry.UpdateModel(request)).model.name == new


async def test_streams_by_the_old_name_find_the_version(stubs: wire.Stubs) -> None:
    old = await stubs.new_model()
    await stubs.ready(old)
    await move(stubs, old, "renamed")
    request = artifact_pb.VerifyVersionRequest(name=f"{old}/versions/1.0.0")
    verdicts = [told.result.path async for told in stubs.artifact.VerifyVersion(request)]
    assert [path for path in verdicts if path] == ["prompt.json"]


async def test_a_chain_of_names_leads_to_the_last(stubs: wire.Stubs) -> None:
    first = await stubs.new_model()
    second = (await move(stubs, first, "second")).name
    third = (await move(stubs, second, "third")).name
    for name in (first, second, third):
        assert (await stubs.registry.GetModel(pb.GetModelRequest(name=name))).model.name == third
    back = await move(stubs, third, "m")
    assert back.name == first
    assert (await stubs.registry.GetModel(pb.GetModelRequest(name=second))).model.name == first


async def test_an_old_name_is_given_to_nobody(stubs: wire.Stubs) -> None:
    old = await stubs.new_model()
    await move(stubs, old, "renamed")
    parent = old.rpartition("/models/")[0]
    create = stubs.registry.CreateModel
    assert await code_of(create(pb.CreateModelRequest(parent=parent, model_id="m"))) == (
        "ALREADY_EXISTS"
    )
    await create(pb.CreateModelRequest(parent=parent, model_id="other"))
    other = f"{parent}/models/other"
    assert await code_of(move(stubs, other, "m")) == "ALREADY_EXISTS"
    assert await code_of(move(stubs, other, "renamed")) == "ALREADY_EXISTS"


async def test_a_request_id_is_good_for_a_move_too(stubs: wire.Stubs) -> None:
    old = await stubs.new_model()
    first = await move(stubs, old, "renamed", request_id="r")
    assert await move(stubs, old, "renamed", request_id="r") == first


async def test_a_stale_etag_and_a_deleted_model_are_refused(stubs: wire.Stubs) -> None:
    old = await stubs.new_model()
    assert await code_of(move(stubs, old, "renamed", etag="77")) == "ABORTED"
    await stubs.registry.DeleteModel(pb.DeleteModelRequest(name=old))
    assert await code_of(move(stubs, old, "renamed")) == "FAILED_PRECONDITION"


async def test_of_a_move_and_a_create_of_one_name_one_wins(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    parent = model.rpartition("/models/")[0]
    for n in range(10):
        taken = f"taken-{n}"
        request = pb.CreateModelRequest(parent=parent, model_id=taken)
        outcomes = await asyncio.gather(
            code_of(move(stubs, model, taken)), code_of(stubs.registry.CreateModel(request))
        )
        assert sorted(outcomes) == ["ALREADY_EXISTS", "OK"]
        found = await stubs.registry.GetModel(pb.GetModelRequest(name=model))
        model = found.model.name


async def test_models_that_want_each_others_names_do_not_lock_each_other_out(
    stubs: wire.Stubs,
) -> None:
    first = await stubs.new_model()
    parent = first.rpartition("/models/")[0]
    await stubs.registry.CreateModel(pb.CreateModelRequest(parent=parent, model_id="n"))
    outcomes = await asyncio.gather(
        *(code_of(move(stubs, first, "n")) for _ in range(5)),
        *(code_of(move(stubs, f"{parent}/models/n", "m")) for _ in range(5)),
    )
    assert outcomes == ["ALREADY_EXISTS"] * 10


async def test_a_base_is_found_by_the_name_it_had(stubs: wire.Stubs) -> None:
    base = await stubs.new_model(pb.MODEL_KIND_MODEL)
    await stubs.registry.CreateVersion(pb.CreateVersionRequest(parent=base, version_id="1.0.0"))
    blob = await wire_uploads.push(stubs, base.rpartition("/models/")[0], b"weights")
    files = [pb.File(path="w.bin", digest=blob.digest, size_bytes=blob.size_bytes)]
    await stubs.registry.FinalizeVersion(
        pb.FinalizeVersionRequest(name=f"{base}/versions/1.0.0", files=files)
    )
    made = pb.Version()
    made.model.base.version = f"{base}/versions/1.0.0"
    made.model.base.relation = spec_pb2.BASE_RELATION_FINE_TUNE
    request = pb.CreateVersionRequest(parent=base, version_id="2.0.0", version=made)
    child = (await stubs.registry.CreateVersion(request)).version
    await stubs.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=child.name, files=files))
    new = (await move(stubs, base, "renamed")).name
    name = f"{new}/versions/2.0.0"
    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=name))
    restored = await stubs.registry.RestoreVersion(pb.RestoreVersionRequest(name=name))
    assert restored.version.state == pb.VERSION_STATE_READY
    request = pb.CreateVersionRequest(parent=new, version_id="3.0.0", version=made)
    await stubs.registry.CreateVersion(request)


async def test_what_people_write_is_not_rewritten(stubs: wire.Stubs) -> None:
    old = await stubs.new_model()
    await stubs.ready(old)
    await move(stubs, old, "renamed")
    request = lifecycle_pb.SetStageRequest(
        name=f"{old}/versions/1.0.0", stage="staging", reason=f"{old}/versions/1.0.0"
    )
    await stubs.lifecycle.SetStage(request)
    event = pb.GetVersionRequest(name=f"{old}/versions/1.0.0")
    assert (await stubs.registry.GetVersion(event)).version.stage == "staging"

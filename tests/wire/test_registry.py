import datetime

import grpc
import pytest
from support import wire

from modelkeep.v1 import lifecycle_service_pb2 as lifecycle
from modelkeep.v1 import registry_service_pb2 as pb


async def test_a_version_lives_its_life(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    draft = await stubs.draft(model, "1.0.0")
    assert (draft.state, draft.ordinal, draft.stage) == (pb.VERSION_STATE_DRAFT, 1, "development")
    assert draft.manifest_digest == ""

    sealed = await stubs.registry.FinalizeVersion(
        pb.FinalizeVersionRequest(name=draft.name, etag=draft.etag)
    )
    version = sealed.version
    assert version.state == pb.VERSION_STATE_READY
    assert version.file_count == 1
    assert version.etag != draft.etag

    moved = await stubs.stage(version.name, "staging", "production")
    assert (moved.version.stage, moved.displaced_version) == ("production", "")
    await stubs.alias(version.name, "champion")
    got = await stubs.registry.GetVersion(pb.GetVersionRequest(name=version.name))
    assert got.version.aliases == ["champion"]
    assert got.version.prompt == draft.prompt


async def test_who_when_and_from_where_are_filled_in_by_the_server(stubs: wire.Stubs) -> None:
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=5)
    model = await stubs.new_model()
    claimed = wire.prompt_version()
    claimed.creator, claimed.create_client, claimed.ordinal = "mallory", "nowhere", 99
    created = await stubs.registry.CreateVersion(
        pb.CreateVersionRequest(parent=model, version_id="1.0.0", version=claimed)
    )
    version = created.version
    assert version.creator == "anonymous"
    assert "127.0.0.1" in version.create_client
    assert "grpc-python" in version.create_client
    assert version.ordinal == 1
    assert version.create_time.ToDatetime(tzinfo=datetime.UTC) > before


async def test_an_existing_version_is_refused(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    await stubs.draft(model, "1.0.0")
    again = pb.CreateVersionRequest(parent=model, version_id="1.0.0", version=wire.prompt_version())
    failure = await wire.failing(stubs.registry.CreateVersion(again))
    assert (failure.code, failure.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")
    assert "choose another version" in failure.message
    assert (await stubs.draft(model, "1.0.1")).ordinal == 2, "a refused create takes no ordinal"


async def test_a_file_that_was_never_uploaded_is_named(stubs: wire.Stubs) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    created = await stubs.registry.CreateVersion(
        pb.CreateVersionRequest(parent=model, version_id="1.0.0")
    )
    missing = pb.File(path="weights/a.bin", digest="sha256:" + "0" * 64, size_bytes=1)
    failure = await wire.failing(
        stubs.registry.FinalizeVersion(
            pb.FinalizeVersionRequest(name=created.version.name, files=[missing])
        )
    )
    assert (failure.code, failure.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "BLOB_MISSING",
    )
    assert failure.metadata["path"] == "weights/a.bin"
    got = await stubs.registry.GetVersion(pb.GetVersionRequest(name=created.version.name))
    assert got.version.state == pb.VERSION_STATE_DRAFT


BAD_PATHS = {
    "..": "../x",
    "absolute": "/etc/passwd",
    "NUL": "a\x00b",
    "5,000 characters": "x" * 5000,
}


@pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS.keys())
async def test_a_bad_path_is_refused_naming_it(stubs: wire.Stubs, path: str) -> None:
    name = "namespaces/a/models/m/versions/1.0.0"
    file = pb.File(path=path, digest="sha256:" + "0" * 64)
    request = pb.FinalizeVersionRequest(name=name, files=[file])
    failure = await wire.failing(stubs.registry.FinalizeVersion(request))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields == ["files[0].path"] * len(failure.fields)
    assert ascii(path)[1:-1][:20] in failure.message


async def test_two_paths_equal_ignoring_case_are_refused_naming_them(stubs: wire.Stubs) -> None:
    files = [pb.File(path=path, digest="sha256:" + "0" * 64) for path in ("A.bin", "a.BIN")]
    request = pb.FinalizeVersionRequest(name="namespaces/a/models/m/versions/1.0.0", files=files)
    failure = await wire.failing(stubs.registry.FinalizeVersion(request))
    assert (failure.code, failure.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        ["files[1].path"],
    )
    assert "'A.bin'" in failure.message


async def test_production_holds_one_version_and_says_which_made_room(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    first, second = await stubs.ready(model, "1.0.0"), await stubs.ready(model, "1.1.0")
    await stubs.stage(first.name, "staging", "production")
    moved = await stubs.stage(second.name, "staging", "production")
    assert moved.displaced_version == first.name
    got = await stubs.registry.GetVersion(pb.GetVersionRequest(name=first.name))
    assert got.version.stage == "archived"
    assert await stubs.resolve(model, "production") == "1.1.0"


async def test_a_move_that_does_not_exist_names_those_that_do(stubs: wire.Stubs) -> None:
    version = await stubs.ready(await stubs.new_model())
    failure = await wire.failing(
        stubs.lifecycle.SetStage(
            lifecycle.SetStageRequest(name=version.name, stage="production", reason="hurry")
        )
    )
    assert (failure.code, failure.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "STAGE_MOVE_NOT_ALLOWED",
    )
    assert "staging, archived" in failure.message


async def test_a_draft_cannot_be_staged_or_aliased(stubs: wire.Stubs) -> None:
    draft = await stubs.draft(await stubs.new_model())
    request = lifecycle.SetStageRequest(name=draft.name, stage="staging", reason="x")
    for call in (stubs.lifecycle.SetStage(request), stubs.alias(draft.name, "champion")):
        failure = await wire.failing(call)
        assert failure.reason == "VERSION_NOT_READY"


async def test_references_resolve_now_and_as_of_a_past_instant(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    old = await stubs.ready(model, "1.0.0")
    await stubs.alias(old.name, "champion")
    await stubs.stage(old.name, "staging", "production")
    then = pb.ResolveVersionRequest().as_of
    then.FromDatetime(datetime.datetime.now(datetime.UTC))
    new = await stubs.ready(model, "1.2.0")
    await stubs.ready(model, "2.0.0-rc.1")
    await stubs.alias(new.name, "champion")
    await stubs.stage(new.name, "staging", "production")

    selectors = {
        "": "1.2.0",
        "latest": "1.2.0",
        "champion": "1.2.0",
        "production": "1.2.0",
        "archived": "1.0.0",
        "^1.0": "1.2.0",
        "~1.0": "1.0.0",
        ">=2.0.0-alpha": "2.0.0-rc.1",
        "1.0.0": "1.0.0",
        "#3": "2.0.0-rc.1",
        new.manifest_digest: "2.0.0-rc.1",
    }
    now = {selector: await stubs.resolve(model, selector) for selector in selectors}
    assert now == selectors
    for selector in ("latest", "champion", "production", "^1.0", old.manifest_digest):
        assert await stubs.resolve(model, selector, as_of=then) == "1.0.0", selector
    failure = await wire.failing(stubs.resolve(model, "archived", as_of=then))
    assert failure.code is grpc.StatusCode.NOT_FOUND


async def test_what_is_in_use_cannot_be_deleted_and_the_error_names_what_holds_it(
    stubs: wire.Stubs,
) -> None:
    model = await stubs.new_model()
    base = await stubs.ready(model)
    adapters = await stubs.registry.CreateModel(
        pb.CreateModelRequest(
            parent=model.rpartition("/models/")[0],
            model_id="adapter",
            model=pb.Model(kind=pb.MODEL_KIND_ADAPTER),
        )
    )
    child = pb.Version()
    child.model.base.version = base.name
    created = await stubs.registry.CreateVersion(
        pb.CreateVersionRequest(parent=adapters.model.name, version_id="0.1.0", version=child)
    )
    await stubs.alias(base.name, "champion")
    await stubs.stage(base.name, "staging")
    failure = await wire.failing(
        stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=base.name))
    )
    assert failure.reason == "VERSION_IN_USE"
    for holder in ("staging", "'champion'", created.version.name):
        assert holder in failure.message

    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=created.version.name))
    await stubs.registry.DeleteAlias(pb.DeleteAliasRequest(name=f"{model}/aliases/champion"))
    await stubs.stage(base.name, "archived")
    deleted = await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=base.name))
    assert deleted.version.state == pb.VERSION_STATE_DELETED
    failure = await wire.failing(
        stubs.registry.RestoreVersion(pb.RestoreVersionRequest(name=created.version.name))
    )
    assert failure.reason == "VERSION_NOT_READY", "its base is deleted"


async def test_delete_and_restore(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    version = await stubs.ready(model)
    request = pb.DeleteModelRequest(name=model)
    assert (await wire.failing(stubs.registry.DeleteModel(request))).reason == "MODEL_NOT_EMPTY"
    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=version.name))
    assert (await wire.failing(stubs.resolve(model))).code is grpc.StatusCode.NOT_FOUND
    listed = await stubs.registry.ListVersions(pb.ListVersionsRequest(parent=model))
    assert list(listed.versions) == []
    listed = await stubs.registry.ListVersions(
        pb.ListVersionsRequest(parent=model, show_deleted=True)
    )
    assert [v.version for v in listed.versions] == ["1.0.0"]

    await stubs.registry.DeleteModel(request)
    restore = pb.RestoreVersionRequest(name=version.name)
    assert (await wire.failing(stubs.registry.RestoreVersion(restore))).reason == "MODEL_DELETED"
    failure = await wire.failing(stubs.draft(model, "2.0.0"))
    assert failure.code is grpc.StatusCode.NOT_FOUND
    await stubs.registry.RestoreModel(pb.RestoreModelRequest(name=model))
    restored = await stubs.registry.RestoreVersion(restore)
    assert restored.version.state == pb.VERSION_STATE_READY
    assert restored.version.manifest_digest == version.manifest_digest
    assert (await wire.failing(stubs.registry.RestoreVersion(restore))).reason == (
        "VERSION_NOT_DELETED"
    )


async def test_a_sealed_version_accepts_notes_and_nothing_else(stubs: wire.Stubs) -> None:
    version = await stubs.ready(await stubs.new_model())
    changed = wire.prompt_version("another prompt")
    changed.name, changed.card, changed.labels["team"] = version.name, "# Card", "x"
    updated = await stubs.registry.UpdateVersion(
        pb.UpdateVersionRequest(version=changed, update_mask={"paths": ["card", "labels"]})
    )
    assert (updated.version.card, dict(updated.version.labels)) == ("# Card", {"team": "x"})
    assert updated.version.prompt == version.prompt
    failure = await wire.failing(
        stubs.registry.UpdateVersion(
            pb.UpdateVersionRequest(version=changed, update_mask={"paths": ["spec", "card"]})
        )
    )
    assert (failure.code, failure.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "VERSION_SEALED",
    )


async def test_a_draft_accepts_a_new_spec_and_seals_the_last(stubs: wire.Stubs) -> None:
    draft = await stubs.draft(await stubs.new_model())
    changed = wire.prompt_version("the final words")
    changed.name = draft.name
    await stubs.registry.UpdateVersion(
        pb.UpdateVersionRequest(version=changed, update_mask={"paths": ["spec"]})
    )
    sealed = await stubs.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=draft.name))
    assert sealed.version.prompt.messages[0].content == "the final words"


async def test_the_kind_of_spec_must_fit_the_kind_of_model(stubs: wire.Stubs) -> None:
    weights = await stubs.new_model(pb.MODEL_KIND_MODEL)
    failure = await wire.failing(stubs.draft(weights))
    assert failure.reason == "SPEC_DOES_NOT_FIT_KIND"


async def test_equal_prompts_share_one_blob(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    first, second = await stubs.ready(model, "1.0.0"), await stubs.ready(model, "1.0.1")
    assert first.manifest_digest == second.manifest_digest

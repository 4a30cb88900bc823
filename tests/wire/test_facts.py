"""What the server finds inside files, and what a namespace makes of pickles."""

import pickle
from typing import Any

import asyncpg
import grpc
import pytest
from support import model_files, wire, wire_uploads

from modelkeep.domain import errors, inspections
from modelkeep.domain.formats import facts, reading
from modelkeep.service import inspecting
from modelkeep.v1 import facts_pb2, lifecycle_service_pb2
from modelkeep.v1 import registry_service_pb2 as pb

CODES = grpc.StatusCode


async def set_policy(stubs: wire.Stubs, namespace: str, policy: int) -> pb.Namespace:
    wanted = pb.Namespace(name=namespace, pickle_policy=policy)  # type: ignore[arg-type]
    request = pb.UpdateNamespaceRequest(namespace=wanted)
    request.update_mask.paths.append("pickle_policy")
    return (await stubs.registry.UpdateNamespace(request)).namespace


async def push(
    stubs: wire.Stubs, model: str, files: dict[str, bytes], version: str = "1.0.0"
) -> pb.Version:
    """Upload the files and seal a version of them."""
    namespace = model.partition("/models/")[0]
    listed = []
    for path, content in files.items():
        await wire_uploads.push(stubs, namespace, content)
        digest = wire_uploads.digest_of(content)
        listed.append(pb.File(path=path, digest=digest, size_bytes=len(content)))
    draft = await stubs.registry.CreateVersion(
        pb.CreateVersionRequest(parent=model, version_id=version)
    )
    sealed = await stubs.registry.FinalizeVersion(
        pb.FinalizeVersionRequest(name=draft.version.name, files=listed)
    )
    return sealed.version


async def facts_of(stubs: wire.Stubs, version: pb.Version) -> dict[str, facts_pb2.FileFacts]:
    answer = await stubs.registry.ListFiles(
        pb.ListFilesRequest(parent=version.name, page_size=1000, show_facts=True)
    )
    return {file.path: file.facts for file in answer.files if file.HasField("facts")}


async def release(stubs: wire.Stubs, name: str, **fields: Any) -> pb.Version:
    request = lifecycle_service_pb2.ReleaseVersionRequest(name=name, **fields)
    return (await stubs.lifecycle.ReleaseVersion(request)).version


async def test_facts_of_every_format_are_told_and_pickles_are_marked(stubs: wire.Stubs) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    sealed = await push(
        stubs,
        model,
        {
            "a.safetensors": model_files.safetensors(),
            "b.gguf": model_files.gguf(),
            "c.onnx": model_files.onnx(),
            "d.txt": model_files.dangerous_pickle(),
            "e.pt": model_files.torch(pickle.dumps({"w": 1})),
            "README.md": b"# Hello\n",
        },
    )
    assert sealed.state == pb.VERSION_STATE_READY
    assert [(w.reason, list(w.paths)) for w in sealed.warnings] == [
        ("PICKLE_DANGEROUS", ["d.txt"]),
        ("PICKLE_PLAIN", ["e.pt"]),
    ]
    assert ".system" in sealed.warnings[0].description
    found = await facts_of(stubs, sealed)
    assert found["a.safetensors"].parameter_count == 8
    assert list(found["a.safetensors"].dtypes) == ["F16", "F32"]
    assert (found["b.gguf"].architecture, found["b.gguf"].quantisation) == ("llama", "Q4_K_M")
    assert (found["c.onnx"].opset, found["c.onnx"].tensor_count) == (17, 2)
    assert found["d.txt"].format == "pickle"
    assert found["d.txt"].pickle.verdict == facts_pb2.PICKLE_VERDICT_DANGEROUS
    assert list(found["d.txt"].pickle.dangerous_imports) == ["posix.system"]
    assert found["d.txt"].pickle.opcodes["REDUCE"] == 1
    assert found["README.md"].format == "other"
    again = await stubs.registry.GetVersion(pb.GetVersionRequest(name=sealed.name))
    assert again.version.warnings == sealed.warnings
    listed = await stubs.registry.ListFiles(pb.ListFilesRequest(parent=sealed.name))
    assert not any(file.HasField("facts") for file in listed.files)


async def test_a_namespace_may_allow_pickles(stubs: wire.Stubs) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    namespace = model.partition("/models/")[0]
    changed = await set_policy(stubs, namespace, pb.PICKLE_POLICY_ALLOW)
    assert changed.pickle_policy == pb.PICKLE_POLICY_ALLOW
    sealed = await push(stubs, model, {"a.pkl": model_files.dangerous_pickle()})
    assert (sealed.state, list(sealed.warnings)) == (pb.VERSION_STATE_READY, [])
    verdict = (await facts_of(stubs, sealed))["a.pkl"].pickle.verdict
    assert verdict == facts_pb2.PICKLE_VERDICT_DANGEROUS


async def test_a_namespace_may_quarantine_pickles_until_somebody_releases_them(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    await set_policy(stubs, model.partition("/models/")[0], pb.PICKLE_POLICY_QUARANTINE)
    clean = await push(stubs, model, {"a.safetensors": model_files.safetensors()}, "1.0.0")
    assert clean.state == pb.VERSION_STATE_READY
    sealed = await push(stubs, model, {"a.pkl": model_files.dangerous_pickle()}, "1.1.0")
    assert sealed.state == pb.VERSION_STATE_QUARANTINED
    assert "a.pkl" in sealed.quarantine_reason
    assert await stubs.resolve(model) == "1.0.0"
    for refused in (stubs.stage(sealed.name, "staging"), stubs.alias(sealed.name, "champion")):
        failure = await wire.failing(refused)
        assert (failure.code, failure.reason) == (CODES.FAILED_PRECONDITION, "VERSION_NOT_READY")
    with pytest.raises(grpc.aio.AioRpcError):
        await wire_uploads.read(stubs, f"{sealed.name}/files/a.pkl")
    stale = await wire.failing(release(stubs, sealed.name, reason="looked at it", etag="0"))
    assert stale.code == CODES.ABORTED
    nameless = await wire.failing(release(stubs, sealed.name))
    assert (nameless.code, nameless.fields) == (CODES.INVALID_ARGUMENT, ["reason"])
    ready = await release(stubs, sealed.name, reason="looked at it", request_id="r")
    assert (ready.state, ready.quarantine_reason) == (pb.VERSION_STATE_READY, "")
    assert ready.warnings == sealed.warnings
    assert await release(stubs, sealed.name, reason="looked at it", request_id="r") == ready
    assert await stubs.resolve(model) == "1.1.0"
    twice = await wire.failing(release(stubs, sealed.name, reason="again"))
    assert (twice.code, twice.reason) == (CODES.FAILED_PRECONDITION, "VERSION_NOT_QUARANTINED")
    assert await actions(database_url, sealed.name) == [
        "version.created",
        "version.finalized",
        "version.quarantined",
        "version.released",
    ]


async def actions(url: str, resource: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT action FROM audit_event WHERE resource = $1 ORDER BY seq", resource
        )
        return [row["action"] for row in rows]
    finally:
        await connection.close()


async def test_a_blob_is_looked_into_once_and_again_by_newer_rules(
    stubs: wire.Stubs, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    files = {"a.safetensors": model_files.safetensors()}
    await push(stubs, model, files, "1.0.0")
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("UPDATE blob_facts SET inspected_at = '2000-01-01'")
        await push(stubs, model, files, "1.1.0")
        year = "SELECT extract(year FROM inspected_at)::int FROM blob_facts"
        assert await connection.fetchval(year) == 2000
        monkeypatch.setattr(facts, "RULES", facts.RULES + 1)
        await push(stubs, model, files, "1.2.0")
        assert await connection.fetchval(year) > 2000
    finally:
        await connection.close()


async def test_more_files_than_are_looked_into_are_told(
    stubs: wire.Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspections, "FILES_AT_A_SEAL", 1)
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    namespace = model.partition("/models/")[0]
    files = {"a.txt": b"a", "b.pkl": pickle.dumps([1]), "c.txt": b"c"}
    sealed = await push(stubs, model, files)
    assert [(w.reason, w.file_count) for w in sealed.warnings] == [
        ("PICKLE_PLAIN", 1),
        ("NOT_INSPECTED", 2),
    ]
    assert list(await facts_of(stubs, sealed)) == ["b.pkl"]
    await set_policy(stubs, namespace, pb.PICKLE_POLICY_QUARANTINE)
    sealed = await push(stubs, model, {"a.txt": b"a", "c.txt": b"c"}, "1.1.0")
    assert sealed.state == pb.VERSION_STATE_READY
    assert sorted(await facts_of(stubs, sealed)) == ["a.txt", "c.txt"]


async def test_a_policy_that_does_not_exist_is_refused(stubs: wire.Stubs) -> None:
    request = pb.CreateNamespaceRequest(namespace_id="x", namespace=pb.Namespace())
    request.namespace.pickle_policy = 9  # type: ignore[assignment]
    failure = await wire.failing(stubs.registry.CreateNamespace(request))
    assert (failure.code, failure.fields) == (
        CODES.INVALID_ARGUMENT,
        ["namespace.pickle_policy"],
    )


async def test_nothing_is_sealed_while_the_store_is_away(
    stubs: wire.Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    await stubs.registry.CreateVersion(pb.CreateVersionRequest(parent=model, version_id="1.0.0"))
    content = model_files.safetensors()
    await wire_uploads.push(stubs, model.partition("/models/")[0], content)
    digest = wire_uploads.digest_of(content)
    name = f"{model}/versions/1.0.0"
    request = pb.FinalizeVersionRequest(
        name=name, files=[pb.File(path="a", digest=digest, size_bytes=len(content))]
    )

    async def away(*_: object) -> bytes:
        raise errors.Unavailable("the store does not answer now")

    with monkeypatch.context() as patched:
        patched.setattr(inspecting._StoredSource, "fetch", away)
        failure = await wire.failing(stubs.registry.FinalizeVersion(request))
    assert failure.code == CODES.UNAVAILABLE
    draft = await stubs.registry.GetVersion(pb.GetVersionRequest(name=name))
    assert draft.version.state == pb.VERSION_STATE_DRAFT
    sealed = await stubs.registry.FinalizeVersion(request)
    assert sealed.version.state == pb.VERSION_STATE_READY


async def test_a_mistake_of_ours_does_not_stop_a_seal(
    stubs: wire.Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(reading, "read", broken)
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    sealed = await push(stubs, model, {"a.bin": b"a"})
    assert [warning.reason for warning in sealed.warnings] == ["PICKLE_UNKNOWN"]


async def test_bytes_that_the_store_lost_are_not_inspected(
    stubs: wire.Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> bytes:
        raise errors.NotFound("no such object")

    monkeypatch.setattr(inspecting._StoredSource, "fetch", lost)
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    sealed = await push(stubs, model, {"a.bin": b"a"})
    assert [warning.reason for warning in sealed.warnings] == ["NOT_INSPECTED"]

"""Models that move to another namespace: all that is theirs goes with them, nothing else does."""

import asyncio
from typing import Any

import grpc
import pytest
from support import deploying, leaving, signing, wire, wire_uploads

from modelkeep.attestation import signing as attestation
from modelkeep.v1 import audit_service_pb2 as audit_pb
from modelkeep.v1 import deployment_service_pb2 as deployment_pb
from modelkeep.v1 import evaluation_service_pb2 as evaluation_pb
from modelkeep.v1 import event_service_pb2 as event_pb
from modelkeep.v1 import lifecycle_service_pb2, lineage_pb2
from modelkeep.v1 import provenance_service_pb2 as provenance_pb
from modelkeep.v1 import registry_service_pb2 as pb


async def version(stubs: wire.Stubs, name: str) -> pb.Version:
    return (await stubs.registry.GetVersion(pb.GetVersionRequest(name=name))).version


async def measure(stubs: wire.Stubs, name: str) -> str:
    evaluation = evaluation_pb.Evaluation(
        dataset=evaluation_pb.EvaluationDataset(name="dialogs", revision="1"),
        suite="quality",
        evaluator="judge@1",
        metrics=[{"name": "score", "value": 0.5, "direction": "METRIC_DIRECTION_HIGHER"}],
    )
    request = evaluation_pb.RecordEvaluationRequest(parent=name, evaluation=evaluation)
    return (await stubs.evaluations.RecordEvaluation(request)).evaluation.name


async def sign(stubs: wire.Stubs, name: str) -> None:
    listed = await stubs.registry.ListFiles(pb.ListFilesRequest(parent=name))
    digests = {file.path: file.digest.removeprefix("sha256:") for file in listed.files}
    bundle = attestation.sign(name, digests, signing.loaded(signing.private_key()))
    request = provenance_pb.AttachSignatureRequest(parent=name, bundle=bundle)
    await stubs.provenance.AttachSignature(request)


async def chain(stubs: wire.Stubs, parent: str) -> list[event_pb.Event]:
    listed = await stubs.events.ListEvents(
        event_pb.ListEventsRequest(parent=parent, page_size=1000)
    )
    request = audit_pb.VerifyAuditChainRequest(parent=parent)
    answers = [answer async for answer in stubs.audit.VerifyAuditChain(request)]
    assert answers[-1].verdict.intact, answers[-1]
    return list(listed.events)


async def add_link(stubs: wire.Stubs, parent: str, source: Any, name: str) -> None:
    target = lineage_pb2.LineageNode(kind=lineage_pb2.LINEAGE_KIND_VERSION, name=name)
    link = lineage_pb2.LineageLink(source=source, target=target, relation="derived")
    await stubs.registry.AddLineage(lineage_pb2.AddLineageRequest(parent=parent, link=link))


async def ancestors(stubs: wire.Stubs, parent: str, name: str) -> set[str]:
    node = lineage_pb2.LineageNode(kind=lineage_pb2.LINEAGE_KIND_VERSION, name=name)
    request = lineage_pb2.QueryLineageRequest(parent=parent, node=node)
    found = await stubs.registry.QueryLineage(request)
    return {one.node.name for one in found.nodes}


async def eventful(stubs: wire.Stubs) -> str:
    """A model to which everything has happened: 1.2.0 is deleted, 1.3.0 purged; its name."""
    place = await deploying.place(stubs)
    old = place.model
    first = (await stubs.ready(old, "1.0.0")).name
    second = (await stubs.ready(old, "1.1.0")).name
    gone = (await stubs.ready(old, "1.2.0")).name
    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=gone))
    purged = (await stubs.ready(old, "1.3.0")).name
    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=purged))
    await stubs.registry.PurgeVersion(pb.PurgeVersionRequest(name=purged))
    await measure(stubs, first)
    await sign(stubs, first)
    await stubs.stage(first, "staging", "production")
    running = await place.record("1.0.0", of=old)
    await place.end(running.name, deployment_pb.DEPLOYMENT_OUTCOME_SUCCEEDED)
    await stubs.alias(first, "champion")
    await stubs.alias(second, "champion")
    protection = pb.ProtectAliasesRequest(parent=old, pattern="blessed", reason="r")
    await stubs.registry.ProtectAliases(protection)
    tickets = lineage_pb2.LineageNode(
        kind=lineage_pb2.LINEAGE_KIND_DATASET, name="tickets", revision="1"
    )
    await add_link(stubs, leaving.parent_of(old), tickets, first)
    base = lineage_pb2.LineageNode(kind=lineage_pb2.LINEAGE_KIND_VERSION, name=first)
    await add_link(stubs, leaving.parent_of(old), base, second)
    return old


async def test_all_that_is_a_models_moves_with_it(stubs: wire.Stubs, database_url: str) -> None:
    old = await eventful(stubs)
    first = f"{old}/versions/1.0.0"
    before = await version(stubs, first)
    there = (await deploying.place(stubs)).environment.partition("/environments/")[0]
    new = f"{there}/models/voice"

    assert await leaving.outcome(leaving.move(stubs, old, new)) == "BLOBS_MISSING"
    told = await leaving.copy(stubs, old, new)
    assert told[-1].present_blobs == told[-1].blobs == 1
    moved = await leaving.move(stubs, old, new)

    assert (moved.name, moved.last_ordinal) == (new, 4)
    assert await leaving.strays(database_url) == {}
    after = await version(stubs, f"{new}/versions/1.0.0")
    for field in ("ordinal", "stage", "manifest_digest", "create_time", "creator", "etag"):
        assert getattr(after, field) == getattr(before, field), field
    for name in (old, new):
        assert (await version(stubs, f"{name}/versions/1.0.0")).name == after.name
        assert await stubs.resolve(name, "champion") == "1.1.0"
        assert await stubs.resolve(name, "production") == "1.0.0"
        read, _ = await wire_uploads.read(stubs, f"{name}/versions/1.0.0/files/prompt.json")
        assert b"hello" in read
        aliases = await stubs.registry.ListAliasHistory(pb.ListAliasHistoryRequest(parent=name))
        assert len(aliases.assignments) == 2
        found = await stubs.evaluations.ListEvaluations(
            evaluation_pb.ListEvaluationsRequest(parent=f"{name}/versions/1.0.0")
        )
        assert [one.metrics[0].value for one in found.evaluations] == [0.5]
        signatures = await stubs.provenance.ListSignatures(
            provenance_pb.ListSignaturesRequest(parent=f"{name}/versions/1.0.0")
        )
        assert len(signatures.signatures) == 1
        history = await stubs.deployments.GetDeploymentHistory(
            deployment_pb.GetDeploymentHistoryRequest(parent=name, environment="prod")
        )
        assert [one.environment for one in history.deployments] == [f"{there}/environments/prod"]
    assert {"tickets", first.replace(old, new)} <= await ancestors(
        stubs, there, f"{new}/versions/1.1.0"
    )
    request = pb.RestoreVersionRequest(name=f"{old}/versions/1.2.0")
    assert (await stubs.registry.RestoreVersion(request)).version.name == f"{new}/versions/1.2.0"
    assert (await stubs.draft(old, "2.0.0")).ordinal == 5
    search = pb.SearchVersionsRequest(parent=there, filter="stage = production")
    assert [one.name for one in (await stubs.registry.SearchVersions(search)).versions] == [
        after.name
    ]
    here = pb.SearchVersionsRequest(parent=leaving.parent_of(old), filter="stage = production")
    assert not (await stubs.registry.SearchVersions(here)).versions


async def test_both_namespaces_are_told_and_their_chains_hold(stubs: wire.Stubs) -> None:
    old = (await leaving.filled(stubs, leaving.some_files(1))).partition("/versions/")[0]
    there = await leaving.namespace(stubs)
    before = [len(await chain(stubs, parent)) for parent in (leaving.parent_of(old), there)]
    watches = [
        stubs.events.Watch(event_pb.WatchRequest(parent=parent))
        for parent in (leaving.parent_of(old), there)
    ]
    for watch in watches:
        assert (await watch.read()).HasField("checkpoint")
    new = f"{there}/models/voice"
    await leaving.relocate(stubs, old, new)
    for parent, resource, count in zip(
        (leaving.parent_of(old), there), (old, new), before, strict=True
    ):
        *_, last = await chain(stubs, parent)
        assert (last.action, last.resource) == ("model.moved", resource)
        assert (last.before["name"], last.after["name"]) == (old, new)
        assert all(one.resource.startswith(parent) for one in await chain(stubs, parent))
        assert len(await chain(stubs, parent)) > count
    for watch, resource in zip(watches, (old, new), strict=True):
        seen: list[str] = []
        async with asyncio.timeout(20):
            while "model.moved" not in seen:
                answer = await watch.read()
                if answer.HasField("event"):
                    seen.append(answer.event.action)
                    assert leaving.parent_of(answer.event.resource) in answer.event.resource
        assert answer.event.resource == resource
        watch.cancel()
    history = await stubs.registry.ListHistory(pb.ListHistoryRequest(parent=old))
    assert [entry.action for entry in history.entries] == ["model.moved"]


async def test_names_lead_on_through_several_namespaces_and_back(
    stubs: wire.Stubs, database_url: str
) -> None:
    first = (await leaving.filled(stubs, leaving.some_files(2))).partition("/versions/")[0]
    second = f"{await leaving.namespace(stubs)}/models/voice"
    third = f"{await leaving.namespace(stubs)}/models/speech"
    for old, new in ((first, second), (second, third), (third, first)):
        await leaving.relocate(stubs, old, new)
        for name in (first, second, third)[: 3 if new in (third, first) else 2]:
            got = await stubs.registry.GetModel(pb.GetModelRequest(name=name))
            assert got.model.name == new
        assert await leaving.strays(database_url) == {}
    for name in (second, third):
        create = stubs.registry.CreateModel(
            pb.CreateModelRequest(parent=leaving.parent_of(name), model_id=name.rpartition("/")[2])
        )
        assert await leaving.outcome(create) == "ALREADY_EXISTS"
    other = await stubs.new_model()
    assert await leaving.outcome(leaving.move(stubs, other, second)) == "ALREADY_EXISTS"
    assert await leaving.outcome(consume(leaving.copy(stubs, other, second))) == "ALREADY_EXISTS"


async def consume(call: Any) -> None:
    await call


async def test_a_request_id_answers_again_and_the_usage_of_both_is_right(
    stubs: wire.Stubs, database_url: str
) -> None:
    old = (await leaving.filled(stubs, leaving.some_files(3))).partition("/versions/")[0]
    new = f"{await leaving.namespace(stubs)}/models/voice"
    await leaving.copy(stubs, old, new)
    moved = await leaving.move(stubs, old, new, request_id="r")
    assert await leaving.move(stubs, old, new, request_id="r") == moved
    assert await leaving.outcome(leaving.move(stubs, old, f"{new}-2", request_id="r")) == (
        "REQUEST_ID_REUSED"
    )
    assert await leaving.strays(database_url) == {}
    assert not await leaving.rows(database_url, "SELECT FROM blob_hold")
    logical = """SELECT logical_bytes FROM namespace_usage JOIN namespace USING (namespace_id)
        WHERE name = $1"""
    totals = [
        (await leaving.rows(database_url, logical, leaving.parent_of(name).split("/")[1]))[0][0]
        for name in (old, new)
    ]
    assert totals == [0, sum(map(len, leaving.some_files(3).values()))]


async def test_a_copy_is_told_and_a_second_has_nothing_to_do(stubs: wire.Stubs) -> None:
    contents = leaving.some_files(4)
    old = (await leaving.filled(stubs, contents)).partition("/versions/")[0]
    new = f"{await leaving.namespace(stubs)}/models/voice"
    total = sum(map(len, contents.values()))
    told = await leaving.copy(stubs, old, new)
    assert (told[0].blobs, told[0].total_bytes, told[0].present_blobs) == (7, total, 0)
    assert (told[-1].present_blobs, told[-1].present_bytes) == (7, total)
    assert told[-1].copied_bytes == total
    again = await leaving.copy(stubs, old, new)
    assert {one.copied_bytes for one in again} == {0}
    assert await leaving.outcome(consume(leaving.copy(stubs, old, f"{old}-2"))) == "OK"
    await leaving.move(stubs, old, new)
    for path, body in contents.items():
        read, _ = await wire_uploads.read(stubs, f"{new}/versions/1.0.0/files/{path}")
        assert read == body


async def test_what_is_held_is_named_with_what_to_do(stubs: wire.Stubs) -> None:
    place = await deploying.place(stubs)
    old, there = place.model, await leaving.namespace(stubs)
    new = f"{there}/models/voice"

    async def refused() -> tuple[str, str]:
        calls = [leaving.move(stubs, old, new), leaving.copy(stubs, old, new)]
        by_move, by_copy = [await wire.failing(call) for call in calls]
        assert by_move.message == by_copy.message
        assert by_move.code is grpc.StatusCode.FAILED_PRECONDITION
        return by_move.reason, by_move.message

    draft = await stubs.draft(old)
    reason, message = await refused()
    assert reason == "MODEL_HAS_DRAFTS"
    assert "1.0.0" in message
    await stubs.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=draft.name))
    asked = await stubs.lifecycle.RequestTransition(
        lifecycle_service_pb2.RequestTransitionRequest(
            parent=draft.name, stage="staging", reason="test"
        )
    )
    reason, message = await refused()
    assert reason == "MODEL_HAS_TRANSITIONS"
    assert asked.transition.name.rpartition("/")[2] in message
    await stubs.lifecycle.CancelTransition(
        lifecycle_service_pb2.CancelTransitionRequest(name=asked.transition.name, reason="r")
    )
    await stubs.stage(draft.name, "staging", "production")
    running = await place.record("1.0.0")
    reason, message = await refused()
    assert reason == "MODEL_DEPLOYED"
    assert "1.0.0 in prod" in message
    await place.end(running.name)
    assert (await refused())[0] == "ENVIRONMENT_MISSING"
    await stubs.deployments.CreateEnvironment(
        deployment_pb.CreateEnvironmentRequest(
            parent=there,
            environment_id="prod",
            environment=deployment_pb.Environment(stages=["production"]),
        )
    )
    await leaving.relocate(stubs, old, new)


async def test_a_quota_that_is_too_small_stops_the_copy_and_the_move(
    stubs: wire.Stubs, database_url: str
) -> None:
    contents = leaving.some_files(5)
    old = (await leaving.filled(stubs, contents)).partition("/versions/")[0]
    total = sum(map(len, contents.values()))
    there = await leaving.namespace(stubs, stored_bytes_quota=total - 1)
    new = f"{there}/models/voice"
    assert await leaving.outcome(leaving.copy(stubs, old, new)) == "QUOTA_EXCEEDED"
    assert await leaving.strays(database_url) == {}
    request = pb.UpdateNamespaceRequest(
        namespace=pb.Namespace(name=there, stored_bytes_quota=0, logical_bytes_quota=total - 1)
    )
    request.update_mask.paths.extend(["stored_bytes_quota", "logical_bytes_quota"])
    await stubs.registry.UpdateNamespace(request)
    await leaving.copy(stubs, old, new)
    assert await leaving.outcome(leaving.move(stubs, old, new)) == "QUOTA_EXCEEDED"
    assert (await version(stubs, f"{old}/versions/1.0.0")).name == f"{old}/versions/1.0.0"
    assert await leaving.strays(database_url) == {}


async def test_a_base_that_moved_away_is_found_by_the_name_it_had(stubs: wire.Stubs) -> None:
    base = await leaving.filled(stubs, leaving.some_files(6))
    old = base.partition("/versions/")[0]
    child_model = await stubs.new_model(pb.MODEL_KIND_MODEL)

    async def child(number: str) -> pb.Version:
        made = pb.Version()
        made.model.base.version = base
        request = pb.CreateVersionRequest(parent=child_model, version_id=number, version=made)
        return (await stubs.registry.CreateVersion(request)).version

    draft = await child("1.0.0")
    new = f"{await leaving.namespace(stubs)}/models/voice"
    await leaving.relocate(stubs, old, new)
    for name in (draft.name, (await child("2.0.0")).name):
        blob = await wire_uploads.push(stubs, leaving.parent_of(child_model), b"x")
        files = [pb.File(path="w", digest=blob.digest, size_bytes=1)]
        await stubs.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=name, files=files))
        assert f"{new}/versions/1.0.0" in await ancestors(
            stubs, leaving.parent_of(child_model), name
        )
    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=draft.name))
    await stubs.registry.RestoreVersion(pb.RestoreVersionRequest(name=draft.name))


async def test_a_move_closes_no_ring_of_origins(stubs: wire.Stubs, database_url: str) -> None:
    """Both namespaces have `tickets`: made from our model here, and what it is made from there."""
    ours, theirs = [(await stubs.ready(await stubs.new_model())).name for _ in range(2)]
    here, there = leaving.parent_of(ours), leaving.parent_of(theirs)
    tickets = lineage_pb2.LineageNode(
        kind=lineage_pb2.LINEAGE_KIND_DATASET, name="tickets", revision="1"
    )

    def node(name: str) -> lineage_pb2.LineageNode:
        return lineage_pb2.LineageNode(kind=lineage_pb2.LINEAGE_KIND_VERSION, name=name)

    made = lineage_pb2.LineageLink(source=node(ours), target=tickets, relation="derived")
    add = lineage_pb2.AddLineageRequest(parent=here, link=made)
    await stubs.registry.AddLineage(add)
    await add_link(stubs, there, tickets, theirs)
    await add_link(stubs, there, node(theirs), ours)
    old, new = ours.partition("/versions/")[0], f"{there}/models/voice"
    await leaving.copy(stubs, old, new)
    assert await leaving.outcome(leaving.move(stubs, old, new)) == "LINEAGE_CYCLE"
    assert (await version(stubs, ours)).name == ours
    assert await leaving.strays(database_url) == {}
    remove = lineage_pb2.RemoveLineageRequest(parent=here, link=made, reason="a ring")
    await stubs.registry.RemoveLineage(remove)
    await leaving.move(stubs, old, new)
    assert {"tickets", theirs} <= await ancestors(stubs, there, f"{new}/versions/1.0.0")


async def test_comparisons_by_an_old_name_follow_it(stubs: wire.Stubs) -> None:
    old = await stubs.new_model()
    for number in ("1.0.0", "1.1.0"):
        await measure(stubs, (await stubs.ready(old, number)).name)
    new = f"{await leaving.namespace(stubs)}/models/voice"
    await leaving.relocate(stubs, old, new)
    short = "/".join(old.split("/")[1::2])
    request = evaluation_pb.CompareVersionsRequest(
        refs=[f"{short}@1.0.0", f"{short}@1.1.0"], dataset="dialogs"
    )
    compared = await stubs.evaluations.CompareVersions(request)
    assert new in str(compared)


@pytest.mark.parametrize("stale", [True, False])
async def test_etags_and_deleted_models_are_looked_at(stubs: wire.Stubs, stale: bool) -> None:
    old = await stubs.new_model()
    new = f"{await leaving.namespace(stubs)}/models/voice"
    if stale:
        assert await leaving.outcome(leaving.move(stubs, old, new, etag="77")) == "STALE_ETAG"
    else:
        await stubs.registry.DeleteModel(pb.DeleteModelRequest(name=old))
        assert await leaving.outcome(leaving.move(stubs, old, new)) == "DELETED"
    nowhere = "namespaces/nowhere/models/voice"
    assert await leaving.outcome(leaving.move(stubs, old, nowhere)) == "NOT_FOUND"

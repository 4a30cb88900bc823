"""Lineage: what versions were made from, and what was made from them; never in a circle."""

import asyncio
import itertools
from typing import Any

import grpc
import pytest
from support import wire, wire_uploads

from modelkeep.v1 import lineage_pb2 as lineage_pb
from modelkeep.v1 import registry_service_pb2 as pb
from modelkeep.v1 import spec_pb2

DATASET = lineage_pb.LineageNode(
    kind=lineage_pb.LINEAGE_KIND_DATASET, name="tickets", revision="2026-10"
)


def version_node(name: str) -> lineage_pb.LineageNode:
    return lineage_pb.LineageNode(kind=lineage_pb.LINEAGE_KIND_VERSION, name=name)


def parent_of(name: str) -> str:
    return name.partition("/models/")[0]


async def query(
    stubs: wire.Stubs, node: lineage_pb.LineageNode, parent: str, **fields: Any
) -> lineage_pb.QueryLineageResponse:
    request = lineage_pb.QueryLineageRequest(parent=parent, node=node, **fields)
    return await stubs.registry.QueryLineage(request)


async def add(stubs: wire.Stubs, source: Any, target: Any, parent: str, **fields: Any) -> Any:
    link = lineage_pb.LineageLink(source=source, target=target, relation="derived")
    request = lineage_pb.AddLineageRequest(parent=parent, link=link, **fields)
    return await stubs.registry.AddLineage(request)


async def add_versions(stubs: wire.Stubs, source: str, target: str) -> str:
    """OK, or the reason of the refusal."""
    try:
        await add(stubs, version_node(source), version_node(target), parent_of(source))
    except grpc.aio.AioRpcError as error:
        return wire.failure_of(error).reason
    return "OK"


async def sealed(stubs: wire.Stubs, parent: str, version: str, **content: Any) -> str:
    """A sealed version with files of a model; its name."""
    blob = await wire_uploads.push(stubs, parent_of(parent), b"weights")
    made = pb.Version(**content)
    made.model.framework = "pytorch"
    request = pb.CreateVersionRequest(parent=parent, version_id=version, version=made)
    name = (await stubs.registry.CreateVersion(request)).version.name
    files = [pb.File(path="w.bin", digest=blob.digest, size_bytes=blob.size_bytes)]
    await stubs.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=name, files=files))
    return name


async def test_what_a_version_says_is_linked_when_it_is_sealed(stubs: wire.Stubs) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    base = await sealed(stubs, model, "1.0.0")
    spec = spec_pb2.ModelSpec(
        base=spec_pb2.BaseModel(version=base, relation=spec_pb2.BASE_RELATION_ADAPTER)
    )
    tuned = await sealed(
        stubs,
        model,
        "2.0.0",
        model=spec,
        datasets=[
            spec_pb2.DatasetReference(
                name="tickets", revision="2026-10", role=spec_pb2.DATASET_ROLE_TRAINING
            )
        ],
        source=spec_pb2.Source(repository="https://git.example/tickets", commit="abc"),
    )
    answer = await query(stubs, version_node(tuned), parent_of(model))
    said = {
        (link.link.source.name, link.link.source.revision, link.link.relation, link.sealed)
        for link in answer.links
    }
    assert said == {
        (base, "", "adapter", True),
        ("tickets", "2026-10", "training", True),
        ("https://git.example/tickets", "abc", "code", True),
    }
    assert (answer.nodes[0].node.name, answer.nodes[0].steps) == (tuned, 0)
    assert {found.steps for found in answer.nodes[1:]} == {-1}
    down = await query(stubs, DATASET, parent_of(model))
    assert [found.node.name for found in down.nodes] == ["tickets", tuned]


async def test_a_draft_is_not_linked(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    draft = await stubs.draft(model)
    answer = await query(stubs, version_node(draft.name), parent_of(model))
    assert [found.node.name for found in answer.nodes] == [draft.name]
    assert not answer.links
    ready = await stubs.ready(model, "2.0.0")
    assert await add_versions(stubs, ready.name, draft.name) == "VERSION_NOT_SEALED"


async def test_a_prompt_is_linked_to_its_hosted_model(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    name = (await stubs.ready(model)).name
    hosted = lineage_pb.LineageNode(
        kind=lineage_pb.LINEAGE_KIND_HOSTED_MODEL, name="openai/some-model-1"
    )
    answer = await query(stubs, hosted, parent_of(model))
    assert [found.node.name for found in answer.nodes] == [hosted.name, name]


async def test_a_dataset_without_a_revision_stands_for_all(stubs: wire.Stubs) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    for number, revision in enumerate(["a", "b"]):
        dataset = spec_pb2.DatasetReference(name="tickets", revision=revision)
        await sealed(stubs, model, f"1.{number}.0", datasets=[dataset])
    node = lineage_pb.LineageNode(kind=lineage_pb.LINEAGE_KIND_DATASET, name="tickets")
    answer = await query(stubs, node, parent_of(model))
    versions = [found.node.name for found in answer.nodes if found.steps == 1]
    assert len(versions) == 2


async def test_other_namespaces_datasets_are_not_seen(stubs: wire.Stubs) -> None:
    model = await stubs.new_model(pb.MODEL_KIND_MODEL)
    dataset = spec_pb2.DatasetReference(name="tickets", revision="2026-10")
    await sealed(stubs, model, "1.0.0", datasets=[dataset])
    elsewhere = parent_of(await stubs.new_model())
    assert not (await query(stubs, DATASET, elsewhere)).nodes


async def test_nothing_is_made_from_itself(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    first, second, third = [(await stubs.ready(model, f"{n}.0.0")).name for n in (1, 2, 3)]
    assert await add_versions(stubs, first, second) == "OK"
    assert await add_versions(stubs, second, third) == "OK"
    assert await add_versions(stubs, third, first) == "LINEAGE_CYCLE"
    assert await add_versions(stubs, second, first) == "LINEAGE_CYCLE"
    assert await add_versions(stubs, first, third) == "OK"


async def test_of_links_that_would_close_a_circle_at_once_one_is_refused(
    stubs: wire.Stubs,
) -> None:
    model = await stubs.new_model()
    for n in range(5):
        ring = [(await stubs.ready(model, f"{n}.{k}.0")).name for k in range(4)]
        outcomes = await asyncio.gather(
            *(add_versions(stubs, ring[k], ring[(k + 1) % 4]) for k in range(4))
        )
        assert sorted(outcomes) == ["LINEAGE_CYCLE", "OK", "OK", "OK"]


async def test_saying_it_twice_is_saying_it_once_and_it_can_be_taken_back(
    stubs: wire.Stubs,
) -> None:
    model = await stubs.new_model()
    name = (await stubs.ready(model)).name
    for _ in range(2):
        await add(stubs, DATASET, version_node(name), parent_of(model), reason="evaluated with it")
    answer = await query(stubs, DATASET, parent_of(model))
    (link,) = answer.links
    assert (link.sealed, link.reason, link.actor) == (False, "evaluated with it", "anonymous")
    request = lineage_pb.RemoveLineageRequest(parent=parent_of(model), link=link.link)
    await stubs.registry.RemoveLineage(request)
    assert not (await query(stubs, DATASET, parent_of(model))).links
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stubs.registry.RemoveLineage(request)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_what_a_sealed_version_says_cannot_be_taken_back(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    name = (await stubs.ready(model)).name
    (link,) = (await query(stubs, version_node(name), parent_of(model))).links
    request = lineage_pb.RemoveLineageRequest(parent=parent_of(model), link=link.link)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stubs.registry.RemoveLineage(request)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_walk_ends_at_its_depth_and_says_so(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    chain = [(await stubs.ready(model, f"{n}.0.0")).name for n in range(1, 6)]
    for source, target in itertools.pairwise(chain):
        assert await add_versions(stubs, source, target) == "OK"
    down = lineage_pb.LINEAGE_DIRECTION_DOWNSTREAM
    answer = await query(stubs, version_node(chain[0]), parent_of(model), direction=down, depth=2)
    assert [found.node.name for found in answer.nodes] == chain[:3]
    assert answer.truncated
    answer = await query(stubs, version_node(chain[0]), parent_of(model), direction=down, depth=4)
    assert [found.steps for found in answer.nodes] == [0, 1, 2, 3, 4]
    assert not answer.truncated


async def test_how_a_version_stands_is_told(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    name = (await stubs.ready(model)).name
    await stubs.stage(name, "staging")
    await stubs.alias(name, "champion")
    await add(stubs, DATASET, version_node(name), parent_of(model))
    found = (await query(stubs, DATASET, parent_of(model))).nodes[1]
    assert (found.state, found.stage, list(found.aliases)) == ("ready", "staging", ["champion"])
    request = pb.MoveModelRequest(name=model, destination=f"{parent_of(model)}/models/other")
    await stubs.registry.MoveModel(request)
    found = (await query(stubs, DATASET, parent_of(model))).nodes[1]
    assert found.node.name == f"{parent_of(model)}/models/other/versions/1.0.0"
    by_old_name = await query(stubs, version_node(name), parent_of(model))
    assert by_old_name.nodes[0].node.name == found.node.name


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("link.source.revision", {"source": lineage_pb.LineageNode(kind=2, name="tickets")}),
        ("link.source.kind", {"source": lineage_pb.LineageNode(name="tickets")}),
        ("link.target.name", {"target": version_node("acme/m@1")}),
        ("link.relation", {"relation": "Not An Id"}),
        (
            "link.source.revision",
            {"source": lineage_pb.LineageNode(kind=5, name="x", revision="1")},
        ),
    ],
)
async def test_a_bad_link_names_the_field(
    stubs: wire.Stubs, field: str, changed: dict[str, Any]
) -> None:
    name = "namespaces/none/models/none/versions/1.0.0"
    link = {"source": DATASET, "target": version_node(name), "relation": "derived"} | changed
    request = lineage_pb.AddLineageRequest(
        parent="namespaces/none", link=lineage_pb.LineageLink(**link)
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stubs.registry.AddLineage(request)
    assert wire.failure_of(caught.value).fields == [field]

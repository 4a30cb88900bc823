"""SearchVersions over the wire: what it finds, what it refuses, and its pages."""

import asyncio

import grpc
import pytest
from support import wire

from modelkeep.v1 import registry_service_pb2 as pb
from modelkeep.v1 import spec_pb2


async def create(stubs: wire.Stubs, model: str, version: str, **fields: object) -> pb.Version:
    """A draft of a model of weights."""
    spec = spec_pb2.ModelSpec(framework="pytorch")
    spec.parameters["lr"].double_value = 0.1
    created = await stubs.registry.CreateVersion(
        pb.CreateVersionRequest(
            parent=model, version_id=version, version=pb.Version(model=spec, **fields)
        )
    )
    return created.version


async def found(stubs: wire.Stubs, parent: str, text: str = "", **fields: object) -> list[str]:
    """The versions that are found, all pages of them."""
    entries: list[str] = []
    token = ""
    while True:
        page = await stubs.registry.SearchVersions(
            pb.SearchVersionsRequest(parent=parent, filter=text, page_token=token, **fields)
        )
        entries += [version.version for version in page.versions]
        token = page.next_page_token
        if not token:
            return entries


@pytest.fixture
async def model(stubs: wire.Stubs) -> str:
    name = await stubs.new_model(pb.MODEL_KIND_MODEL)
    for n in range(5):
        metrics = [spec_pb2.Metric(name="accuracy", value=n / 4)] if n else []
        labels = {"team": "x" if n % 2 else "y"}
        await create(stubs, name, f"1.0.{n}", metrics=metrics, labels=labels, card="# Hears voices")
    return name


async def test_versions_are_found_by_what_they_are(stubs: wire.Stubs, model: str) -> None:
    namespace = model.rpartition("/models/")[0]
    for parent in [namespace, model]:
        assert await found(stubs, parent) == ["1.0.4", "1.0.3", "1.0.2", "1.0.1", "1.0.0"]
        both = 'metrics.accuracy > 0.3 AND labels.team = "x"'
        assert await found(stubs, parent, both) == ["1.0.3"]
        # As in AIP-160, OR binds tighter than AND.
        mixed = "labels.team = x AND version = 1.0.1 OR version = 1.0.2"
        assert await found(stubs, parent, mixed) == ["1.0.1"]
        # What is not there is not smaller: but it is not not smaller either.
        assert await found(stubs, parent, "metrics.accuracy < 0.3") == ["1.0.1"]
        assert "1.0.0" in await found(stubs, parent, "NOT metrics.accuracy < 0.3")
        assert await found(stubs, parent, "NOT metrics.accuracy:*") == ["1.0.0"]
        assert len(await found(stubs, parent, '"hears voices" params.lr = 0.1')) == 5
    assert await found(stubs, model, "labels.team = x", order_by="version") == ["1.0.1", "1.0.3"]
    ordered = await found(stubs, namespace, order_by="metrics.accuracy desc", page_size=2)
    assert ordered == ["1.0.4", "1.0.3", "1.0.2", "1.0.1", "1.0.0"]


async def test_entries_carry_the_metrics_that_are_named(stubs: wire.Stubs, model: str) -> None:
    for fields in [
        {"filter": "metrics.accuracy = 0.5"},
        {"filter": "version = 1.0.2", "order_by": "metrics.accuracy"},
        {"filter": "version = 1.0.2", "metrics": ["accuracy"]},
    ]:
        request = pb.SearchVersionsRequest(parent=model, **fields)
        (entry,) = (await stubs.registry.SearchVersions(request)).versions
        assert [(one.name, one.value) for one in entry.metrics] == [("accuracy", 0.5)]
        assert not entry.card
        assert entry.WhichOneof("spec") is None


async def test_a_search_follows_every_change(stubs: wire.Stubs, model: str) -> None:
    name = f"{model}/versions/1.0.3"
    await stubs.registry.UpdateVersion(
        pb.UpdateVersionRequest(
            version=pb.Version(name=name, labels={"team": "z"}, description="zebra"),
            update_mask={"paths": ["labels", "description"]},
        )
    )
    assert await found(stubs, model, "labels.team = z zebra") == ["1.0.3"]
    assert await found(stubs, model, "labels.team = x") == ["1.0.1"]
    changed = pb.Version(name=name, metrics=[spec_pb2.Metric(name="loss", value=3)])
    await stubs.registry.UpdateVersion(
        pb.UpdateVersionRequest(version=changed, update_mask={"paths": ["metrics"]})
    )
    assert await found(stubs, model, "metrics.loss = 3") == ["1.0.3"]
    assert "1.0.3" not in await found(stubs, model, "metrics.accuracy:*")
    await stubs.registry.DeleteVersion(pb.DeleteVersionRequest(name=name))
    assert await found(stubs, model, "zebra") == []
    assert await found(stubs, model, "zebra", show_deleted=True) == ["1.0.3"]
    await stubs.registry.PurgeVersion(pb.PurgeVersionRequest(name=name))
    assert await found(stubs, model, "zebra OR labels.team:*", show_deleted=True) == [
        "1.0.4", "1.0.2", "1.0.1", "1.0.0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"filter": "metrics.accuracy > high"}, "filter", "column 20: metrics.accuracy takes a"),
        ({"filter": "metric.x = 1"}, "filter", "column 1: there is no field 'metric.x'; did you"),
        ({"filter": "(stage = staging"}, "filter", 'column 17: expected ")", found the end'),
        ({"filter": "(" * 17 + "a" + ")" * 17}, "filter", "more than 16 parentheses"),
        ({"filter": "a " * 33}, "filter", "more than 32 conditions"),
        ({"filter": "a" * 4097}, "filter", "at most 4,096 are allowed"),
        ({"order_by": "labels.team"}, "order_by", "column 1: expected one of create_time"),
        ({"metrics": ["x"] * 17}, "metrics", "at most 16 are allowed"),
        ({"parent": "namespaces/a/models/b/versions/1.0.0"}, "parent", "does not match"),
        ({"page_size": -1}, "page_size", "expected 0 or more"),
        ({"page_token": "AAAA"}, "page_token", "not a token of this list"),
    ],
)
async def test_what_is_malformed_is_refused_by_its_field(
    stubs: wire.Stubs, model: str, fields: dict[str, object], field: str, told: str
) -> None:
    request = pb.SearchVersionsRequest(**{"parent": model, **fields})
    failure = await wire.failing(stubs.registry.SearchVersions(request))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields == [field]
    assert told in failure.message


async def test_a_token_continues_its_own_search_only(stubs: wire.Stubs, model: str) -> None:
    first = pb.SearchVersionsRequest(parent=model, filter="labels.team:*", page_size=2)
    token = (await stubs.registry.SearchVersions(first)).next_page_token
    assert token
    for changed in [
        pb.SearchVersionsRequest(parent=model, filter="labels.team = x"),
        pb.SearchVersionsRequest(parent=model, filter="labels.team:*", order_by="ordinal"),
        pb.SearchVersionsRequest(parent=model, filter="labels.team:*", show_deleted=True),
        pb.SearchVersionsRequest(parent=model.rpartition("/models")[0], filter="labels.team:*"),
    ]:
        changed.page_token = token
        failure = await wire.failing(stubs.registry.SearchVersions(changed))
        assert failure.fields == ["page_token"]


@pytest.mark.slow
async def test_pages_under_inserts_neither_skip_nor_repeat(stubs: wire.Stubs, model: str) -> None:
    namespace = model.rpartition("/models/")[0]
    before = {f"1.1.{n}" for n in range(60)}
    for version in sorted(before):
        await create(stubs, model, version, metrics=[spec_pb2.Metric(name="a", value=0.5)])
    stop = asyncio.Event()

    async def insert() -> None:
        n = 0
        while not stop.is_set():
            await create(stubs, model, f"2.0.{n}", metrics=[spec_pb2.Metric(name="a", value=n % 2)])
            n += 1

    writers = asyncio.gather(insert())
    try:
        for order in ["", "metrics.a desc", "metrics.a", "create_time", "size desc"]:
            seen = await found(stubs, namespace, "version < 2.0.0", order_by=order, page_size=7)
            assert len(seen) == len(set(seen)), order
            assert before <= set(seen), order
            everything = await found(stubs, namespace, order_by=order, page_size=7)
            assert len(everything) == len(set(everything)), order
            assert before <= set(everything), order
    finally:
        stop.set()
        await writers


async def test_there_must_be_something_to_search(stubs: wire.Stubs) -> None:
    for parent in ["namespaces/none", "namespaces/none/models/none"]:
        failure = await wire.failing(
            stubs.registry.SearchVersions(pb.SearchVersionsRequest(parent=parent))
        )
        assert failure.code is grpc.StatusCode.NOT_FOUND

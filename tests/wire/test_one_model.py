"""Who was given one model of a namespace is shown that model there, and no trace of others."""

import asyncio
import base64
import dataclasses
import itertools
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from support import closed, happening, wire

from modelkeep import config as configuration
from modelkeep.service import watching
from modelkeep.transport import authentication
from modelkeep.v1 import access_service_pb2 as access_pb
from modelkeep.v1 import compliance_pb2, deployment_service_pb2, lifecycle_service_pb2, lineage_pb2
from modelkeep.v1 import event_service_pb2 as event_pb
from modelkeep.v1 import registry_service_pb2 as pb

READER, ADMIN = access_pb.ROLE_READER, access_pb.ROLE_ADMIN
DENIED, NOT_FOUND = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND
HIDDEN = "secret-project"
COUNT = 7


@dataclasses.dataclass
class Shared:
    """A namespace with `m`, which alice may read, and models that she may not.

    Versions of all are made in turn, so that hers lie between the others.
    """

    world: closed.Closed
    parent: str
    alice: wire.Stubs

    @property
    def mine(self) -> str:
        """The model that alice was given."""
        return f"{self.parent}/models/m"

    @property
    def hidden(self) -> str:
        """The one that she was not."""
        return f"{self.parent}/models/{HIDDEN}"

    @property
    def admin(self) -> wire.Stubs:
        """Stubs of who may see everything."""
        return self.world.admin


@pytest.fixture
async def shared(config: configuration.Config) -> AsyncIterator[Shared]:
    async with closed.running(config) as world:
        mine = await world.admin.new_model()
        parent = mine.partition("/models/")[0]
        await new_model(world.admin, parent, HIDDEN)
        for number in range(COUNT):
            for model in (mine, f"{parent}/models/{HIDDEN}"):
                await version(world.admin, model, f"1.0.{number}", number)
        alice = await world.somebody("user:alice", (READER, mine))
        yield Shared(world, parent, alice)


async def new_model(stubs: wire.Stubs, parent: str, model_id: str) -> str:
    request = pb.CreateModelRequest(
        parent=parent, model_id=model_id, model=pb.Model(kind=pb.MODEL_KIND_PROMPT)
    )
    return str((await stubs.registry.CreateModel(request)).model.name)


async def version(stubs: wire.Stubs, model: str, number: str, value: int = 0) -> str:
    made = wire.prompt_version()
    made.labels["team"] = "x"
    if value % 2 == 0:  # half of them have nothing to be ordered by
        made.metrics.add(name="accuracy", value=value)
    request = pb.CreateVersionRequest(parent=model, version_id=number, version=made)
    name = (await stubs.registry.CreateVersion(request)).version.name
    await stubs.registry.FinalizeVersion(pb.FinalizeVersionRequest(name=name))
    return str(name)


async def searched(stubs: wire.Stubs, parent: str, page_size: int = 2, **fields: Any) -> list[str]:
    """What all pages of a search have; each but the last is full."""
    request = pb.SearchVersionsRequest(parent=parent, page_size=page_size, **fields)
    found: list[str] = []
    while True:
        page = await stubs.registry.SearchVersions(request)
        found += [one.name for one in page.versions]
        if not page.next_page_token:
            return found
        assert len(page.versions) == page_size
        request.page_token = page.next_page_token


async def listed(stubs: wire.Stubs, parent: str, **fields: Any) -> list[event_pb.Event]:
    request = event_pb.ListEventsRequest(parent=parent, **fields)
    found: list[event_pb.Event] = []
    while True:
        page = await stubs.events.ListEvents(request)
        found += page.events
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def about(model: str, found: list[event_pb.Event]) -> list[event_pb.Event]:
    return [one for one in found if f"{one.resource}/".startswith(f"{model}/")]


ORDERS = ["", "create_time", "metrics.accuracy", "metrics.accuracy desc", "finalize_time desc"]


@pytest.mark.parametrize("query", ["", "labels.team = x", "labels.team = x metrics.accuracy < 5"])
@pytest.mark.parametrize("page_size", [1, 3, COUNT])
async def test_a_search_of_the_namespace_finds_the_model_as_a_search_of_the_model_does(
    shared: Shared, query: str, page_size: int
) -> None:
    for order in ORDERS:
        fields: dict[str, Any] = {"filter": query, "order_by": order, "page_size": page_size}
        there = await searched(shared.alice, shared.mine, **fields)
        assert there
        assert await searched(shared.alice, shared.parent, **fields) == there, order
        everything = await searched(shared.admin, shared.parent, **fields)
        assert [name for name in everything if name.startswith(shared.mine)] == there
        assert len(everything) == 2 * len(there)


async def test_several_models_are_merged_into_the_order_of_the_namespace(shared: Shared) -> None:
    await new_model(shared.admin, shared.parent, "k")
    for number in range(3):
        await version(shared.admin, f"{shared.parent}/models/k", f"2.0.{number}", number)
    await version(shared.admin, shared.mine, "3.0.0", 9)
    await shared.world.grant("user:alice", access_pb.ROLE_DEPLOYER, f"{shared.parent}/models/k")
    for order in ORDERS:
        everything = await searched(shared.admin, shared.parent, order_by=order)
        seen = [name for name in everything if not name.startswith(shared.hidden)]
        assert len(seen) == COUNT + 4
        assert await searched(shared.alice, shared.parent, order_by=order) == seen, order


async def test_no_filter_and_no_token_leads_to_another_model(shared: Shared) -> None:
    hidden = shared.hidden.replace("namespaces/", "").replace("/models", "")
    for query in (
        f"model = {HIDDEN}",
        f"name = {hidden}@1.0.0",
        f"base = {hidden}@1.0.0",
        f'"{HIDDEN}"',
        f"model = {HIDDEN} OR name = {hidden}@1.0.1",
    ):
        assert await searched(shared.alice, shared.parent, filter=query) == [], query
        nothing = query.replace(HIDDEN, "no-such-model")
        assert await searched(shared.alice, shared.parent, filter=nothing) == []
    for query in (f"NOT model = {HIDDEN}", f"name != {hidden}@1.0.0"):
        assert len(await searched(shared.alice, shared.parent, filter=query)) == COUNT
    first = pb.SearchVersionsRequest(parent=shared.parent, page_size=3)
    for order in ORDERS:
        first.order_by = order
        theirs = (await shared.admin.registry.SearchVersions(first)).next_page_token
        stolen = await searched(shared.alice, shared.parent, 3, order_by=order, page_token=theirs)
        assert all(name.startswith(shared.mine) for name in stolen)
        whole = await searched(shared.alice, shared.parent, 3, order_by=order)
        assert stolen == whole[len(whole) - len(stolen) :]
    refusal = await wire.failing(
        shared.alice.registry.SearchVersions(pb.SearchVersionsRequest(parent=shared.hidden))
    )
    assert refusal.code is DENIED


async def test_a_token_has_nothing_of_what_is_hidden(shared: Shared) -> None:
    """Its key is that of the last entry of the page, which the caller was shown."""
    request = pb.SearchVersionsRequest(
        parent=shared.parent, page_size=2, order_by="metrics.accuracy desc"
    )
    in_namespace = (await shared.alice.registry.SearchVersions(request)).next_page_token
    request.parent = shared.mine
    in_model = (await shared.alice.registry.SearchVersions(request)).next_page_token
    keys = {base64.urlsafe_b64decode(token + "==")[16:] for token in (in_namespace, in_model)}
    assert len(keys) == 1


async def test_events_of_the_model_are_listed_and_no_others(shared: Shared) -> None:
    everything = await listed(shared.admin, shared.parent, page_size=1000)
    mine = about(shared.mine, everything)
    assert len(mine) > 2 * COUNT
    for size in (1, 4, 1000):
        assert await listed(shared.alice, shared.parent, page_size=size) == mine
    first = await shared.alice.events.ListEvents(
        event_pb.ListEventsRequest(parent=shared.parent, page_size=5)
    )
    assert list(first.events) == mine[:5]  # a page is full whatever lies between
    for wanted in (
        event_pb.EventFilter(models=[HIDDEN]),
        event_pb.EventFilter(resource=shared.hidden),
        event_pb.EventFilter(resource=shared.parent, actions=["namespace.*"]),
    ):
        assert await listed(shared.alice, shared.parent, filter=wanted) == []
    stars = event_pb.EventFilter(models=["*"])
    assert await listed(shared.alice, shared.parent, filter=stars) == mine


async def test_a_page_token_of_somebody_elses_list_leads_to_no_other_model(
    shared: Shared,
) -> None:
    request = event_pb.ListEventsRequest(parent=shared.parent, page_size=6)
    request.page_token = (await shared.admin.events.ListEvents(request)).next_page_token
    rest = await listed(shared.alice, shared.parent, page_size=6, page_token=request.page_token)
    mine = about(shared.mine, await listed(shared.admin, shared.parent))
    assert rest == [one for one in mine if one.sequence > 6]


class Watch:
    """A watch, and what it has sent."""

    def __init__(self, stubs: wire.Stubs, parent: str, **fields: Any) -> None:
        self._call = stubs.events.Watch(event_pb.WatchRequest(parent=parent, **fields))
        self.checkpoints: list[int] = []

    async def events(self, count: int) -> list[event_pb.Event]:
        """The next so many."""
        found: list[event_pb.Event] = []
        async with asyncio.timeout(20):
            while len(found) < count:
                answer = await self._call.read()
                assert answer is not grpc.aio.EOF, await self._call.details()
                if answer.HasField("event"):
                    found.append(answer.event)
                else:
                    self.checkpoints.append(answer.checkpoint.sequence)
        return found

    async def begun(self) -> None:
        """Wait for the checkpoint that it begins with."""
        self.checkpoints.append((await self._call.read()).checkpoint.sequence)

    async def ended(self) -> wire.Failure:
        """What it ended with."""
        async with asyncio.timeout(20):
            return await wire.failing(self._call.read())

    def cancel(self) -> None:
        self._call.cancel()


async def test_a_watch_sends_the_model_and_goes_on_where_it_was(shared: Shared) -> None:
    mine = about(shared.mine, await listed(shared.admin, shared.parent))
    whole = Watch(shared.alice, shared.parent, after_sequence=0)
    assert await whole.events(len(mine)) == mine  # from the table
    live = Watch(shared.alice, shared.parent)
    await live.begun()
    for number in range(3):
        for model in (shared.hidden, shared.mine, shared.hidden):
            await shared.admin.alias(f"{model}/versions/1.0.0", f"a{number}")
    told = await live.events(3)  # from memory
    assert [one.resource for one in told] == [f"{shared.mine}/aliases/a{n}" for n in range(3)]
    assert await whole.events(3) == told
    resumed = Watch(shared.alice, shared.parent, after_sequence=told[0].sequence)
    assert await resumed.events(2) == told[1:]
    between = Watch(shared.alice, shared.parent, after_sequence=told[0].sequence + 1)
    assert await between.events(2) == told[1:]  # begun behind an event of another model
    for watch in (whole, live, resumed, between):
        watch.cancel()


async def test_a_watch_of_one_model_is_told_how_far_it_is(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would be sent back to the beginning of what happened to others in the meantime."""
    monkeypatch.setattr(watching, "_AT_ONCE", 10)
    watch = Watch(shared.alice, shared.parent)
    await watch.begun()
    for number in range(21):
        await shared.admin.alias(f"{shared.hidden}/versions/1.0.0", f"a{number}")
    await shared.admin.alias(f"{shared.mine}/versions/1.0.0", "mine")
    (event,) = await watch.events(1)
    assert event.resource == f"{shared.mine}/aliases/mine"
    assert watch.checkpoints[0] + 10 <= watch.checkpoints[1] < event.sequence
    watch.cancel()


async def test_events_follow_a_model_to_its_new_name(shared: Shared) -> None:
    watch = Watch(shared.alice, shared.parent)
    await watch.begun()
    for old, new in ((shared.mine, "renamed"), (shared.hidden, "also-renamed")):
        destination = f"{shared.parent}/models/{new}"
        await shared.admin.registry.MoveModel(
            pb.MoveModelRequest(name=old, destination=destination)
        )
        await shared.admin.alias(f"{destination}/versions/1.0.0", "after")
    renamed = f"{shared.parent}/models/renamed"
    moved, after = await watch.events(2)
    assert (moved.action, moved.resource) == ("model.moved", renamed)
    assert after.resource == f"{renamed}/aliases/after"
    shared.world.deciding.bindings.forget()
    everything = await listed(shared.admin, shared.parent)
    mine = [
        one
        for one in everything
        if f"{one.resource}/".startswith((f"{shared.mine}/", f"{renamed}/"))
    ]
    assert await listed(shared.alice, shared.parent) == mine
    assert {one.resource.split("/")[3] for one in mine} == {"m", "renamed"}
    watch.cancel()


async def test_what_begins_just_after_a_model_was_renamed_is_about_it(shared: Shared) -> None:
    before = await listed(shared.alice, shared.parent)  # from here on her roles are known
    renamed = f"{shared.parent}/models/renamed"
    await shared.admin.registry.MoveModel(
        pb.MoveModelRequest(name=shared.mine, destination=renamed)
    )
    after = await listed(shared.alice, shared.parent)
    assert [one.action for one in after[len(before) :]] == ["model.moved"]
    watch = Watch(shared.alice, shared.parent)
    await watch.begun()
    await shared.admin.alias(f"{renamed}/versions/1.0.0", "after")
    (event,) = await watch.events(1)
    assert event.resource == f"{renamed}/aliases/after"
    watch.cancel()


async def test_a_scope_names_a_model_that_is_made_later(shared: Shared) -> None:
    await shared.world.grant("user:bob", READER, shared.parent)
    scopes = [access_pb.Grant(role=READER, resource=f"{shared.parent}/models/new")]
    bob = shared.world.with_token((await shared.world.token("user:bob", scopes=scopes)).text)
    assert await searched(bob, shared.parent) == []
    assert await listed(bob, shared.parent) == []
    watch = Watch(bob, shared.parent)
    await watch.begun()
    made = await new_model(shared.admin, shared.parent, "new")
    found = await version(shared.admin, made, "1.0.0")
    sent = await watch.events(3)
    assert [one.action for one in sent] == ["model.created", "version.created", "version.finalized"]
    assert await searched(bob, shared.parent) == [found]
    watch.cancel()


async def test_what_is_compacted_is_refused_to_the_watcher_of_one_model_too(
    shared: Shared, database_url: str
) -> None:
    await happening.compact(database_url, 2)
    refused = await Watch(shared.alice, shared.parent, after_sequence=1).ended()
    assert refused.reason == "EVENTS_COMPACTED"
    assert HIDDEN not in str(refused)
    kept = await listed(shared.alice, shared.parent)
    assert kept == about(shared.mine, await listed(shared.admin, shared.parent))
    ahead = await Watch(shared.alice, shared.parent, after_sequence=10**6).ended()
    assert ahead.reason == "SEQUENCE_AHEAD"


async def test_a_watch_ends_when_the_model_is_taken_away(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "STANDING_S", 0.0)
    binding = await shared.world.grant("user:carol", READER, shared.mine)
    carol = await shared.world.somebody("user:carol")
    watch = Watch(carol, shared.parent)
    await watch.begun()
    request = access_pb.DeleteRoleBindingRequest(name=binding)
    await shared.admin.access.DeleteRoleBinding(request)  # which is an event of the model, too
    assert (await watch.ended()).reason == "ACCESS_CHANGED"
    assert (await Watch(carol, shared.parent).ended()).code is NOT_FOUND


async def test_deployments_and_transitions_of_the_model_are_listed(shared: Shared) -> None:
    environment = deployment_service_pb2.CreateEnvironmentRequest(
        parent=shared.parent,
        environment_id="eu",
        environment=deployment_service_pb2.Environment(stages=["development"], allow_several=True),
    )
    await shared.admin.deployments.CreateEnvironment(environment)
    for number in range(3):
        for model in (shared.mine, shared.hidden):
            name = f"{model}/versions/1.0.{number}"
            await shared.admin.deployments.RecordDeployment(
                deployment_service_pb2.RecordDeploymentRequest(
                    parent=model,
                    deployment=deployment_service_pb2.Deployment(
                        version=name, environment=f"{shared.parent}/environments/eu"
                    ),
                )
            )
            await shared.admin.lifecycle.RequestTransition(
                lifecycle_service_pb2.RequestTransitionRequest(
                    parent=name, stage="staging", reason="x"
                )
            )
    for method, kind, field in (
        (
            shared.alice.deployments.ListDeployments,
            deployment_service_pb2.ListDeploymentsRequest,
            "deployments",
        ),
        (
            shared.alice.lifecycle.ListTransitions,
            lifecycle_service_pb2.ListTransitionsRequest,
            "transitions",
        ),
    ):
        for parent in (shared.parent, shared.mine):
            first = await method(kind(parent=parent, page_size=2))
            rest = await method(kind(parent=parent, page_size=2, page_token=first.next_page_token))
            found = [*getattr(first, field), *getattr(rest, field)]
            assert len(getattr(first, field)) == 2
            assert len(found) == 3
            assert not rest.next_page_token
            assert all(one.name.startswith(f"{shared.mine}/") for one in found)
        refused = await wire.failing(method(kind(parent=shared.hidden)))
        assert refused.code is DENIED


async def test_a_report_counts_and_ranks_the_model_alone(shared: Shared) -> None:
    for number in range(2):
        for model in (shared.hidden, shared.mine):
            await shared.admin.stage(f"{model}/versions/1.0.{number}", "staging")

    async def report(stubs: wire.Stubs) -> Any:
        request = compliance_pb2.GetComplianceReportRequest(parent=shared.parent)
        return await stubs.audit.GetComplianceReport(request)

    everything, mine = await report(shared.admin), await report(shared.alice)
    assert len(everything.entries) == 4
    assert [one.rank for one in mine.entries] == [1, 2]
    assert all(one.version.startswith(shared.mine) for one in mine.entries)
    assert HIDDEN not in str(mine)
    assert mine.version_count == 2


async def test_who_was_given_nothing_there_is_told_what_they_always_were(shared: Shared) -> None:
    """And so is who was given models of which none is of this namespace."""
    elsewhere = await shared.admin.new_model()
    dave = await shared.world.somebody("user:dave", (ADMIN, elsewhere))
    for name in (shared.parent, "namespaces/none"):
        refused = await wire.failing(
            dave.registry.SearchVersions(pb.SearchVersionsRequest(parent=name))
        )
        assert (refused.code, refused.message) == (NOT_FOUND, f"{name} does not exist")
        watch = await Watch(dave, name).ended()
        assert (watch.code, watch.message) == (NOT_FOUND, f"{name} does not exist")


async def test_a_watch_that_names_another_model_is_sent_nothing_of_it(shared: Shared) -> None:
    wanted = event_pb.EventFilter(models=[HIDDEN, "m"], actions=["alias.*"])
    watch = Watch(shared.alice, shared.parent, after_sequence=0, filter=wanted)
    await watch.begun()
    for model in (shared.hidden, shared.mine):
        await shared.admin.alias(f"{model}/versions/1.0.0", "best")
    (event,) = await watch.events(1)
    assert event.resource == f"{shared.mine}/aliases/best"
    watch.cancel()


async def test_where_something_comes_from_is_no_event_of_one_model(shared: Shared) -> None:
    """It may be a version of another; QueryLineage tells those of it that may be read."""
    nodes = [
        lineage_pb2.LineageNode(
            kind=lineage_pb2.LINEAGE_KIND_VERSION, name=f"{model}/versions/1.0.0"
        )
        for model in (shared.hidden, shared.mine)
    ]
    link = lineage_pb2.LineageLink(source=nodes[0], target=nodes[1], relation="derived")
    request = lineage_pb2.AddLineageRequest(parent=shared.parent, link=link)
    watch = Watch(shared.alice, shared.parent)
    await watch.begun()
    await shared.admin.registry.AddLineage(request)
    await shared.admin.alias(f"{shared.mine}/versions/1.0.0", "best")
    (event,) = await watch.events(1)
    assert event.action == "alias.set"
    assert not [one for one in await listed(shared.alice, shared.parent) if HIDDEN in str(one)]
    (told,) = [
        one for one in await listed(shared.admin, shared.parent) if one.action == "lineage.added"
    ]
    assert told.resource == f"{shared.mine}/versions/1.0.0"
    watch.cancel()


KINDS = {
    "version": lineage_pb2.LINEAGE_KIND_VERSION,
    "dataset": lineage_pb2.LINEAGE_KIND_DATASET,
    "other": lineage_pb2.LINEAGE_KIND_OTHER,
    "hosted_model": lineage_pb2.LINEAGE_KIND_HOSTED_MODEL,
}


def node(kind: str, name: str, revision: str = "") -> lineage_pb2.LineageNode:
    return lineage_pb2.LineageNode(kind=KINDS[kind], name=name, revision=revision)


async def linked(stubs: wire.Stubs, parent: str, *chain: lineage_pb2.LineageNode) -> None:
    """Say of each that it was made from the one before."""
    for source, target in itertools.pairwise(chain):
        link = lineage_pb2.LineageLink(source=source, target=target, relation="derived")
        await stubs.registry.AddLineage(lineage_pb2.AddLineageRequest(parent=parent, link=link))


async def graph(
    stubs: wire.Stubs, parent: str, of: lineage_pb2.LineageNode, depth: int = 20
) -> lineage_pb2.QueryLineageResponse:
    request = lineage_pb2.QueryLineageRequest(parent=parent, node=of, depth=depth)
    return await stubs.registry.QueryLineage(request)


def shown(found: lineage_pb2.QueryLineageResponse) -> set[str]:
    """What is there, but for the hosted model that all prompts are for."""
    hosted = lineage_pb2.LINEAGE_KIND_HOSTED_MODEL
    nodes = [one.node for one in found.nodes]
    return {one.name + one.revision for one in nodes if one.kind != hosted}


async def test_lineage_shows_the_links_of_the_model_and_ends_at_others(shared: Shared) -> None:
    mine = [node("version", f"{shared.mine}/versions/1.0.{n}") for n in range(3)]
    theirs = [node("version", f"{shared.hidden}/versions/1.0.{n}") for n in range(3)]
    raw, calls = node("dataset", "raw", "1"), node("dataset", "calls", "1")
    await linked(shared.admin, shared.parent, raw, calls, mine[0], mine[1], theirs[0], mine[2])
    await linked(shared.admin, shared.parent, calls, theirs[1])
    await linked(shared.admin, shared.parent, node("dataset", "calls", "2"), theirs[2])
    for start in (mine[0], mine[1], calls, node("dataset", "calls")):
        found = await graph(shared.alice, shared.parent, start)
        assert shown(found) == {"calls1", mine[0].name, mine[1].name}, start
        assert not found.truncated
    near = await graph(shared.alice, shared.parent, mine[1], 1)
    assert shown(near) == {mine[0].name, mine[1].name}
    assert near.truncated
    assert not (await graph(shared.alice, shared.parent, mine[0], 1)).truncated
    alone = await graph(shared.alice, shared.parent, mine[2])
    assert (shown(alone), len(alone.links), alone.truncated) == ({mine[2].name}, 1, False)
    hosted = node("hosted_model", "openai/some-model-1")
    everywhere = await graph(shared.alice, shared.parent, hosted)
    assert shown(everywhere) == {f"{shared.mine}/versions/1.0.{n}" for n in range(COUNT)}
    assert len(everywhere.links) == COUNT + 1
    whole = await graph(shared.admin, shared.parent, mine[0])
    assert shown(whole) >= {"raw1", theirs[0].name, mine[2].name}


async def test_what_only_others_are_made_from_is_as_if_it_were_not_there(shared: Shared) -> None:
    theirs = node("version", f"{shared.hidden}/versions/1.0.0")
    await linked(shared.admin, shared.parent, node("dataset", "raw", "1"), theirs)
    await linked(shared.admin, shared.parent, node("other", "x"), theirs)
    for kind, name, revision in (
        ("dataset", "raw", "1"),
        ("dataset", "raw", ""),
        ("other", "x", ""),
    ):
        there = await graph(shared.alice, shared.parent, node(kind, name, revision))
        missing = await graph(shared.alice, shared.parent, node(kind, "nothing", revision))
        assert there == missing == lineage_pb2.QueryLineageResponse()
    for hidden in (theirs, node("version", f"{shared.hidden}/versions/9.9.9")):
        refused = await wire.failing(graph(shared.alice, shared.parent, hidden))
        assert refused.code is DENIED
    link = lineage_pb2.LineageLink(source=theirs, target=theirs, relation="derived")
    link.source.name = f"{shared.mine}/versions/1.0.0"
    request = lineage_pb2.AddLineageRequest(parent=shared.parent, link=link)
    assert (await wire.failing(shared.alice.registry.AddLineage(request))).code is DENIED


async def test_a_role_on_another_namespace_opens_no_more_of_this_ones_lineage(
    shared: Shared,
) -> None:
    """The version that is asked about need not be of the namespace that is asked."""
    elsewhere = (await shared.admin.new_model()).partition("/models/")[0]
    await shared.world.grant("user:alice", READER, elsewhere)
    mine, theirs = (
        node("version", f"{model}/versions/1.0.0") for model in (shared.mine, shared.hidden)
    )
    there = node("version", await version(shared.admin, f"{elsewhere}/models/m", "1.0.0"))
    await linked(shared.admin, shared.parent, theirs, mine, there)
    for parent in (elsewhere, shared.parent):
        assert shown(await graph(shared.alice, parent, mine)) == {mine.name, there.name}
    assert shown(await graph(shared.alice, elsewhere, there)) == {there.name}


async def test_a_long_log_has_the_model_wherever_that_is(shared: Shared) -> None:
    """What happened to others lies between, and is passed."""
    for number in range(8):
        await shared.admin.alias(f"{shared.hidden}/versions/1.0.0", f"a{number}")
    last = await shared.admin.alias(f"{shared.mine}/versions/1.0.0", "last")
    mine = about(shared.mine, await listed(shared.admin, shared.parent))
    assert mine[-1].resource == last.name
    assert await listed(shared.alice, shared.parent) == mine
    watch = Watch(shared.alice, shared.parent, after_sequence=0)
    assert await watch.events(len(mine)) == mine
    watch.cancel()

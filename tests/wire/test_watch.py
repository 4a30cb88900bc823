"""Watch and ListEvents over the wire: where they start, what fits, how they refuse."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
from support import happening, services, wire

from modelkeep import client
from modelkeep.v1 import event_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry


async def events_of(stream: Any, count: int) -> list[pb.Event]:
    found: list[pb.Event] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            answer = await stream.read()
            if answer.HasField("event"):
                found.append(answer.event)
    return found


def namespace_of(model: str) -> str:
    return model.partition("/models/")[0]


async def test_a_watch_starts_with_a_checkpoint_and_goes_on_behind_any_sequence(
    stubs: wire.Stubs,
) -> None:
    model = await stubs.new_model()
    version = await stubs.ready(model)
    parent = namespace_of(model)
    now = stubs.events.Watch(pb.WatchRequest(parent=parent))
    first = await now.read()
    assert (first.checkpoint.sequence, first.checkpoint.oldest_sequence) == (4, 1)
    await stubs.alias(version.name, "champion", request_id="r1")
    (alias,) = await events_of(now, 1)
    assert (alias.sequence, alias.action, alias.actor) == (5, "alias.set", "anonymous")
    assert alias.resource == f"{model}/aliases/champion"
    assert not alias.HasField("before")
    assert alias.after["version"] == version.name
    whole = stubs.events.Watch(pb.WatchRequest(parent=parent, after_sequence=0))
    assert (await whole.read()).checkpoint.sequence == 0
    found = await events_of(whole, 5)
    assert [event.action for event in found] == [
        "namespace.created",
        "model.created",
        "version.created",
        "version.finalized",
        "alias.set",
    ]
    assert found[-1] == alias
    rest = stubs.events.Watch(pb.WatchRequest(parent=parent, after_sequence=3))
    assert [event.sequence for event in await events_of(rest, 2)] == [4, 5]
    for stream in (now, whole, rest):
        stream.cancel()


async def test_only_what_fits_the_filter_is_sent_and_listed(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    parent = namespace_of(model)
    other = await stubs.registry.CreateModel(
        registry.CreateModelRequest(
            parent=parent,
            model_id="ticket-router",
            model=registry.Model(kind=registry.MODEL_KIND_PROMPT),
        )
    )
    for name in (model, other.model.name):
        version = await stubs.ready(name)
        await stubs.stage(version.name, "staging")
    filters = {
        "stage.set m, stage.set ticket-router": pb.EventFilter(actions=["stage.*"]),
        "stage.set ticket-router": pb.EventFilter(actions=["stage.set"], models=["ticket-*"]),
        "model.created m, version.created m, version.finalized m, stage.set m": pb.EventFilter(
            resource=model
        ),
        "": pb.EventFilter(actions=["stage"]),
    }
    for expected, wanted in filters.items():
        listed = await stubs.events.ListEvents(
            pb.ListEventsRequest(parent=parent, filter=wanted, page_size=100)
        )
        shown = [f"{one.action} {one.resource.split('/')[3]}" for one in listed.events]
        assert ", ".join(shown) == expected
        watch = stubs.events.Watch(pb.WatchRequest(parent=parent, filter=wanted, after_sequence=0))
        assert await events_of(watch, len(shown)) == list(listed.events)
        watch.cancel()


async def test_a_list_goes_on_page_by_page(stubs: wire.Stubs) -> None:
    model = await stubs.new_model()
    version = await stubs.ready(model)
    for number in range(10):
        await stubs.alias(version.name, f"a{number}")
    request = pb.ListEventsRequest(
        parent=namespace_of(model), page_size=3, filter=pb.EventFilter(actions=["alias.set"])
    )
    sequences, pages = [], 0
    while True:
        page = await stubs.events.ListEvents(request)
        sequences += [event.sequence for event in page.events]
        pages += 1
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert sequences == list(range(5, 15))
    assert pages == 4


async def test_what_is_compacted_or_lies_ahead_is_refused_with_the_way_out(
    stubs: wire.Stubs, database_url: str
) -> None:
    model = await stubs.new_model()
    parent = namespace_of(model)
    await stubs.ready(model)
    await happening.compact(database_url, 3)
    for method, kind in (
        (stubs.events.Watch, pb.WatchRequest),
        (stubs.events.ListEvents, pb.ListEventsRequest),
    ):
        gone = await refusal(method(kind(parent=parent, after_sequence=2)))
        assert gone.code is grpc.StatusCode.OUT_OF_RANGE
        assert gone.reason == "EVENTS_COMPACTED"
        assert gone.metadata["oldest_sequence"] == "4"
        ahead = await refusal(method(kind(parent=parent, after_sequence=99)))
        assert (ahead.reason, ahead.metadata["last_sequence"]) == ("SEQUENCE_AHEAD", "4")
    kept = await stubs.events.ListEvents(pb.ListEventsRequest(parent=parent))
    assert [event.sequence for event in kept.events] == [4]


async def refusal(call: Any) -> wire.Failure:
    try:
        if hasattr(call, "read"):
            await call.read()
        await call
    except grpc.aio.AioRpcError as error:
        return wire.failure_of(error)
    raise AssertionError("expected a failure")


async def test_malformed_requests_name_every_field(stubs: wire.Stubs) -> None:
    bad = pb.EventFilter(actions=["Stage set"], models=["A"] * 33, resource="\x00")
    request = pb.WatchRequest(parent="acme", filter=bad, after_sequence=-1)
    failure = await refusal(stubs.events.Watch(request))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert {"parent", "filter.actions[0]", "filter.models", "after_sequence"} <= {*failure.fields}


async def test_the_sdk_watches_and_lists(stubs: wire.Stubs, endpoint: str) -> None:
    model = await stubs.new_model()
    await stubs.ready(model)
    namespace = model.split("/")[1]
    async with client.connect(endpoint) as sdk:
        listed = [event async for event in sdk.list_events(namespace)]
        assert [event.sequence for event in listed] == [1, 2, 3, 4]
        assert listed[2].before is None
        watched = await first_of(sdk.watch(namespace, after_sequence=2), 2)
        assert watched == listed[2:]


async def test_the_command_line_watches_until_it_is_interrupted(
    stubs: wire.Stubs, endpoint: str
) -> None:
    model = await stubs.new_model()
    namespace = model.split("/")[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkeep", "watch", namespace, "--after", "0", "-o", "json"),
        env=services.clean_environ(MODELKEEP_ENDPOINT=endpoint),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            lines = [await process.stdout.readline() for _ in range(2)]
            await stubs.draft(model)
            lines.append(await process.stdout.readline())
            process.send_signal(signal.SIGINT)
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    shown = [json.loads(line) for line in lines]
    assert [event["action"] for event in shown] == [
        "namespace.created",
        "model.created",
        "version.created",
    ]
    assert shown[2]["after"]["ordinal"] == 1
    assert process.returncode == 0
    assert said.decode().strip() == "to go on: --after 3"


async def first_of(events: AsyncIterator[client.Event], count: int) -> list[client.Event]:
    found = []
    async with asyncio.timeout(20):
        async for event in events:
            found.append(event)
            if len(found) == count:
                break
    return found

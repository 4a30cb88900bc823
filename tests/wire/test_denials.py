"""Denied attempts are audited, and a flood of them is only counted."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from support import wire

from modelkeep.authz import caller as callers
from modelkeep.domain import audit, denials
from modelkeep.transport import authentication
from modelkeep.v1 import audit_service_pb2 as pb
from modelkeep.v1 import event_service_pb2, lifecycle_service_pb2
from modelkeep.v1 import registry_service_pb2 as registry_pb

REGISTRY = "namespaces/_registry"


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Have the following calls be somebody who may only read, or the owner again."""
    genuine = authentication.Authentication.caller

    def change(principal: str | None) -> None:
        async def known(
            self: authentication.Authentication, origin: authentication.Origin, method: str
        ) -> callers.Caller:
            owner = await genuine(self, origin, method)
            if principal is None:
                return owner
            reading = (callers.Grant(callers.Role.READER),)
            return dataclasses.replace(owner, principal=principal, grants=reading)

        monkeypatch.setattr(authentication.Authentication, "caller", known)

    return change


async def listed(stubs: wire.Stubs, parent: str, action: str = "*") -> list[pb.AuditEvent]:
    request = pb.ListAuditEventsRequest(
        parent=parent, actions=[action], page_size=1000, oldest_first=True
    )
    return list((await stubs.audit.ListAuditEvents(request)).events)


async def intact(stubs: wire.Stubs, parent: str) -> bool:
    request = pb.VerifyAuditChainRequest(parent=parent)
    answers = [answer async for answer in stubs.audit.VerifyAuditChain(request)]
    return bool(answers[-1].verdict.intact)


async def denied(call: Any) -> None:
    failure = await wire.failing(call)
    assert failure.code is grpc.StatusCode.PERMISSION_DENIED


async def test_a_denied_change_stands_in_its_namespaces_chain(
    stubs: wire.Stubs, become: Callable[[str | None], None]
) -> None:
    model = await stubs.new_model()
    parent = model.partition("/models/")[0]
    become("mallory")
    await denied(
        stubs.lifecycle.SetStage(
            lifecycle_service_pb2.SetStageRequest(
                name=f"{model}/versions/1.0.0", stage="production", reason="x"
            ),
            metadata=(("x-request-id", "r-17"),),
        )
    )
    log = pb.ListAuditEventsRequest(parent=parent)
    await denied(stubs.audit.ListAuditEvents(log))  # a read
    become(None)
    (event,) = await listed(stubs, parent, audit.DENIED)
    assert (event.actor, event.request_id) == ("mallory", "r-17")
    assert event.client.startswith("127.0.0.1:")
    assert event.resource == f"{model}/versions/1.0.0"
    assert dict(event.after) == {"action": "stage.set", "outcome": "denied"}
    assert await intact(stubs, parent)
    # Watchers hear of it, the history of the model does not.
    request = event_service_pb2.ListEventsRequest(parent=parent)
    told = (await stubs.events.ListEvents(request)).events
    assert told[-1].action == audit.DENIED
    history = await stubs.registry.ListHistory(registry_pb.ListHistoryRequest(parent=model))
    assert audit.DENIED not in [entry.action for entry in history.entries]


async def test_what_is_in_no_namespace_stands_in_the_registrys_chain(
    stubs: wire.Stubs, become: Callable[[str | None], None]
) -> None:
    become("mallory")
    await denied(
        stubs.registry.CreateNamespace(registry_pb.CreateNamespaceRequest(namespace_id="n"))
    )
    await denied(
        stubs.registry.DeleteModel(registry_pb.DeleteModelRequest(name="namespaces/n/models/m"))
    )
    become(None)
    events = await listed(stubs, REGISTRY)
    assert [event.after["action"] for event in events] == ["namespace.create", "model.delete"]
    assert [event.resource for event in events] == ["namespaces/n", "namespaces/n/models/m"]
    assert await intact(stubs, REGISTRY)
    everybody = await stubs.registry.ListNamespaces(registry_pb.ListNamespacesRequest())
    assert list(everybody.namespaces) == []
    answers = stubs.audit.VerifyAuditChain(pb.VerifyAuditChainRequest(parent="namespaces/-"))
    assert [answer.parent async for answer in answers] == [REGISTRY]


async def test_a_flood_of_denied_calls_is_counted(
    stubs: wire.Stubs, become: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denials, "WINDOW_S", 3600.0)
    model = await stubs.new_model()
    parent = model.partition("/models/")[0]
    become("mallory")
    request = registry_pb.DeleteModelRequest(name=model)
    await asyncio.gather(*(denied(stubs.registry.DeleteModel(request)) for _ in range(300)))
    await denied(stubs.registry.UpdateModel(update_of(model)))
    become("eve")
    await denied(stubs.registry.DeleteModel(request))
    become(None)
    events = await listed(stubs, parent, audit.DENIED)
    by_kind = [(event.actor, event.after["action"]) for event in events]
    assert by_kind.count(("mallory", "model.delete")) == denials.WRITTEN
    assert by_kind.count(("mallory", "model.update")) == 1
    assert by_kind.count(("eve", "model.delete")) == 1
    assert len(by_kind) == denials.WRITTEN + 2
    assert await intact(stubs, parent)


def update_of(model: str) -> registry_pb.UpdateModelRequest:
    return registry_pb.UpdateModelRequest(
        model=registry_pb.Model(name=model), update_mask={"paths": ["description"]}
    )


def test_the_counts_of_a_window_are_told_at_its_end() -> None:
    limiter = denials.Limiter()
    key = denials.Key("mallory", "model.delete")
    admitted = [limiter.admits(key, "acme", 0.0) for _ in range(100)]
    assert admitted.count(True) == denials.WRITTEN
    for number in range(100):
        assert not limiter.admits(key, f"ns-{number}", 1.0)
    assert list(limiter.take_ended(denials.WINDOW_S - 1)) == []
    counts = list(limiter.take_ended(denials.WINDOW_S))
    assert sum(count.attempts for count in counts) == 200 - denials.WRITTEN
    assert len(counts) <= denials.CHAINS + 1
    assert counts[0] == denials.Count(key, "acme", 100 - denials.WRITTEN)
    assert limiter.admits(key, "acme", denials.WINDOW_S)  # a new window


def test_many_principals_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "KEYS", 3)
    limiter = denials.Limiter()
    written = [
        limiter.admits(denials.Key(f"p-{number}", "a.b"), "acme", 0.0) for number in range(100)
    ]
    assert written.count(True) == 3 + denials.WRITTEN
    (count,) = limiter.take_ended(denials.WINDOW_S)
    assert count == denials.Count(denials.Key(denials.OTHERS, "a.b"), "acme", 97 - denials.WRITTEN)

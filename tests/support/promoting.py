"""A closed server with people who ask for moves, approve them, and set policies."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from support import closed, services, wire

from modelkeep import config as configuration
from modelkeep.local import postgres as embedded
from modelkeep.v1 import access_service_pb2 as access_pb
from modelkeep.v1 import audit_service_pb2 as audit_pb
from modelkeep.v1 import evaluation_service_pb2 as evaluation_pb
from modelkeep.v1 import gate_pb2, transition_pb2
from modelkeep.v1 import lifecycle_service_pb2 as pb

CONTRIBUTOR, APPROVER = access_pb.ROLE_CONTRIBUTOR, access_pb.ROLE_APPROVER
HIGHER = evaluation_pb.METRIC_DIRECTION_HIGHER


@dataclasses.dataclass
class Team:
    """Ann is a contributor; Bob and Cyd are approvers; the administrator is `world.admin`.

    Attributes:
        url: of the database, to look behind the server's back.
    """

    world: closed.Closed
    url: str
    ann: wire.Stubs
    bob: wire.Stubs
    cyd: wire.Stubs

    @property
    def admin(self) -> wire.Stubs:
        return self.world.admin

    async def staged(self, model: str = "", version: str = "1.0.0") -> str:
        """A version in staging, of a model of its own unless one is named; its name."""
        of = model or await self.admin.new_model()
        name: str = (await self.admin.ready(of, version)).name
        await self.admin.stage(name, "staging")
        return name

    async def set_policy(
        self, owner: str, *gates: Mapping[str, Any], stage: str = "production", **rules: Any
    ) -> gate_pb2.GatePolicy:
        """Put these gates before a stage."""
        policy = {"name": f"{owner}/gatePolicies/{stage}", "gates": list(gates)} | rules
        request = json_format.ParseDict({"policy": policy}, pb.SetGatePolicyRequest())
        return (await self.admin.lifecycle.SetGatePolicy(request)).policy

    async def request(
        self, version: str, stage: str = "production", stubs: wire.Stubs | None = None
    ) -> transition_pb2.Transition:
        """Ann asks for a move."""
        request = pb.RequestTransitionRequest(parent=version, stage=stage, reason="better")
        return (await (stubs or self.ann).lifecycle.RequestTransition(request)).transition

    async def approved(self, version: str, stage: str = "production") -> str:
        """A transition that Ann asked for and Bob approved; its name."""
        name = (await self.request(version, stage)).name
        await approve(self.bob, name)
        return name

    async def measure(self, version: str, value: float, **fields: Any) -> str:
        """Record a figure of `score` on `dialogs@1`; name of the evaluation."""
        outer = {"supersedes": fields.pop("supersedes", "")}
        metric = evaluation_pb.EvaluationMetric(name="score", value=value, direction=HIGHER)
        stated: dict[str, Any] = {"suite": "quality", "evaluator": "judge@1"}
        evaluation = evaluation_pb.Evaluation(
            dataset=evaluation_pb.EvaluationDataset(name="dialogs", revision="1"),
            metrics=[metric],
            **(stated | fields),
        )
        request = evaluation_pb.RecordEvaluationRequest(
            parent=version, evaluation=evaluation, **outer
        )
        return str((await self.admin.evaluations.RecordEvaluation(request)).evaluation.name)

    async def events(self, parent: str, *actions: str) -> list[Any]:
        """What the audit log of a namespace has of these actions, the oldest first."""
        namespace = "/".join(parent.split("/")[:2])
        request = audit_pb.ListAuditEventsRequest(
            parent=namespace, actions=actions, oldest_first=True
        )
        return list((await self.admin.audit.ListAuditEvents(request)).events)

    async def stage_of(self, version: str) -> str:
        """Where a version stands."""
        rows = await self.rows(
            "SELECT v.stage FROM version v JOIN model m ON m.model_id = v.model_id "
            "JOIN namespace n ON n.namespace_id = v.namespace_id WHERE 'namespaces/' || n.name "
            "|| '/models/' || m.name || '/versions/' || v.version = $1",
            version,
        )
        return str(rows[0]["stage"])

    async def rows(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """What a statement finds, as the owner of the database."""
        connection = await asyncpg.connect(self.url)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()


async def approve(stubs: wire.Stubs, name: str, comment: str = "") -> transition_pb2.Transition:
    request = pb.ApproveTransitionRequest(name=name, comment=comment)
    return (await stubs.lifecycle.ApproveTransition(request)).transition


async def reject(stubs: wire.Stubs, name: str, reason: str = "no") -> transition_pb2.Transition:
    request = pb.RejectTransitionRequest(name=name, reason=reason)
    return (await stubs.lifecycle.RejectTransition(request)).transition


async def commit(stubs: wire.Stubs, name: str) -> pb.CommitTransitionResponse:
    return await stubs.lifecycle.CommitTransition(pb.CommitTransitionRequest(name=name))


async def get(stubs: wire.Stubs, name: str) -> transition_pb2.Transition:
    return (await stubs.lifecycle.GetTransition(pb.GetTransitionRequest(name=name))).transition


def unmet(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    """Kind and sentence of each gate that an answer says is not met."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for packed in status_pb2.Status.FromString(value).details:  # type: ignore[arg-type]
            if packed.Is(error_details_pb2.PreconditionFailure.DESCRIPTOR):
                found = error_details_pb2.PreconditionFailure.FromString(packed.value)
                return [(one.type, one.description) for one in found.violations]
    return []


async def refused(call: Any) -> list[tuple[str, str]]:
    """The gates that a call fails at."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    assert wire.failure_of(failure.value).reason == "GATES_FAILED", failure.value.details()
    return unmet(failure.value)


@contextlib.asynccontextmanager
async def team(postgres: embedded.Postgres, template: str, s3: services.S3) -> AsyncIterator[Team]:
    """A team with a server and a database of its own, for all tests of a module."""
    async with services.database(postgres, template) as url:
        with services.bucket(s3) as bucket:
            config = configuration.Config(
                database_url=url,
                s3_endpoint=s3.endpoint,
                s3_access_key=s3.access_key,
                s3_secret_key=s3.secret_key,
                s3_bucket=bucket,
                s3_secure=False,
                listen="127.0.0.1:0",
                log_format="console",
            )
            async with closed.running(config) as world:
                yield Team(
                    world,
                    url,
                    await world.somebody("user:ann", (CONTRIBUTOR,)),
                    await world.somebody("user:bob", (APPROVER,)),
                    await world.somebody("user:cyd", (APPROVER,)),
                )

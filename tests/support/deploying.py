"""A model, an environment, and shortcuts to what happens to them."""

import datetime
from dataclasses import dataclass
from typing import Any

import asyncpg
from support import wire

from modelkeep.v1 import deployment_service_pb2 as pb
from modelkeep.v1 import event_service_pb2 as event_pb
from modelkeep.v1 import registry_service_pb2 as registry_pb


@dataclass(frozen=True)
class Deployed:
    """A model in an environment called `prod`."""

    stubs: wire.Stubs
    model: str
    environment: str

    async def ready(self, version: str) -> str:
        """A version in production; its name."""
        name = (await self.stubs.ready(self.model, version)).name
        await self.stubs.stage(name, "staging", "production")
        return name

    async def recorded(self, version: str, **fields: Any) -> pb.RecordDeploymentResponse:
        """What recording a deployment answers."""
        stated = {
            "version": f"{fields.pop('of', self.model)}/versions/{version}",
            "environment": self.environment,
        } | fields
        request_id = stated.pop("request_id", "")
        request = pb.RecordDeploymentRequest(
            parent=self.model, deployment=pb.Deployment(**stated), request_id=request_id
        )
        return await self.stubs.deployments.RecordDeployment(request)

    async def record(self, version: str, **fields: Any) -> pb.Deployment:
        """Record a deployment."""
        return (await self.recorded(version, **fields)).deployment

    async def deploy(self, version: str, **fields: Any) -> pb.Deployment:
        """Bring a new version to production and record that it runs."""
        await self.ready(version)
        return await self.record(version, **fields)

    async def end(
        self,
        name: str,
        outcome: int = pb.DEPLOYMENT_OUTCOME_FAILED,
        reason: str = "test",
        **fields: Any,
    ) -> pb.Deployment:
        """Record an end."""
        request = pb.EndDeploymentRequest(name=name, outcome=outcome, reason=reason, **fields)
        return (await self.stubs.deployments.EndDeployment(request)).deployment

    async def get(self, name: str) -> pb.Deployment:
        """Read a deployment."""
        answer = await self.stubs.deployments.GetDeployment(pb.GetDeploymentRequest(name=name))
        return answer.deployment

    async def history(self, as_of: datetime.datetime | None = None) -> list[pb.Deployment]:
        """What ran, the last begun first."""
        request = pb.GetDeploymentHistoryRequest(
            parent=self.model, environment="prod", as_of=as_of, page_size=1000
        )
        return list((await self.stubs.deployments.GetDeploymentHistory(request)).deployments)

    async def roll_back(self, **fields: Any) -> pb.RollBackDeploymentResponse:
        """Go back."""
        stated = {"parent": self.model, "environment": "prod", "reason": "test"} | fields
        request = pb.RollBackDeploymentRequest(**stated)
        return await self.stubs.deployments.RollBackDeployment(request)

    async def stage_of(self, version: str) -> str:
        """Where a version stands."""
        request = registry_pb.GetVersionRequest(name=f"{self.model}/versions/{version}")
        return (await self.stubs.registry.GetVersion(request)).version.stage


_models: dict[wire.Stubs, str] = {}


async def model_once(stubs: wire.Stubs) -> str:
    """A model with a version in development, the same for all who ask through these stubs."""
    if stubs not in _models:
        model = await stubs.new_model()
        await stubs.ready(model, "1.0.0")
        _models[stubs] = model
    return _models[stubs]


async def place(stubs: wire.Stubs, **fields: Any) -> Deployed:
    """A new model, and an environment `prod` that takes production."""
    model = await stubs.new_model()
    namespace = model.rpartition("/models/")[0]
    stated = {"stages": ["production"]} | fields
    created = await stubs.deployments.CreateEnvironment(
        pb.CreateEnvironmentRequest(
            parent=namespace, environment_id="prod", environment=pb.Environment(**stated)
        )
    )
    return Deployed(stubs, model, created.environment.name)


async def put(stubs: wire.Stubs, database_url: str, name: str, state: str) -> None:
    """Delete a version, or have the server set it aside."""
    if state == "deleted":
        await stubs.registry.DeleteVersion(registry_pb.DeleteVersionRequest(name=name))
    else:
        await _quarantine(database_url, name)


async def _quarantine(database_url: str, name: str) -> None:
    from modelkeep.authz import caller as callers  # noqa: PLC0415 - the server's floor
    from modelkeep.domain import names, sight  # noqa: PLC0415
    from modelkeep.service import changes, quarantine  # noqa: PLC0415
    from modelkeep.storage import database, versions  # noqa: PLC0415

    db = await database.Database.open(database_url, 1)

    async def body(change: changes.Change) -> None:
        stored = await versions.lock(change.connection, names.VersionName.parse(name))
        await quarantine.quarantine(change, stored, "rotten")

    try:
        once = changes.Once("", b"\x00" * 32)
        with sight.only(names.VersionName.parse(name).namespace):
            await changes.Changes(db).apply(callers.reaper(), once, type(None), body)
    finally:
        await db.close()


async def events(stubs: wire.Stubs, namespace: str) -> list[event_pb.Event]:
    """Everything that happened in a namespace, the first first."""
    request = event_pb.ListEventsRequest(parent=f"namespaces/{namespace}", page_size=1000)
    return list((await stubs.events.ListEvents(request)).events)


async def statements(database_url: str, *texts: str) -> None:
    """Run statements as an operator would who knows no rules."""
    connection = await asyncpg.connect(database_url)
    try:
        for text in texts:
            await connection.execute(text)
    finally:
        await connection.close()

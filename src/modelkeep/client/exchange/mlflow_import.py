"""Bringing an MLflow registry into this one."""

import asyncio
import dataclasses
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelkeep.client import (
    concurrency,
    digesting,
    errors,
    progress,
    push,
    records,
    refs,
    tree,
    workers,
)
from modelkeep.client.exchange import (
    checking,
    facts,
    incoming,
    landing,
    mlflow_artifacts,
    mlflow_http,
    mlflow_registry,
    mlflow_words,
    reports,
)

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

_NAME_LABEL = "mlflow.name"
_FILES_AT_ONCE = 4


class MlflowImport:
    """One import of one MLflow server; `run` is called once.

    Args:
        registry: where to.
        server: where from.
        namespace: the namespace to import into.
        pool: threads that read.
        listener: hears how far it is.
        is_dry_run: tell what would be done, and write nothing.
    """

    def __init__(
        self,
        registry: "Registry",
        server: mlflow_http.Server,
        namespace: str,
        pool: workers.Workers,
        listener: progress.Progress,
        *,
        is_dry_run: bool,
    ) -> None:
        self._registry = registry
        self._server = server
        self._namespace = refs.parse_namespace(namespace).namespace
        self._pool = pool
        self._listener = listener
        self._is_dry_run = is_dry_run

    async def run(self, wanted: Sequence[str]) -> reports.ImportReport:
        """Bring every version that is not there, compare and tell.

        Raises:
            NotFound: MLflow has no model of that name.
            BadSource: MLflow does not answer, or not as it should.
        """
        limits = await self._registry.capabilities()
        found = await self._pool.submit(lambda: self._models(wanted))
        told = [await self._bring(model, limits) for model in found]
        return reports.together(self._server.origin, told)

    def _models(self, wanted: Sequence[str]) -> list[mlflow_registry.MlflowModel]:
        if not wanted:
            return list(mlflow_registry.models(self._server))
        return [mlflow_registry.model(self._server, name) for name in wanted]

    async def _bring(
        self, model: mlflow_registry.MlflowModel, limits: records.Capabilities
    ) -> reports.ImportReport:
        notes: list[str] = []
        arriving = await self._incoming(model, notes)
        landed = landing.Landing(
            self._registry, arriving, self._pool, self._listener, is_dry_run=self._is_dry_run
        )
        landed.notes += notes
        await landed.open()
        versions = await self._pool.submit(
            lambda: mlflow_registry.versions(self._server, model.name)
        )
        stages = mlflow_words.stages(versions)
        for version in versions:
            one = _One(self, model, version, landed, limits)
            await one.land(f"{self._server.origin} {model.name} {version.number}", stages)
        return await landed.finish(_aliases(model, arriving.origin, landed))

    async def _incoming(
        self, model: mlflow_registry.MlflowModel, notes: list[str]
    ) -> incoming.IncomingModel:
        origin = f"{self._server.origin} {model.name}"
        tags = mlflow_words.labels_of(model.tags, origin, notes)
        labels, _ = facts.labelled(
            tags | {_NAME_LABEL: facts.cut(model.name, facts.MAX_LABEL_CHARS)},
            {"from": origin, "created_at": facts.instant(model.created_at)},
        )
        return incoming.IncomingModel(
            ref=f"{self._namespace}/{await self._id(model.name)}",
            origin=origin,
            kind=records.ModelKind.MODEL,
            description=mlflow_words.described(model.description),
            labels=labels,
        )

    async def _id(self, name: str) -> str:
        """The model's id here; another one if that belongs to another name of MLflow's."""
        plain = facts.id_of(name, otherwise="model")
        try:
            found = await self._registry.get_model(f"{self._namespace}/{plain}")
        except errors.NotFound:
            return plain
        if found.labels.get(_NAME_LABEL) == facts.cut(name, facts.MAX_LABEL_CHARS):
            return plain
        return f"{plain[:100]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    async def fetch(
        self, artifacts: Sequence[mlflow_artifacts.Artifact], folder: Path, most_bytes: int
    ) -> list[tree.LocalFile]:
        """All files of a version, in a temporary folder."""
        fetched: list[tree.LocalFile] = []
        total = sum(one.size_bytes or 0 for one in artifacts)
        self._listener.step_began(progress.Step.FETCH, len(artifacts), total)

        async def fetch_one(numbered: tuple[int, mlflow_artifacts.Artifact]) -> None:
            number, one = numbered
            self._listener.file_began(one.path, one.size_bytes or 0, 0)
            target = folder / str(number)
            # Shielded: a thread cannot be stopped, and the folder goes when this ends.
            fetching = self._pool.submit(
                lambda: mlflow_artifacts.fetch(self._server, one, target, most_bytes)
            )
            try:
                fetched.append(await asyncio.shield(fetching))
            except asyncio.CancelledError:
                await asyncio.gather(fetching, return_exceptions=True)
                raise
            self._listener.file_ended(one.path)

        await concurrency.for_each(enumerate(artifacts), fetch_one, at_once=_FILES_AT_ONCE)
        self._listener.step_ended(progress.Step.FETCH)
        return fetched

    async def hash(self, files: Sequence[tree.LocalFile]) -> list[tree.HashedFile]:
        """The files with their digests."""
        return await digesting.digest_all(files, self._pool, self._listener)

    async def ask(
        self, version: mlflow_registry.MlflowVersion, name: str, limits: records.Capabilities
    ) -> tuple[mlflow_registry.MlflowRun | None, list[mlflow_artifacts.Artifact]]:
        """What made a version, and its files."""

        def work() -> tuple[mlflow_registry.MlflowRun | None, list[mlflow_artifacts.Artifact]]:
            run = mlflow_registry.run(self._server, version.run_id)
            root = mlflow_registry.artifact_root(self._server, name, version.number)
            return run, mlflow_artifacts.listing(self._server, root, limits)

        return await self._pool.submit(work)

    async def is_there(self, ref: str, origin: str, files: Sequence[records.File]) -> bool:
        """Whether an earlier run brought the version: its files have these paths and sizes."""
        try:
            found = await self._registry.get_version(ref)
        except errors.NotFound:
            return False
        if found.labels.get(f"{facts.PREFIX}from") != facts.cut(origin, facts.MAX_LABEL_CHARS):
            return False
        return await checking.has_files(self._registry, ref, files)

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing is written."""
        return self._is_dry_run


class _One:
    """One version on its way."""

    def __init__(
        self,
        whole: MlflowImport,
        model: mlflow_registry.MlflowModel,
        version: mlflow_registry.MlflowVersion,
        landed: landing.Landing,
        limits: records.Capabilities,
    ) -> None:
        self._whole = whole
        self._model = model
        self._version = version
        self._landed = landed
        self._limits = limits

    async def land(self, origin: str, stages: dict[int, str]) -> None:
        """Bring it, or tell why not."""
        number = self._version.number
        semver = mlflow_words.semver(number)
        if not self._version.is_ready:
            why = f"MLflow says it is {self._version.status[:40]}"
            self._landed.leave_out(origin, why, version=semver)
            return
        try:
            run, artifacts = await self._whole.ask(self._version, self._model.name, self._limits)
        except (errors.BadSource, errors.BadTree, errors.NotFound) as bad:
            if bad.reason == "MLFLOW_AWAY":
                raise
            self._landed.tally.count("versions", 1, 0)
            self._landed.leave_out(origin, bad.message, version=semver)
            return
        stage = stages[number]
        if self._version.stage == "Production" and stage != incoming.PRODUCTION:
            self._landed.notes.append(
                f"{origin} is in Production in MLflow, as a newer one is; here only one can be,"
                " so it is archived."
            )
        arriving = incoming.IncomingVersion(
            version=semver,
            called=origin,
            draft=mlflow_words.draft(self._version, run, origin, self._landed.notes),
            files=tuple(
                records.File(path=one.path, digest="", size_bytes=one.size_bytes or 0)
                for one in artifacts
            ),
            stage=stage,
            stage_reason=facts.reason(
                origin, at=self._version.updated_at, why=f"stage {self._version.stage}"
            ),
        )
        await self._send(arriving, artifacts, origin)

    async def _send(
        self,
        arriving: incoming.IncomingVersion,
        artifacts: Sequence[mlflow_artifacts.Artifact],
        origin: str,
    ) -> None:
        if await self._whole.is_there(self._landed.ref(arriving), origin, arriving.files):
            self._landed.found(arriving)
            return
        if self._whole.is_dry_run:
            await self._landed.land(arriving)
            return
        with tempfile.TemporaryDirectory(prefix="modelkeep-import-") as folder:
            local = await self._whole.fetch(artifacts, Path(folder), self._limits.max_blob_bytes)
            hashed = await self._whole.hash(local)
            files = tuple(push.listed(one) for one in hashed)
            await self._landed.land(dataclasses.replace(arriving, files=files, local=tuple(hashed)))


def _aliases(
    model: mlflow_registry.MlflowModel, origin: str, landed: landing.Landing
) -> list[incoming.IncomingAlias]:
    aliases: dict[str, incoming.IncomingAlias] = {}
    for name, number in sorted(model.aliases.items()):
        alias = facts.alias_of(name, "mlflow-")
        if alias in aliases:
            landed.notes.append(f"{origin}: {name} would be the alias {alias} as well.")
            continue
        if alias != name:
            landed.notes.append(f"{origin}: the alias {name} is {alias} here.")
        reason = facts.reason(origin, at=model.updated_at, why=f"alias {name}")
        aliases[alias] = incoming.IncomingAlias(
            alias=alias, version=mlflow_words.semver(number), reason=reason
        )
    return list(aliases.values())

"""A registry, as the SDK shows it: every call, and push and pull made of them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from modelkeep.client import (
    access_calls,
    batch_calls,
    blobs,
    compliance,
    deployments,
    environments,
    evaluations,
    events,
    exchanges,
    files,
    gates,
    histories,
    judgements,
    lineage,
    models,
    moving,
    namespaces,
    patience,
    pointers,
    progress,
    provenance,
    pull,
    push,
    quotas,
    records,
    refs,
    routes,
    searching,
    selection,
    signatures,
    specs,
    transfer_calls,
    transitions,
    trusting,
    upkeep,
    versions,
    webhooks,
    workers,
)


class Registry(
    searching.SearchCalls,
    namespaces.NamespaceCalls,
    quotas.QuotaCalls,
    models.ModelCalls,
    moving.MovingCalls,
    files.FileCalls,
    versions.VersionCalls,
    pointers.PointerCalls,
    histories.HistoryCalls,
    lineage.LineageCalls,
    evaluations.EvaluationCalls,
    environments.EnvironmentCalls,
    deployments.DeploymentCalls,
    blobs.BlobCalls,
    upkeep.UpkeepCalls,
    batch_calls.BatchCalls,
    transfer_calls.TransferCalls,
    gates.GateCalls,
    transitions.TransitionCalls,
    events.EventCalls,
    webhooks.WebhookCalls,
    judgements.JudgementCalls,
    compliance.ComplianceCalls,
    signatures.SignatureCalls,
    trusting.TrustCalls,
    provenance.ProvenanceCalls,
    access_calls.AccessCalls,
    exchanges.ExchangeCalls,
):
    """A connection to one registry; see `modelkeep.client.connect`."""

    async def push(
        self,
        path: Path | str | None,
        ref: str,
        draft: specs.Draft | None = None,
        *,
        kind: records.ModelKind | None = None,
        bump: records.Bump | None = None,
        allow_same: bool = False,
        via: routes.Via = routes.Via.AUTO,
        files_at_once: int = push.FILES_AT_ONCE,
        streams: int = push.DEFAULT_STREAMS,
        stall_s: float = patience.DEFAULT_STALL_S,
        listener: progress.Progress | None = None,
    ) -> records.PushResult:
        """Push a folder or a file as a version; namespace and model are created if need be.

        Interrupted pushes go on where they stopped when the same call is made again.

        Args:
            path: the folder or file; None for a prompt, whose content is `draft.spec`.
            ref: the version to make, `acme/voice@1.2.0`; the model, `acme/voice`, with a `bump`.
            draft: what to say about it.
            kind: what the model is; if it exists, it must be of that kind.
            bump: let the server choose the version: which number of the highest release goes up.
                If the latest release has the same content, that is answered (`is_new` is False).
            allow_same: with a bump, make a new version even then.
            via: which way large files go: straight to the store, through the server, or whichever
                of these works.
            files_at_once: how many files are sent at the same time.
            streams: in how many streams one large file is sent, each over a connection of its
                own; the server may allow fewer, and all files together have no more than the
                greater of the two numbers.
            stall_s: how long to try again without progress, in seconds.
            listener: hears how far it is.

        Raises:
            BadTree: something in the folder cannot be a file of a version.
            Refused: the version exists with other content, or another push is at work on it.
            FileChanged: a file changed while it was being pushed.
            StoreOutOfReach: files were to go straight to the store, and cannot.
            RegistryError: the registry answered anything else than success.
        """
        order = push.Order(
            ref=refs.parse_model(ref) if bump else refs.parse_version(ref),
            bump=bump,
            allow_same=allow_same,
            via=via,
            path=None if path is None else Path(path),
            draft=draft or specs.Draft(),
            kind=kind,
            files_at_once=files_at_once,
            streams=streams,
            stall_s=stall_s,
            listener=listener or progress.Progress(),
        )
        with workers.Workers() as pool:
            return await push.Push(self, order, pool).run()

    async def pull(
        self,
        ref: str,
        directory: Path | str,
        *,
        as_of: datetime | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        via: routes.Via = routes.Via.AUTO,
        files_at_once: int = pull.FILES_AT_ONCE,
        stall_s: float = patience.DEFAULT_STALL_S,
        listener: progress.Progress | None = None,
    ) -> records.PullResult:
        """Pull a version into a folder, verified; files already there and right are not fetched.

        Args:
            ref: what to pull, for example `acme/voice@production`.
            directory: where to; made if need be. Nothing outside it is written.
            as_of: take the version the reference meant at this aware instant.
            include: patterns as in .gitignore; only files that match one are pulled.
            exclude: patterns of files that are not; see `selection.Selection`.
            via: which way large files come: straight from the store, through the server, or
                whichever of these works.
            files_at_once: how many files are fetched at the same time.
            stall_s: how long to try again without progress, in seconds.
            listener: hears how far it is.

        Raises:
            NotFound: there is no such version, or no file of it is wanted.
            InvalidRequest: a pattern is malformed.
            BadTree: the version's paths must not be written.
            DataLoss: the list of files or a file is not what its digest says.
            StoreOutOfReach: files were to come straight from the store, and cannot.
        """
        order = pull.Order(
            ref=refs.parse_selection(ref),
            directory=Path(directory),
            as_of=as_of,
            wanted=selection.Selection(include, exclude),
            via=via,
            files_at_once=files_at_once,
            stall_s=stall_s,
            listener=listener or progress.Progress(),
        )
        with workers.Workers() as pool:
            return await pull.Pull(self, order, pool).run()

"""Bringing a model into a registry: what is there stays, what is missing is pushed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelkeep.client import (
    errors,
    patience,
    progress,
    push,
    records,
    refs,
    reservation,
    routes,
    specs,
    workers,
)
from modelkeep.client.exchange import (
    checking,
    incoming,
    keeping,
    pointing,
    reports,
)

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry

_FIND_AT_ONCE = 1000
_UNSIGNED = (errors.Refused, errors.InvalidRequest, errors.LimitReached)
_NOTHING = incoming.IncomingRecords()
_CONFLICTS = frozenset(
    {"VERSION_EXISTS", "VERSION_DELETED", "VERSION_PURGED", "VERSION_QUARANTINED"}
)


class Landing:
    """One import of one model; `land` each version, then `finish`.

    Args:
        registry: where to.
        model: what to bring.
        pool: threads that read.
        listener: hears how far it is.
        is_dry_run: tell what would be done, and write nothing.
    """

    def __init__(
        self,
        registry: "Registry",
        model: incoming.IncomingModel,
        pool: workers.Workers,
        listener: progress.Progress,
        *,
        is_dry_run: bool,
    ) -> None:
        self._registry = registry
        self._model = model
        self._pool = pool
        self._listener = listener
        self._is_dry_run = is_dry_run
        self._landed: list[incoming.IncomingVersion] = []
        self._outcomes: list[reports.VersionOutcome] = []
        self._unsent: dict[str, int] = {}
        self._sent_bytes = 0
        self.notes: list[str] = []
        self.tally = reports.Tally()

    async def open(self) -> None:
        """See to it that the model is there.

        Raises:
            Refused: it is there and of another kind, or deleted.
        """
        found = await self._find_model()
        if found is not None and found.kind is not self._model.kind:
            raise errors.Refused(
                f"{self._model.ref} is of the kind {found.kind}, and what is imported of the kind"
                f" {self._model.kind}; import it into another model with --into.",
                reason="KIND_MISMATCH",
            )
        if found is None and not self._is_dry_run:
            await self._create_model()

    async def _find_model(self) -> records.Model | None:
        try:
            return await self._registry.get_model(self._model.ref)
        except errors.NotFound:
            return None

    async def _create_model(self) -> None:
        namespace = refs.parse_model(self._model.ref).namespace
        await reservation.ensure_namespace(self._registry, namespace)
        creation = self._registry.create_model(
            self._model.ref,
            kind=self._model.kind,
            owner=self._model.owner,
            description=self._model.description,
            labels=self._model.labels,
        )
        await reservation.unless_taken(creation)

    def ref(self, version: incoming.IncomingVersion) -> str:
        """What the version is called here: `acme/voice@1.2.0`."""
        return f"{self._model.ref}@{version.version}"

    def leave_out(self, called: str, why: str, *, version: str = "") -> None:
        """Tell that something is not imported, and why."""
        ref = f"{self._model.ref}@{version}" if version else ""
        self._note(called, ref, reports.Verdict.LEFT_OUT, why)

    async def land(self, version: incoming.IncomingVersion) -> None:
        """Have the registry hold the version, and note how that went."""
        ref = self.ref(version)
        self._landed.append(version)
        if self._is_dry_run:
            await self._foresee(version, ref)
            return
        try:
            pushed = await self._push(version, ref)
        except errors.Refused as refused:
            if refused.reason not in _CONFLICTS:
                raise
            self._note(version.called, ref, reports.Verdict.CONFLICT, refused.message)
            return
        self._sent_bytes += pushed.sent_bytes + pushed.direct_bytes
        verdict = reports.Verdict.IMPORTED if pushed.is_new else reports.Verdict.THERE
        self._note(version.called, ref, verdict)
        await self._sign(version, ref)

    async def _sign(self, version: incoming.IncomingVersion, ref: str) -> None:
        """Attach what signatures there are; a gate may ask for them when stages are set."""
        kept = 0
        for text in version.signatures:
            try:
                await self._registry.attach_signature(ref, text.encode())
            except _UNSIGNED as refused:
                if refused.reason != "SIGNATURE_EXISTS":  # it may be there from an earlier run
                    self.notes.append(f"A signature of {ref} was not taken: {refused.message}")
                    continue
            kept += 1
        if version.signatures:
            self.tally.count("signatures", len(version.signatures), kept)

    def found(self, version: incoming.IncomingVersion) -> None:
        """Tell that a version is there from an earlier run, without reading its files again."""
        self._landed.append(version)
        ref = self.ref(version)
        self._note(version.called, ref, reports.Verdict.THERE)

    async def _push(self, version: incoming.IncomingVersion, ref: str) -> records.PushResult:
        order = push.Order(
            ref=refs.parse_version(ref),
            path=None,
            draft=version.draft,
            kind=self._model.kind,
            via=routes.Via.AUTO,
            stall_s=patience.DEFAULT_STALL_S,
            listener=self._listener,
        )
        # The server writes the one file of a prompt itself.
        is_prompt = isinstance(version.draft.spec, specs.PromptSpec)
        one = push.Push(self._registry, order, self._pool)
        return await one.run_hashed(() if is_prompt else version.local)

    async def _foresee(self, version: incoming.IncomingVersion, ref: str) -> None:
        try:
            found = await self._registry.get_version(ref)
        except errors.NotFound:
            found = None
        if found is None or found.state is records.VersionState.DRAFT:
            self._unsent.update((file.digest, file.size_bytes) for file in version.files)
            self._note(version.called, ref, reports.Verdict.WOULD_IMPORT)
        elif await checking.has_files(self._registry, ref, version.files):
            self._note(version.called, ref, reports.Verdict.THERE)
        else:
            why = f"{ref} is {found.state} with other content; nothing is overwritten"
            self._note(version.called, ref, reports.Verdict.CONFLICT, why)

    def _note(self, called: str, ref: str, verdict: reports.Verdict, note: str = "") -> None:
        self._outcomes.append(
            reports.VersionOutcome(called=called, ref=ref, verdict=verdict, note=note)
        )

    async def finish(
        self,
        aliases: Sequence[incoming.IncomingAlias],
        records: incoming.IncomingRecords = _NOTHING,
    ) -> reports.ImportReport:
        """Record what was measured, set stages and aliases, compare all with the source, and tell.

        A dry run only tells.
        """
        whole = [version for version in self._landed if self._is_whole(version)]
        there = {version.version for version in whole}
        kept = keeping.Keeping(self._registry, self._model.ref, records, there)
        if self._is_dry_run:
            self.notes += await kept.foresee()
        else:
            # Before versions are moved: gates may ask for what was measured.
            await kept.bring()
            pointing_at = pointing.Pointing(self._registry, self._model.ref)
            await pointing_at.move(whole)
            await pointing_at.name(aliases, there)
            check = checking.Check(self._registry, self._model, self.tally)
            await check.run(self._landed, aliases)
            await kept.compare(self.tally)
            self.notes += kept.notes + pointing_at.notes
        return reports.ImportReport(
            origin=self._model.origin,
            is_dry_run=self._is_dry_run,
            versions=tuple(self._outcomes),
            counts=self.tally.counts,
            differences=tuple(self.tally.differences),
            notes=tuple(self.notes),
            sent_bytes=self._sent_bytes,
            missing_bytes=await self._missing_bytes(),
        )

    def _is_whole(self, version: incoming.IncomingVersion) -> bool:
        ref = self.ref(version)
        wrong = reports.Verdict.CONFLICT
        return not any(one.ref == ref and one.verdict is wrong for one in self._outcomes)

    async def _missing_bytes(self) -> int:
        """What a dry run would send."""
        digests = [digest for digest in self._unsent if digest]
        missing: list[str] = []
        namespace = refs.parse_model(self._model.ref).namespace
        try:
            for start in range(0, len(digests), _FIND_AT_ONCE):
                asked = digests[start : start + _FIND_AT_ONCE]
                missing += await self._registry.find_missing(namespace, asked)
        except errors.NotFound:  # there is no such namespace yet
            missing = digests
        return sum(self._unsent[digest] for digest in missing)

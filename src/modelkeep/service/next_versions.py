"""Use case of the version that comes next: the registry chooses its number."""

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import bumps, errors, manifests, names, refs, specs, versions
from modelkeep.service import changes, prompts
from modelkeep.service import versions as version_cases
from modelkeep.storage import database, resolving
from modelkeep.storage import models as model_rows
from modelkeep.storage import next_versions as rows
from modelkeep.storage import versions as version_rows


class NextVersions:
    """Creates versions whose number nobody had to choose."""

    def __init__(self, db: database.Database) -> None:
        self._changes = changes.Changes(db)

    async def create(
        self,
        caller: callers.Caller,
        once: changes.Once,
        wanted: bumps.NextVersion,
        content: specs.Content,
        notes: versions.Notes,
    ) -> versions.Version:
        """Reserve the model's next version as a draft, or answer what `wanted.reuse` allows.

        It holds the model, so however many ask at once, each gets a version of its own. Raises
        `errors.NotFound` (model, base), `errors.FailedPrecondition` (spec does not fit the model's
        kind, base not ready, no next version).
        """
        policy.require(caller, policy.Action.CREATE_VERSION, wanted.model)
        body = _Next(wanted, content, notes)
        return await self._changes.apply(caller, once, versions.Version, body.run)


class _Next:
    """The body of the transaction."""

    def __init__(
        self, wanted: bumps.NextVersion, content: specs.Content, notes: versions.Notes
    ) -> None:
        self._wanted = wanted
        self._content = content
        self._notes = notes
        self._digest = wanted.manifest_digest or _digest_of(content.spec)

    async def run(self, change: changes.Change) -> versions.Version:
        stored = await model_rows.lock(change.connection, self._wanted.model)
        if self._digest and self._wanted.reuse is not bumps.Reuse.NOTHING:
            draft = await self._own_draft(stored.model_id, change)
            if draft is not None:
                return draft
        if self._digest and self._wanted.reuse is bumps.Reuse.DRAFT_OR_LATEST:
            latest = await self._same_latest(change)
            if latest is not None:
                return latest
        return await self._new(stored.model_id, change)

    async def _own_draft(self, model_id: int, change: changes.Change) -> versions.Version | None:
        """The caller's draft of these files, saying what is said now."""
        found = await rows.find_intended(
            change.connection, model_id, self._digest, change.caller.principal
        )
        if found is None:
            return None
        draft = (await version_rows.lock_by_id(change.connection, found)).version
        if draft.state is not versions.VersionState.DRAFT:
            return None  # sealed while we waited
        if (draft.content, draft.notes) == (self._content, self._notes):
            return draft
        said = {key: getattr(self._content, key) for key in versions.SEALED_FIELDS}
        said |= {key: getattr(self._notes, key) for key in versions.OPEN_FIELDS}
        return await version_cases.revise(draft.name, said, "", change)

    async def _same_latest(self, change: changes.Change) -> versions.Version | None:
        ref = refs.Ref(self._wanted.model, refs.LATEST)
        try:
            latest = await resolving.resolve(change.connection, ref, None)
        except errors.NotFound:
            return None
        same = latest.manifest_digest == self._digest
        return latest if same and bumps.says_the_same(latest.content, self._content) else None

    async def _new(self, model_id: int, change: changes.Change) -> versions.Version:
        model = self._wanted.model
        highest = await rows.find_highest_release(change.connection, model_id)
        number = bumps.next_after(model, highest, self._wanted.bump)
        name = names.VersionName(model.namespace, model.model, number)
        created = await version_cases.reserve(name, self._content, self._notes, change)
        if self._digest:
            await rows.set_intended(change.connection, model_id, created.ordinal, self._digest)
        return created


def _digest_of(spec: specs.Spec | None) -> str:
    """Manifest digest of a prompt without other files; '' for everything else."""
    if not isinstance(spec, specs.PromptSpec):
        return ""
    return manifests.Manifest.of([prompts.render(spec).file]).digest

"""Use cases of gate policies: say which gates there are before a stage, and try them."""

import functools

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import checks, events, gate_policies, gates, names, pages
from modelkeep.service import changes, gating
from modelkeep.storage import codec, database
from modelkeep.storage import gates as rows
from modelkeep.storage import versions as version_rows

Owner = names.NamespaceName | names.ModelName


class GatePolicies:
    """Sets, reads and removes policies; a change holds the namespace or the model it is of."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def set_policy(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.GatePolicyName,
        rules: gate_policies.Rules,
        etag: str,
        *,
        dry_run: bool,
    ) -> gate_policies.Policy:
        """Put rules in place of what there was, or only check them if it is a dry run.

        Raises `errors.NotFound` (namespace, model), `errors.StaleEtag`, `errors.InvalidArgument`
        (an `op` for a metric that gets better the other way).
        """
        policy.require(caller, policy.Action.SET_GATE_POLICY, name.owner, stage=name.stage)
        if rules.inheritance is gate_policies.Inheritance.REPLACE:
            above = names.NamespaceName(name.namespace)
            policy.require(caller, policy.Action.SET_GATE_POLICY, above, stage=name.stage)
        body = functools.partial(_set, name, rules, etag)
        if not dry_run:
            return await self._changes.apply(caller, once, gate_policies.Policy, body)
        async with self._db.rehearsal() as connection:
            return await body(changes.Change(connection, caller))

    async def get(self, caller: callers.Caller, name: names.GatePolicyName) -> gate_policies.Policy:
        """Read a policy; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_GATE_POLICY, name.owner)
        async with self._db.connection() as connection:
            place = await rows.place_of(connection, name.owner)
            return (await rows.get(connection, place, name)).policy

    async def list(
        self, caller: callers.Caller, owner: Owner, page: pages.PageRequest
    ) -> pages.Page[gate_policies.Policy]:
        """A page of a namespace's and its models' policies, or of all that hold for a model."""
        policy.require(caller, policy.Action.READ_GATE_POLICY, owner)
        async with self._db.connection() as connection:
            return await rows.list_page(connection, await rows.place_of(connection, owner), page)

    async def delete(
        self, caller: callers.Caller, once: changes.Once, name: names.GatePolicyName, etag: str
    ) -> None:
        """Remove a policy; raises `errors.NotFound`, `errors.StaleEtag`."""
        policy.require(caller, policy.Action.SET_GATE_POLICY, name.owner, stage=name.stage)
        body = functools.partial(_delete, name, etag)
        await self._changes.apply(caller, once, bool, body)

    async def evaluate(
        self, caller: callers.Caller, name: names.VersionName, stage: str
    ) -> gates.Report:
        """What would become of the gates before a stage now; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_GATE_POLICY, name)
        async with self._db.connection() as connection:
            stored = await version_rows.get(connection, name)
            return await gating.judge(connection, stored, stage)


async def _set(
    name: names.GatePolicyName, rules: gate_policies.Rules, etag: str, change: changes.Change
) -> gate_policies.Policy:
    place = await rows.lock_place(change.connection, name.owner)
    await _require_directions(change.connection, place, rules)
    old = await rows.find(change.connection, place, name.stage)
    changes.require_etag(name, etag, old.policy.etag if old else "")
    who = change.caller.principal
    if old is None:
        await rows.insert(change.connection, place, name.stage, rules, who)
    elif old.policy.rules == rules:
        return old.policy
    else:
        await rows.update(change.connection, old, rules, who)
    before = codec.plain(old.policy.rules) if old else None
    event = events.Event("gate_policy.set", name, before, codec.plain(rules))
    change.record(name.namespace, event)
    return (await rows.get(change.connection, place, name)).policy


async def _require_directions(
    connection: database.Connection, place: rows.Place, rules: gate_policies.Rules
) -> None:
    """Refuse a bound that is the wrong way round for a metric that was recorded before."""
    with checks.Checks() as found:
        for n, gate in enumerate(rules.gates):
            if not isinstance(gate, gates.MetricThreshold):
                continue
            known = await rows.directions(connection, place, gate.measured)
            found.require(
                not known or gate.op.direction in known,
                f"policy.gates[{n}].metric_threshold.op",
                f"is {gate.op.value}, and {gate.measured.metric!r} gets better the other way in "
                f"what was recorded: {' and '.join(sorted(known))}",
            )


async def _delete(name: names.GatePolicyName, etag: str, change: changes.Change) -> bool:
    place = await rows.lock_place(change.connection, name.owner)
    old = await rows.get(change.connection, place, name)
    changes.require_etag(name, etag, old.policy.etag)
    await rows.delete(change.connection, old)
    event = events.Event("gate_policy.deleted", name, codec.plain(old.policy.rules), None)
    change.record(name.namespace, event)
    return True

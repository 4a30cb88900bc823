"""Where a version runs or could run, and what a rollback there would go back to."""

import shlex
from collections.abc import Iterable

from modelkeep.domain import names, sheet_sections, sheets, versions
from modelkeep.storage import database, environments
from modelkeep.storage import deployments as rows
from modelkeep.storage import versions as version_rows

_NONE_GOOD = "no other version ran there that is known to be good"
_NONE_RUNS = "nothing runs there yet"


async def running(
    connection: database.Connection, stored: version_rows.Stored, most: int
) -> sheets.Listed[sheets.Running]:
    """A line for each environment where it runs, and for each that takes it, by name."""
    version = stored.version
    active = await rows.find_active(connection, stored.version_id)
    if version.state is versions.VersionState.READY:
        taking = await environments.list_taking(
            connection, stored.namespace_id, version.stage, sheets.ROWS[0]
        )
    else:
        taking = []
    found = [await _own(connection, stored, one) for one in active]
    held = {one.environment for one in found}
    found += [
        await _other(connection, stored, one)
        for one in taking
        if one.environment.name.environment not in held
    ]
    found.sort(key=lambda one: (one.environment, one.deployment))
    return sheets.listed(found, most)


async def _own(
    connection: database.Connection, stored: version_rows.Stored, one: rows.Stored
) -> sheets.Running:
    deployment = one.deployment
    environment = await environments.get(connection, deployment.environment)
    place = rows.Place(stored.model_id, environment)
    good = await rows.find_good(connection, place, stored.version_id)
    crowded = len(await rows.list_running(connection, place)) > 1
    back = good.deployment.version.version if good else ""
    named = f" --deployment {deployment.name.deployment}" if crowded else ""
    return sheets.Running(
        environment=deployment.environment.environment,
        deployment=str(deployment.name),
        target=sheets.cut(deployment.target),
        since=deployment.started_at,
        deployer=deployment.deployer,
        runs_now="",
        rollback_to=back,
        why_not="" if back else _NONE_GOOD,
        commands=(_rollback(stored.version.name, environment.environment.name, named),)
        if back
        else (_history(stored.version.name, environment.environment.name),),
    )


async def _other(
    connection: database.Connection, stored: version_rows.Stored, environment: environments.Stored
) -> sheets.Running:
    place = rows.Place(stored.model_id, environment)
    runs = await rows.list_running(connection, place)
    good = await rows.find_good(connection, place, stored.version_id)
    back = good.deployment.version.version if good else ""
    name, where = stored.version.name, environment.environment.name
    record = f"modelkeep deploy record {_ref(name)} --env {shlex.quote(where.environment)}"
    return sheets.Running(
        environment=where.environment,
        deployment="",
        target="",
        since=None,
        deployer="",
        runs_now=_versions(runs),
        rollback_to=back,
        why_not="" if back else (_NONE_GOOD if runs else _NONE_RUNS),
        commands=(record, *([_rollback(name, where, "")] if back else [])),
    )


def _versions(runs: Iterable[rows.Stored]) -> str:
    return ", ".join(sorted({one.deployment.version.version for one in runs}))


def _ref(name: names.VersionName) -> str:
    return shlex.quote(sheet_sections.short(name))


def _model(name: names.VersionName) -> str:
    return shlex.quote(f"{name.namespace}/{name.model}")


def _rollback(name: names.VersionName, where: names.EnvironmentName, named: str) -> str:
    place = shlex.quote(where.environment)
    return f"modelkeep rollback {_model(name)} --env {place}{named} --reason 'WHY'"


def _history(name: names.VersionName, where: names.EnvironmentName) -> str:
    return f"modelkeep deploy history {_model(name)} --env {shlex.quote(where.environment)}"

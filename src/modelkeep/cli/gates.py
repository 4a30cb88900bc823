"""`modelkeep gates show|set|rm|check`."""

from pathlib import Path

import click

from modelkeep import client
from modelkeep.cli import (
    failures,
    gate_drawing,
    junit,
    output,
    picking,
    safe_text,
    session,
    settings,
)

_STAGES = click.Choice(["staging", "production"])


@click.group()
def gates() -> None:
    """Say what must be so before a move up; try it.

    A policy is of a namespace or of a model, and of the stage before which its gates are. A model's
    comes on top of its namespace's. Moves down meet no gates.
    """


@gates.command()
@click.argument("where", metavar="NAMESPACE[/MODEL]")
@click.option("--to", "stage", type=_STAGES, help="Only before this stage.")
@output.option
@settings.connecting
@settings.pass_settings
def show(chosen: settings.Settings, /, *, where: str, stage: str | None, form: str) -> None:
    """Show policies: of a namespace and its models, or all that hold for a model.

    -o yaml prints them as a file that `gates set` takes.
    """

    async def work(registry: client.Registry) -> list[client.GatePolicy]:
        found = [one async for one in registry.list_gate_policies(where)]
        return [one for one in found if stage in {None, one.stage}]

    found = session.run(chosen, work)
    if form == "yaml":
        click.echo(safe_text.printable(client.policies_written(found)), nl=False)
        return
    documents = [gate_drawing.document(one) for one in found]
    output.emit(documents, form, lambda: gate_drawing.policies(found))


@gates.command("set")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check everything and change nothing.")
@output.option
@settings.connecting
@settings.pass_settings
def set_policies(chosen: settings.Settings, /, *, file: Path, dry_run: bool, form: str) -> None:
    """Put the policies in FILE (YAML or JSON) in place of those that there are.

    If the file has several, all are checked before the first is set.
    """

    async def work(registry: client.Registry) -> list[client.GatePolicy]:
        policies = client.read_policy_file(file)
        checked = [await registry.set_gate_policy(one, dry_run=True) for one in policies]
        return checked if dry_run else [await registry.set_gate_policy(one) for one in policies]

    done = session.run(chosen, work)
    documents = [gate_drawing.document(one) for one in done]
    output.emit(documents, form, lambda: gate_drawing.policies(done))
    if dry_run:
        click.echo("checked; nothing was changed", err=True)


@gates.command("rm")
@click.argument("where", metavar="NAMESPACE[/MODEL]")
@click.option("--to", "stage", type=_STAGES, required=True, help="Before which stage.")
@settings.connecting
@settings.pass_settings
def remove(chosen: settings.Settings, /, *, where: str, stage: str) -> None:
    """Remove the policy of just this namespace or model before a stage."""

    async def work(registry: client.Registry) -> None:
        await registry.delete_gate_policy(where, stage)

    session.run(chosen, work)
    click.echo(f"the policy of {where} before {stage} is removed")


@gates.command()
@click.argument("ref")
@click.option("--to", "stage", type=_STAGES, required=True, help="Before which stage.")
@click.option(
    "--junit",
    "report_file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write a JUnit report, each gate a test.",
)
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "json", "yaml", "markdown"]),
    default="table",
    show_default=True,
    help="How to print the result.",
)
@settings.connecting
@settings.pass_settings
def check(
    chosen: settings.Settings, /, *, ref: str, stage: str, report_file: Path | None, form: str
) -> None:
    """Tell what would become of the gates if REF were to move up now; nothing is changed.

    Exit code 0 if all are met, but for approvals, which nobody was asked for yet; 4 if one is not.
    """

    async def work(registry: client.Registry) -> client.GateReport:
        return await registry.evaluate_gates(await picking.exact(registry, ref), stage)

    report = session.run(chosen, work)
    if form == "markdown":
        click.echo(safe_text.printable(gate_drawing.markdown(report)))
    else:
        output.emit(report, form, lambda: gate_drawing.report(report))
    if report_file:
        junit.write(report_file, f"gates before {stage}", gate_drawing.cases(report))
    if not report.passed:
        raise click.exceptions.Exit(failures.REFUSED)

"""`modelkeep rollback` and `modelkeep sheet`."""

from pathlib import Path

import click
from rich import console as rich_console
from rich import text

from modelkeep import client
from modelkeep.cli import deployment_tables, output, session, settings


@click.command()
@click.argument("model")
@click.option("--env", "environment", required=True, metavar="NAME", help="Where: prod.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the history.")
@click.option("--to", "target", default="", metavar="VERSION", help="Which version to go back to.")
@click.option("--deployment", default="", metavar="ID", help="What to take back, of several.")
@click.option("--bypass-gates", is_flag=True, help="Even if gates fail; needs a permission.")
@output.option
@settings.connecting
@settings.pass_settings
def rollback(
    chosen: settings.Settings,
    /,
    *,
    model: str,
    environment: str,
    reason: str,
    target: str,
    deployment: str,
    bypass_gates: bool,
    form: str,
) -> None:
    """Go back to the last known good version.

    Of MODEL, in an environment, in one step: what runs ends as rolled back, the version that was
    good there before runs, and both get the stage that goes with it. Last known good is what ran
    there last, did not fail and was not rolled back, and is ready. What serves the model has to
    follow what is recorded.
    """
    named = deployment if "/" in deployment or not deployment else f"{model}/{deployment}"

    async def work(registry: client.Registry) -> client.RollbackOutcome:
        return await registry.roll_back(
            model,
            environment,
            reason=reason,
            target_version=target,
            deployment=named,
            bypass_gates=bypass_gates,
        )

    done = session.run(chosen, work)
    output.emit(done, form, lambda: _drawn(done))


def _drawn(done: client.RollbackOutcome) -> rich_console.Group:
    lines = [
        text.Text(f"{move.version} is in {move.to_stage} now, was in {move.from_stage}")
        for move in done.moves
    ]
    lines += [text.Text(f"gate bypassed: {said}", "bold red") for said in done.bypassed_gates]
    return rich_console.Group(deployment_tables.shown(done.deployment), *lines)


@click.command()
@click.argument("ref")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
    help="How to write it.",
)
@click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to; standard output by default.",
)
@settings.connecting
@settings.pass_settings
def sheet(chosen: settings.Settings, ref: str, form: str, path: Path | None) -> None:
    """Write the deployment sheet of a version.

    It has all that whoever runs REF has to know. The server makes it of what is recorded; the same
    state makes the same bytes.
    """

    async def work(registry: client.Registry) -> str:
        return await registry.deployment_sheet(ref, as_json=form == "json")

    content = session.run(chosen, work)
    if path is None:
        click.echo(content, nl=False)
    else:
        path.write_text(content, encoding="utf-8")

"""`modelkeep diff`."""

import click

from modelkeep import client
from modelkeep.cli import diff_drawing, output, session, settings

_DIFFERENT = 1


@click.command()
@click.argument("before", metavar="REF")
@click.argument("after", metavar="REF")
@click.option(
    "--files",
    "max_files",
    type=click.IntRange(min=1, max=10_000),
    default=200,
    show_default=True,
    help="List at most so many files; all are counted.",
)
@click.option("--exit-code", is_flag=True, help="End with 1 if anything differs, as git does.")
@output.option
@settings.connecting
@settings.pass_settings
def diff(
    chosen: settings.Settings,
    /,
    *,
    before: str,
    after: str,
    max_files: int,
    exit_code: bool,
    form: str,
) -> None:
    """Tell what lies between two versions.

    Of one model or of two.
    Files (+ added, - removed, ~ changed, > renamed), facts, parameters, dependencies, datasets,
    signature, figures, labels, tools; prompt, description and card as a unified diff.
    """

    async def work(registry: client.Registry) -> client.VersionDiff:
        return await registry.diff_versions(before, after, max_files=max_files)

    found = session.run(chosen, work)
    output.emit(found, form, lambda: diff_drawing.drawn(found))
    if exit_code and not found.identical:
        raise click.exceptions.Exit(_DIFFERENT)

"""`modelkeep compare`."""

from pathlib import Path

import click

from modelkeep import client
from modelkeep.cli import comparison_drawing, output, plots, safe_text, session, settings


@click.command()
@click.argument("versions", nargs=-1, required=True, metavar="REF...")
@click.option(
    "--dataset",
    required=True,
    metavar="NAME[@REVISION]",
    help="What was measured on; without a revision, that of the baseline's last run.",
)
@click.option("--suite", default="", help="Only by this suite.")
@click.option("--baseline", default="", metavar="REF", help="What to compare with; else the first.")
@click.option(
    "--significance",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    metavar="P",
    help="Below which p-value a difference counts as real.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Draw the figures with error bars, as .png or .svg.",
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
def compare(
    chosen: settings.Settings,
    /,
    *,
    versions: tuple[str, ...],
    dataset: str,
    suite: str,
    baseline: str,
    significance: float,
    plot: Path | None,
    form: str,
) -> None:
    """Tell whether versions are better or worse.

    Figure by figure against a baseline, by a test that is named, or why a figure does not compare.
    References that begin with @ are of the first one's model: acme/voice@1.2.0 @1.3.0 @production.
    """
    if plot:
        plots.require(plot)

    async def work(registry: client.Registry) -> client.Comparison:
        return await registry.compare_versions(
            versions, dataset, suite=suite, baseline=baseline, significance=significance
        )

    found = session.run(chosen, work)
    if form == "markdown":
        click.echo(safe_text.printable(comparison_drawing.markdown(found)))
    else:
        output.emit(found, form, lambda: comparison_drawing.drawn(found))
    if plot:
        plots.draw(found, plot)

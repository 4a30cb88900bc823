"""`modelkeep recommend`."""

from collections.abc import Iterator

import click
from rich import console as rich_console
from rich import table as rich_table
from rich import text

from modelkeep import client
from modelkeep.cli import (
    evaluation_tables,
    failures,
    grid,
    markdown,
    output,
    session,
    settings,
    tables,
)

_HEADINGS = ("VERSION", "FIGURE", "OUTCOME", "REASON")
_O = client.CandidateOutcome
_STYLES = {_O.RECOMMENDED: "bold green", _O.RULED_OUT: "bold red", _O.NOT_COMPARABLE: "yellow"}


@click.command()
@click.argument("model")
@click.argument("candidates", nargs=-1, metavar="[CANDIDATE]...")
@click.option(
    "--to",
    "stage",
    type=click.Choice(["staging", "production"]),
    default="production",
    show_default=True,
    help="Where to.",
)
@click.option("--dataset", default="", metavar="NAME[@REVISION]", help="Instead of the plan's.")
@click.option(
    "--significance",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    metavar="P",
    help="Below which p-value a difference counts as real.",
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
def recommend(
    chosen: settings.Settings,
    /,
    *,
    model: str,
    candidates: tuple[str, ...],
    stage: str,
    dataset: str,
    significance: float,
    form: str,
) -> None:
    """Say which version to promote, and why.

    Or that none should be. By MODEL's evaluation plan (`modelkeep eval plan`), among those
    CANDIDATEs (@1.3.0 @1.4.0; by default the newest that may move) whose gates pass and whose
    guards hold. Nothing is moved. The exit code is 0 if a version is recommended, and 4 if none is.
    """

    async def work(registry: client.Registry) -> client.Recommendation:
        return await registry.recommend_version(
            model, stage, candidates=candidates, dataset=dataset, significance=significance
        )

    found = session.run(chosen, work)
    if form == "markdown":
        click.echo(_markdown(found))
    else:
        output.emit(found, form, lambda: _drawn(found))
    if found.version is None:
        raise click.exceptions.Exit(failures.REFUSED)


def _drawn(found: client.Recommendation) -> rich_console.Group:
    style = "bold green" if found.version else "bold yellow"
    reasons = [tables.cell(f"  {reason}") for reason in found.reasons]
    parts: list[rich_console.RenderableType] = [text.Text(found.summary, style), *reasons]
    if found.candidates:
        parts += [text.Text(), _table(found)]
    return rich_console.Group(*parts, *(tables.cell(note) for note in _notes(found)))


def _table(found: client.Recommendation) -> rich_table.Table:
    rows = [
        [
            tables.cell(version, "bold"),
            tables.cell(figure),
            tables.cell(outcome, _STYLES.get(one.outcome, "")),
            tables.cell(reason),
        ]
        for one, (version, figure, outcome, reason) in zip(
            found.candidates, _rows(found), strict=True
        )
    ]
    return grid.of(_HEADINGS, rows, right={"FIGURE"})


def _rows(found: client.Recommendation) -> Iterator[tuple[str, str, str, str]]:
    for one in found.candidates:
        figure = one.primary.figure if one.primary else None
        shown = evaluation_tables.number(figure.value) if figure else ""
        outcome = one.outcome.replace("_", " ")
        yield one.version.partition("@")[2], shown, outcome, " ".join(one.reasons)


def _markdown(found: client.Recommendation) -> str:
    parts = [f"**{markdown.escaped(found.summary)}**", markdown.bullets(found.reasons)]
    if found.candidates:
        parts.append(markdown.table(_HEADINGS, _rows(found), right={"FIGURE"}))
    return "\n\n".join([*parts, markdown.bullets(_notes(found))])


def _notes(found: client.Recommendation) -> Iterator[str]:
    plan = found.plan
    part = f" of {plan.slice}" if plan.slice else ""
    against = f", against {found.baseline}" if found.baseline else ""
    yield (
        f"Judged by {plan.metric}{part} on {found.dataset or plan.dataset}{against}; a difference "
        f"counts as real where p < {found.significance:g}."
    )

"""`modelkeep regress`."""

from pathlib import Path
from typing import Any

import click

from modelkeep import client
from modelkeep.cli import (
    evaluation,
    evaluation_files,
    failures,
    junit,
    output,
    picking,
    regression_drawing,
    session,
    settings,
    tolerating,
)

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("ref")
@click.option("--baseline", required=True, metavar="REF", help="Against which: @production.")
@click.option("--results", type=_FILE, metavar="JSON", help="Figures, as `eval push` takes them.")
@click.option("--scores", type=_FILE, metavar="CSV", help="Scores, as `eval push` takes them.")
@click.option("--lower", multiple=True, metavar="METRIC", help="Lower is better in the scores.")
@click.option("--dataset", default="", metavar="NAME@REVISION", help="What was measured on.")
@click.option("--suite", default="", help="Which set of metrics; of recorded ones: only this.")
@click.option("--evaluator", default="", metavar="NAME@VERSION", help="What measured.")
@click.option(
    "--tolerance",
    multiple=True,
    metavar="METRIC=AMOUNT",
    help="May be worse by so much: score=0.02, latency=5%, score[lang=de]=0.05, score[*]=0.05.",
)
@click.option("--strict", is_flag=True, help="Worse is too much, even where chance could do it.")
@click.option("--allow-missing", is_flag=True, help="Let pass what is missing or incomparable.")
@click.option(
    "--significance",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    metavar="P",
    help="Below which p-value a difference counts as real.",
)
@click.option(
    "--junit",
    "report_path",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write JUnit XML.",
)
@click.option("--record", is_flag=True, help="Record the results of REF, whatever comes out.")
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
def regress(
    chosen: settings.Settings,
    /,
    *,
    ref: str,
    baseline: str,
    results: Path | None,
    scores: Path | None,
    lower: tuple[str, ...],
    tolerance: tuple[str, ...],
    strict: bool,
    allow_missing: bool,
    significance: float,
    report_path: Path | None,
    record: bool,
    form: str,
    **stated: str,
) -> None:
    """Test whether results are as good as a baseline's.

    To be run on every change, in CI. What was measured of REF (--results, --scores, or what is
    recorded of it) is compared with what was measured the same way of the baseline. A figure that
    is worse by more than it may, and not by chance, fails; so does what is missing or does not
    compare. With --results REF need not exist yet: acme/voice will do. The exit code is 0 if
    nothing failed, and 4 otherwise.
    """
    report = _results(results, scores, lower, stated)
    if record and report is None:
        raise click.UsageError("--record needs --results or --scores.")
    if report is None and not stated["dataset"]:
        raise click.UsageError("Say --dataset, or bring --results.")
    wanted: dict[str, Any] = {
        "results": report,
        "dataset": "" if report else stated["dataset"],
        "suite": "" if report else stated["suite"],
        "tolerances": tolerating.tolerances(tolerance, "--tolerance"),
        "allow_missing": allow_missing,
        "strict": strict,
        "significance": significance,
    }

    async def work(registry: client.Registry) -> client.RegressionReport:
        found = await registry.check_regression(ref, baseline, **wanted)
        if record and report is not None:
            await registry.record_evaluation(await picking.exact(registry, ref), report)
        return found

    found = session.run(chosen, work)
    if report_path:
        title = f"{found.ref} against {found.baseline or baseline}"
        junit.write(report_path, title, regression_drawing.cases(found))
    if form == "markdown":
        click.echo(regression_drawing.markdown(found))
    else:
        output.emit(found, form, lambda: regression_drawing.drawn(found))
    if not found.passed:
        raise click.exceptions.Exit(failures.REFUSED)


def _results(
    results: Path | None, scores: Path | None, lower: tuple[str, ...], stated: dict[str, str]
) -> client.EvaluationReport | None:
    """What was measured and comes along, if anything."""
    if results is None and scores is None:
        return None
    document = evaluation_files.read_results(results) if results else {}
    sets = evaluation_files.read_scores(scores, lower) if scores else ()
    return evaluation.report_of(document, sets, {**stated, "run_at": "", "note": ""})

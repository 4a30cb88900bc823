"""`modelkeep eval ...`."""

from pathlib import Path
from typing import Any

import click

from modelkeep import client
from modelkeep.cli import (
    evaluation_files,
    evaluation_plan,
    evaluation_tables,
    output,
    picking,
    session,
    settings,
    values,
)

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("eval")
def evaluation() -> None:
    """Record what was measured of versions, and show it.

    ID is what `eval ls` shows: acme/voice@1.2.0/0123456789abcdef.
    """


@evaluation.command("push")
@click.argument("ref")
@click.argument("results", type=_FILE, required=False, metavar="[RESULTS.json]")
@click.option("--dataset", default="", metavar="NAME@REVISION", help="What was measured on.")
@click.option("--scores", type=_FILE, metavar="CSV", help="example_id, metric, value[, slice].")
@click.option("--lower", multiple=True, metavar="METRIC", help="Lower is better in the scores.")
@click.option("--suite", default="", help="Which set of metrics, if RESULTS.json does not say.")
@click.option("--evaluator", default="", metavar="NAME@VERSION", help="What measured; the same.")
@click.option("--run-at", default="", metavar="TIME", help="When; now by default.")
@click.option("--supersedes", default="", metavar="ID", help="The evaluation that this corrects.")
@click.option("--note", default="", help="For people; why it corrects another, for example.")
@output.option
@settings.connecting
@settings.pass_settings
def push(
    chosen: settings.Settings,
    /,
    *,
    ref: str,
    results: Path | None,
    scores: Path | None,
    lower: tuple[str, ...],
    supersedes: str,
    form: str,
    **stated: str,
) -> None:
    """Record what was measured of REF: figures, scores of single examples, or both."""
    document = evaluation_files.read_results(results) if results else {}
    sets = evaluation_files.read_scores(scores, lower) if scores else ()
    report = report_of(document, sets, stated)

    async def work(registry: client.Registry) -> client.Evaluation:
        version = await picking.exact(registry, ref)
        return await registry.record_evaluation(version, report, supersedes=supersedes)

    recorded = session.run(chosen, work)
    output.emit(recorded, form, lambda: evaluation_tables.shown(recorded))


def report_of(
    document: dict[str, Any], sets: tuple[client.ScoreSet, ...], stated: dict[str, str]
) -> client.EvaluationReport:
    """What the options say, or else the file; raises click.UsageError for what neither says."""
    said = {key: value or document.get(key, "") for key, value in stated.items()}
    for key in ("dataset", "suite", "evaluator"):
        if not said[key]:
            raise click.UsageError(f"Say --{key}, or write {key} into the results file.")
    name, at, revision = said["dataset"].rpartition("@")
    if not (name and at and revision):
        raise click.BadParameter(
            f"{said['dataset']!r} is not NAME@REVISION.", param_hint="--dataset"
        )
    digest = document.get("dataset_digest", "")
    return client.EvaluationReport(
        dataset=client.EvaluationDataset(name, revision, digest),
        suite=said["suite"],
        evaluator=said["evaluator"],
        metrics=document.get("metrics", ()),
        score_sets=sets,
        run_at=values.instant(said["run_at"]) if said["run_at"] else None,
        note=said["note"],
    )


@evaluation.command("ls")
@click.argument("ref")
@click.option("--dataset", default="", metavar="NAME[@REVISION]", help="Only on this dataset.")
@click.option("--suite", default="", help="Only by this suite.")
@click.option("--superseded", is_flag=True, help="List what was corrected, too.")
@output.option
@settings.connecting
@settings.pass_settings
def list_evaluations(
    chosen: settings.Settings,
    /,
    *,
    ref: str,
    dataset: str,
    suite: str,
    superseded: bool,
    form: str,
) -> None:
    """List the evaluations of REF, the last recorded first, without the figures of slices."""

    async def work(registry: client.Registry) -> list[client.Evaluation]:
        version = await picking.exact(registry, ref)
        found = registry.list_evaluations(
            version, dataset=dataset, suite=suite, show_superseded=superseded
        )
        return [entry async for entry in found]

    entries = session.run(chosen, work)
    output.emit(entries, form, lambda: evaluation_tables.evaluations(entries))


@evaluation.command("show")
@click.argument("name", metavar="ID")
@output.option
@settings.connecting
@settings.pass_settings
def show(chosen: settings.Settings, name: str, form: str) -> None:
    """Show an evaluation with all its figures."""

    async def work(registry: client.Registry) -> client.Evaluation:
        return await registry.get_evaluation(name)

    found = session.run(chosen, work)
    output.emit(found, form, lambda: evaluation_tables.shown(found))


evaluation.add_command(evaluation_plan.plan)

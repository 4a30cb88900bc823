"""`modelkeep eval plan ...`."""

import click
from rich import console as rich_console
from rich import text

from modelkeep import client
from modelkeep.cli import output, session, settings, tables, tolerating, units


@click.group()
def plan() -> None:
    """Say what versions of a model are judged by, and show it.

    `recommend` goes by it: the metric that decides, and guards that must not get worse.
    """


@plan.command("set")
@click.argument("model")
@click.option("--metric", required=True, help="The metric that decides.")
@click.option(
    "--direction",
    type=click.Choice(["higher", "lower"]),
    default="higher",
    show_default=True,
    help="Which way it gets better.",
)
@click.option("--dataset", required=True, metavar="NAME[@REVISION]", help="Measured on which.")
@click.option("--slice", "part", default="", help="Of which examples; all by default.")
@click.option("--suite", default="", help="By which suite; any by default.")
@click.option("--guard", multiple=True, metavar="METRIC=AMOUNT", help="May be worse by so much.")
@click.option(
    "--strict-guard", multiple=True, metavar="METRIC=AMOUNT", help="The same, chance or not."
)
@output.option
@settings.connecting
@settings.pass_settings
def set_plan(
    chosen: settings.Settings,
    /,
    *,
    model: str,
    metric: str,
    direction: str,
    dataset: str,
    part: str,
    suite: str,
    guard: tuple[str, ...],
    strict_guard: tuple[str, ...],
    form: str,
) -> None:
    """Say what versions of MODEL are judged by, in place of what was said before.

    A guard is latency=5% or score[lang=de]=0.02: by how much it may be worse than the version that
    is to be replaced. More is too much if it is no chance; with --strict-guard in any case.
    """
    strict = tolerating.tolerances(strict_guard, "--strict-guard", strict=True)
    wanted = client.EvaluationPlan(
        metric=metric,
        direction=client.MetricDirection(direction),
        dataset=dataset,
        slice=part,
        suite=suite,
        guards=(*tolerating.tolerances(guard, "--guard"), *strict),
    )

    async def work(registry: client.Registry) -> client.EvaluationPlan:
        return await registry.set_evaluation_plan(model, wanted)

    settled = session.run(chosen, work)
    output.emit(settled, form, lambda: _drawn(model, settled))


@plan.command("show")
@click.argument("model")
@output.option
@settings.connecting
@settings.pass_settings
def show(chosen: settings.Settings, model: str, form: str) -> None:
    """Show what versions of MODEL are judged by."""

    async def work(registry: client.Registry) -> client.EvaluationPlan:
        return await registry.get_evaluation_plan(model)

    settled = session.run(chosen, work)
    output.emit(settled, form, lambda: _drawn(model, settled))


def _drawn(model: str, settled: client.EvaluationPlan) -> rich_console.Group:
    part = f" of {settled.slice}" if settled.slice else ""
    guards = [
        tolerating.shown(one) + (", chance or not" if one.strict else "") for one in settled.guards
    ]
    facts = [
        ("decides", f"{settled.metric}{part}, {settled.direction} is better"),
        ("dataset", settled.dataset),
        ("suite", settled.suite),
        ("guards", "\n".join(guards)),
        ("said by", f"{settled.actor}, {units.age(settled.updated_at)}"),
    ]
    return rich_console.Group(text.Text(model, "bold"), tables.pairs(facts))

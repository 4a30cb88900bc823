"""`modelkeep audit compliance`."""

from datetime import datetime

import click

from modelkeep import client
from modelkeep.cli import compliance_drawing, output, session, settings, values


def _instant(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    del context, option
    return None if text is None else values.instant(text)


def _days(context: click.Context, option: click.Parameter, text: str | None) -> int:
    del context
    return 0 if text is None else values.days(text, option.opts[0])


@click.command("compliance")
@click.argument("namespace", default="-")
@click.option("--older-than", callback=_days, metavar="90d", help="Overdue after so many days.")
@click.option(
    "--stage", type=click.Choice(["staging", "production"]), help="Only versions in this stage."
)
@click.option(
    "--per-week",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Plan the evaluations that are due, so many a week.",
)
@click.option("--as-of", callback=_instant, metavar="TIME", help="As it was, or will be, then.")
@click.option("--all", "compliant", is_flag=True, help="What nothing is missing of, too.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many; all by default.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "csv", "json", "yaml", "markdown"]),
    default="table",
    show_default=True,
    help="How to print the result.",
)
@settings.connecting
@settings.pass_settings
def compliance(
    chosen: settings.Settings,
    /,
    *,
    namespace: str,
    older_than: int,
    stage: str | None,
    per_week: int | None,
    as_of: datetime | None,
    compliant: bool,
    limit: int | None,
    form: str,
) -> None:
    """List versions that people rely on and of which something is missing.

    Overdue or never evaluated; no owner, risk tier, card, approval, lineage, datasets or signature.
    The greatest risk first: weight of the tier x environments x days overdue. NAMESPACE may be left
    out: all of them.
    """

    async def work(registry: client.Registry) -> client.ComplianceReport:
        return await registry.compliance_report(
            namespace,
            stage=stage or "",
            revalidation_days=older_than,
            per_week=per_week or 0,
            as_of=as_of,
            show_compliant=compliant,
            limit=limit,
        )

    report = session.run(chosen, work)
    match form:
        case "csv":
            click.echo(compliance_drawing.csv_text(report), nl=False)
        case "markdown":
            click.echo(compliance_drawing.markdown(report))
        case _:
            output.emit(report, form, lambda: compliance_drawing.drawn(report))
    if report.truncated:
        click.echo(f"Only the first {len(report.entries)} are shown; raise --limit.", err=True)

"""`modelkeep search`."""

import click
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import grid, output, safe_text, session, settings, tables

_MOST_AT_ONCE = 1000


@click.command(
    epilog="Example: modelkeep search 'metrics.accuracy > 0.9 AND labels.team = \"x\"'. "
    "Grammar and fields: docs/search.md."
)
@click.argument("query", metavar="[FILTER]", required=False, default="")
@click.option("--namespace", default="", metavar="NAMESPACE", help="Only there.")
@click.option("--model", default="", metavar="NAMESPACE/MODEL", help="Only its versions.")
@click.option(
    "--order-by", default="", metavar="FIELD", help="For example 'metrics.accuracy desc'."
)
@click.option("--metric", multiple=True, metavar="NAME", help="Show this metric, too; repeat.")
@click.option("--deleted", is_flag=True, help="Find what is deleted, too.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@output.option
@settings.connecting
@settings.pass_settings
def search(
    chosen: settings.Settings,
    /,
    *,
    query: str,
    namespace: str,
    model: str,
    order_by: str,
    metric: tuple[str, ...],
    deleted: bool,
    limit: int,
    form: str,
) -> None:
    """Find versions by what they are.

    FILTER compares fields, for example metrics.accuracy, labels.team, params.lr, stage, kind,
    framework, create_time or datasets, or has words of names, descriptions and cards. Without
    --namespace or --model, every namespace is searched, one after the other.
    """
    if namespace and model:
        raise click.UsageError("--model names its namespace, too; leave --namespace out.")

    async def work(registry: client.Registry) -> tuple[list[client.Version], bool]:
        taken: list[client.Version] = []
        async for version in registry.search(
            query,
            within=model or namespace,
            order_by=order_by,
            metrics=metric,
            show_deleted=deleted,
            page_size=min(limit + 1, _MOST_AT_ONCE),
        ):
            if len(taken) == limit:
                return taken, True
            taken.append(version)
        return taken, False

    entries, more = session.run(chosen, work)
    output.emit(entries, form, lambda: drawn(entries))
    if more:
        click.echo(f"Only the first {limit} are shown; raise --limit for more.", err=True)


def drawn(entries: list[client.Version]) -> rich_table.Table:
    """One line for each version, with the metrics that any of them has."""
    metrics = sorted({name for one in entries for name in one.metrics})
    rows = [
        (
            tables.cell(one.ref, "bold"),
            tables.stage(one.stage),
            tables.state(one),
            *(tables.cell(_figure(one.metrics.get(name))) for name in metrics),
            tables.age(one.created_at),
        )
        for one in entries
    ]
    titles = [safe_text.printable(name).upper() for name in metrics]
    return grid.of(("REF", "STAGE", "STATE", *titles, "CREATED"), rows, right=set(titles))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:g}"

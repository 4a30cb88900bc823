"""`modelkeep lineage`, `impact`, `link` and `unlink`."""

from collections.abc import Callable
from typing import Any

import click

from modelkeep import client
from modelkeep.cli import graphs, grid, output, picking, safe_text, session, settings, tables

_NODE_HELP = (
    "a version (acme/voice@production), dataset:NAME[@REVISION], code:REPOSITORY[@COMMIT], "
    "hosted:PROVIDER/MODEL or other:URI"
)
_SERVING = ("production", "staging")


def _namespace(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "-n",
        "--namespace",
        default="",
        metavar="NAMESPACE",
        help="Whose dataset, code or the like; a version's own by default.",
    )(command)


@click.command(epilog=f"NODE is {_NODE_HELP}.")
@click.argument("node")
@_namespace
@click.option("--up", "direction", flag_value="upstream", help="Only what it was made from.")
@click.option("--down", "direction", flag_value="downstream", help="Only what was made from it.")
@click.option("--depth", type=click.IntRange(1, 20), default=5, show_default=True)
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "json", "yaml", "mermaid", "dot"]),
    default="table",
    show_default=True,
    help="How to print the result.",
)
@settings.connecting
@settings.pass_settings
def lineage(  # noqa: PLR0917 - click passes all by name
    chosen: settings.Settings,
    node: str,
    namespace: str,
    direction: str | None,
    depth: int,
    form: str,
) -> None:
    """Tell what was made from what.

    What NODE was made from, and what was made from it.
    """
    way = client.LineageDirection(direction or "both")

    async def work(registry: client.Registry) -> client.Lineage:
        begin = await _node(registry, node)
        return await registry.lineage(begin, namespace=namespace, direction=way, depth=depth)

    found = session.run(chosen, work)
    if form in ("mermaid", "dot"):
        drawn = graphs.mermaid(found) if form == "mermaid" else graphs.dot(found)
        click.echo(safe_text.printable(drawn))
        return
    output.emit(found, form, lambda: graphs.tree(found))


@click.command(epilog=f"NODE is {_NODE_HELP}.")
@click.argument("node")
@_namespace
@click.option("--depth", type=click.IntRange(1, 20), default=20, show_default=True)
@output.option
@settings.connecting
@settings.pass_settings
def impact(chosen: settings.Settings, node: str, namespace: str, depth: int, form: str) -> None:
    """List the versions made from something.

    Those made from NODE, however indirectly, those that serve first.
    What would have to be looked at again if NODE turned out to be wrong.
    """

    async def work(registry: client.Registry) -> client.Lineage:
        return await registry.lineage(
            await _node(registry, node),
            namespace=namespace,
            direction=client.LineageDirection.DOWNSTREAM,
            depth=depth,
        )

    graph = session.run(chosen, work)
    touched = [one for one in graph.nodes if one.steps and one.node.kind == "version"]
    touched.sort(key=_urgency)
    document = {"versions": touched, "truncated": graph.truncated}
    output.emit(document, form, lambda: _impact_table(touched, truncated=graph.truncated))


@click.command(epilog=f"SOURCE and TARGET are each {_NODE_HELP}.")
@click.argument("source")
@click.argument("target")
@click.option("--relation", default="derived", show_default=True, help="How, in a word.")
@click.option("--reason", default="", help="Why.")
@_namespace
@output.option
@settings.connecting
@settings.pass_settings
def link(  # noqa: PLR0917 - click passes all by name
    chosen: settings.Settings,
    source: str,
    target: str,
    relation: str,
    reason: str,
    namespace: str,
    form: str,
) -> None:
    """Say that one thing was made from another.

    TARGET from SOURCE. What a version says itself (base, datasets, code, hosted model) is linked
    when it is pushed.
    """

    async def work(registry: client.Registry) -> client.LineageLink:
        said = await _link(registry, source, target, relation)
        return await registry.add_lineage(said, namespace=namespace, reason=reason)

    added = session.run(chosen, work)
    output.emit(added, form, lambda: f"[bold]{added.target}[/] was made from {added.source}")


@click.command(epilog=f"SOURCE and TARGET are each {_NODE_HELP}.")
@click.argument("source")
@click.argument("target")
@click.option("--relation", default="derived", show_default=True, help="How, in a word.")
@click.option("--reason", default="", help="Why.")
@_namespace
@output.option
@settings.connecting
@settings.pass_settings
def unlink(  # noqa: PLR0917 - click passes all by name
    chosen: settings.Settings,
    source: str,
    target: str,
    relation: str,
    reason: str,
    namespace: str,
    form: str,
) -> None:
    """Take back what link said."""

    async def work(registry: client.Registry) -> client.LineageLink:
        said = await _link(registry, source, target, relation)
        return await registry.remove_lineage(said, namespace=namespace, reason=reason)

    gone = session.run(chosen, work)
    output.emit(gone, form, lambda: f"[bold]{gone.target}[/] is no longer linked to {gone.source}")


async def _link(
    registry: client.Registry, source: str, target: str, relation: str
) -> client.LineageLink:
    return client.LineageLink(
        source=await _node(registry, source),
        target=await _node(registry, target),
        relation=relation,
    )


async def _node(registry: client.Registry, text: str) -> client.LineageNode:
    """The node that was typed, a version as one exact version."""
    if text.partition(":")[0] in ("dataset", "code", "hosted", "other"):
        return client.parse_lineage_node(text)
    return client.parse_lineage_node(await picking.exact(registry, text))


def _urgency(found: client.LineageFound) -> tuple[int, int, str]:
    serving = _SERVING.index(found.stage) if found.stage in _SERVING else len(_SERVING)
    if found.state != "ready":
        serving += len(_SERVING)
    return serving, found.steps, found.node.name


def _impact_table(touched: list[client.LineageFound], *, truncated: bool) -> object:
    if not touched:
        return "nothing was made from it"
    rows: list[grid.Row] = [
        (
            tables.cell(one.node.name, "bold"),
            tables.stage(one.stage),
            tables.cell(", ".join(one.aliases), "magenta"),
            tables.cell(one.state),
            tables.cell(str(one.steps)),
        )
        for one in touched
    ]
    if truncated:
        rows.append((tables.cell("and more"), *[tables.cell("")] * 4))
    headings = ("VERSION", "STAGE", "ALIASES", "STATE", "STEPS")
    return grid.of(headings, rows, right={"STEPS"})

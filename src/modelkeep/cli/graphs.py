"""Lineage drawn: as a tree in the terminal, as Mermaid, as Graphviz DOT."""

import json
from collections.abc import Iterator

from rich import text as rich_text
from rich import tree as rich_tree

from modelkeep import client

_SHAPES = {
    client.LineageKind.VERSION: "box",
    client.LineageKind.DATASET: "cylinder",
    client.LineageKind.CODE: "note",
    client.LineageKind.HOSTED_MODEL: "component",
    client.LineageKind.OTHER: "ellipse",
}


def tree(graph: client.Lineage) -> object:
    """What it was made from and what was made from it, each thing drawn once a side."""
    if not graph.nodes:
        return "nothing is linked to it"
    found = {one.node: one for one in graph.nodes}
    root = rich_tree.Tree("", hide_root=True)
    for begin in (one for one in graph.nodes if one.steps == 0):
        branch = root.add(_label(begin))
        for heading, upward in (("made from", True), ("made from it", False)):
            links = list(_next(graph, begin.node, upward=upward))
            if links:
                side = branch.add(rich_text.Text(heading, "dim"))
                _grow(side, graph, found, begin.node, upward=upward, drawn={begin.node})
    if graph.truncated:
        root.add(
            rich_text.Text("… and more; ask with a greater --depth, or from further on", "dim")
        )
    return root


def _grow(
    branch: rich_tree.Tree,
    graph: client.Lineage,
    found: dict[client.LineageNode, client.LineageFound],
    node: client.LineageNode,
    *,
    upward: bool,
    drawn: set[client.LineageNode],
) -> None:
    for link, other in _next(graph, node, upward=upward):
        label = _label(found[other]) if other in found else rich_text.Text(str(other))
        label.append(f"  {link.relation}", "dim")
        if other in drawn:
            branch.add(label.append("  (above)", "dim"))
            continue
        drawn.add(other)
        _grow(branch.add(label), graph, found, other, upward=upward, drawn=drawn)


def _next(
    graph: client.Lineage, node: client.LineageNode, *, upward: bool
) -> Iterator[tuple[client.LineageLink, client.LineageNode]]:
    for link in graph.links:
        here, there = (link.target, link.source) if upward else (link.source, link.target)
        if here == node:
            yield link, there


def _label(found: client.LineageFound) -> rich_text.Text:
    label = rich_text.Text(str(found.node), "bold" if found.steps == 0 else "")
    said = [found.stage, *(f"@{alias}" for alias in found.aliases)]
    if found.state not in ("", "ready"):
        said.append(found.state)
    words = ", ".join(word for word in said if word)
    return label.append(f"  {words}", "cyan") if words else label


def mermaid(graph: client.Lineage) -> str:
    """A Mermaid flowchart, from what was used to what was made."""
    ids = {one.node: f"n{number}" for number, one in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    lines += [f'    {ids[one.node]}["{_entity(_label(one).plain)}"]' for one in graph.nodes]
    lines += [
        f"    {source} -->|{_entity(link.relation)}| {target}"
        for link, source, target in _links(graph, ids)
    ]
    return "\n".join(lines)


def dot(graph: client.Lineage) -> str:
    """A Graphviz graph, from what was used to what was made."""
    ids = {one.node: f"n{number}" for number, one in enumerate(graph.nodes)}
    lines = ["digraph lineage {", "    rankdir=LR;"]
    for one in graph.nodes:
        label, shape = json.dumps(_label(one).plain, ensure_ascii=False), _SHAPES[one.node.kind]
        lines.append(f"    {ids[one.node]} [label={label}, shape={shape}];")
    lines += [
        f"    {source} -> {target} [label={json.dumps(link.relation)}];"
        for link, source, target in _links(graph, ids)
    ]
    return "\n".join([*lines, "}"])


def _links(
    graph: client.Lineage, ids: dict[client.LineageNode, str]
) -> Iterator[tuple[client.LineageLink, str, str]]:
    for link in graph.links:
        if link.source in ids and link.target in ids:
            yield link, ids[link.source], ids[link.target]


def _entity(text: str) -> str:
    """Text that Mermaid takes for nothing but text."""
    return "".join(
        character if character.isalnum() or character in " ,.:/@_-" else f"#{ord(character)};"
        for character in text
    )

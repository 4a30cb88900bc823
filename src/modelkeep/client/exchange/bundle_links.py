"""Links of the lineage in the index of a bundle: those that somebody added."""

from typing import Any

from modelkeep.client import errors, lineage, refs
from modelkeep.client.exchange import bundle_records, facts, json_entries

_LINKS = "links"
_MAX_LINKS = 100_000
_KINDS = {kind.value: kind for kind in lineage.LineageKind if kind.value != "unspecified"}


def out(link: lineage.LineageLink) -> dict[str, Any]:
    """The link as the index has it."""
    return {
        "source": _node_out(link.source),
        "target": _node_out(link.target),
        "relation": link.relation,
        "actor": link.actor,
        "reason": link.reason,
        "added_at": facts.instant(link.created_at),
    }


def _node_out(node: lineage.LineageNode) -> dict[str, str]:
    return {"kind": node.kind.value, "name": node.name, "revision": node.revision}


def read(document: json_entries.Entry) -> tuple[lineage.LineageLink, ...]:
    """The links of an index.

    Raises:
        BadSource: one of them is none.
    """
    entries = document.entries(_LINKS, optional=True)
    if len(entries) > _MAX_LINKS:
        raise document.wrong(_LINKS, f"has {len(entries)} entries; at most {_MAX_LINKS} are read")
    return tuple(map(_link_in, entries))


def _link_in(entry: json_entries.Entry) -> lineage.LineageLink:
    return lineage.LineageLink(
        source=_node_in(entry.entry("source")),
        target=_node_in(entry.entry("target")),
        relation=entry.text("relation"),
        actor=entry.text("actor"),
        reason=entry.text("reason"),
        created_at=entry.instant("added_at"),
    )


def _node_in(entry: json_entries.Entry) -> lineage.LineageNode:
    kind = _KINDS.get(entry.text("kind"))
    if kind is None:
        raise entry.wrong("kind", "is not a kind of node")
    name = entry.text("name")
    if not name:
        raise entry.wrong("name", "is empty")
    if kind is lineage.LineageKind.VERSION:
        try:
            name = str(refs.parse_version(name))
        except errors.BadReference as bad:
            raise entry.wrong("name", "is not the name of a version") from bad
    return lineage.LineageNode(kind, name, entry.text("revision"))


def check(bundle: bundle_records.Bundle, document: json_entries.Entry) -> None:
    """Require that each link is of a version of the bundle; raises BadSource."""
    there = {f"{bundle.name}@{one.version}" for one in bundle.versions}
    for link in bundle.links:
        if not there & set(versions_of(link)):
            raise document.wrong(_LINKS, f"has one of no version in the bundle: {shown(link)}")


def versions_of(link: lineage.LineageLink) -> tuple[str, ...]:
    """Which versions the link is between: `acme/voice@1.2.0`."""
    nodes = (link.source, link.target)
    return tuple(node.name for node in nodes if node.kind is lineage.LineageKind.VERSION)


def shown(link: lineage.LineageLink) -> str:
    """The link for people."""
    return f"{link.source} \N{RIGHTWARDS ARROW} {link.target}"[:300]

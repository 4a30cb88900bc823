"""How the registry's records look to people."""

from collections.abc import Iterable, Sequence
from typing import Literal

from rich import table as rich_table
from rich import text

from modelkeep import client
from modelkeep.cli import units

_STAGE_STYLES = {
    "production": "bold green",
    "staging": "yellow",
    "development": "cyan",
    "archived": "dim",
}
_STATE_STYLES = {
    client.VersionState.DRAFT: "yellow",
    client.VersionState.QUARANTINED: "bold red",
    client.VersionState.DELETED: "dim",
}


def namespaces(entries: Iterable[client.Namespace]) -> rich_table.Table:
    """One line for each namespace."""
    table = grid("NAMESPACE", "CREATED", "BY", "DESCRIPTION")
    for entry in entries:
        table.add_row(
            cell(entry.ref, "bold"),
            units.age(entry.created_at),
            cell(entry.creator),
            summary(entry.description),
        )
    return table


def models(entries: Iterable[client.Model]) -> rich_table.Table:
    """One line for each model."""
    table = grid("MODEL", "KIND", "VERSIONS", "OWNER", "CREATED", "DESCRIPTION", right={"VERSIONS"})
    for entry in entries:
        table.add_row(
            cell(entry.ref, "dim" if entry.deleted_at else "bold"),
            cell(entry.kind),
            f"{entry.last_ordinal:,}",
            cell(entry.owner),
            units.age(entry.created_at),
            cell("deleted", "dim") if entry.deleted_at else summary(entry.description),
        )
    return table


def versions(entries: Iterable[client.Version]) -> rich_table.Table:
    """One line for each version."""
    headings = ("VERSION", "#", "STAGE", "ALIASES", "STATE", "FILES", "SIZE", "CREATED", "BY")
    table = grid(*headings, "DIGEST", right={"#", "FILES", "SIZE"})
    for entry in entries:
        table.add_row(
            cell(entry.version, "bold"),
            str(entry.ordinal),
            stage(entry.stage),
            cell(", ".join(entry.aliases), "magenta"),
            cell(entry.state, _STATE_STYLES.get(entry.state, "")),
            f"{entry.file_count:,}",
            units.size(entry.total_bytes),
            units.age(entry.created_at),
            cell(entry.creator),
            cell(units.digest(entry.manifest_digest), "dim"),
        )
    return table


def aliases(entries: Iterable[client.Alias]) -> rich_table.Table:
    """One line for each alias."""
    table = grid("ALIAS", "VERSION", "SET", "BY", "REASON")
    for entry in entries:
        table.add_row(
            cell(entry.alias, "magenta"),
            cell(version_of(entry), "bold"),
            units.age(entry.set_at),
            cell(entry.actor),
            summary(entry.reason),
        )
    return table


def files(entries: Iterable[client.File]) -> rich_table.Table:
    """One line for each file."""
    table = grid("FILE", "SIZE", "TYPE", "DIGEST", right={"SIZE"})
    for entry in entries:
        table.add_row(
            cell(entry.path, "bold"),
            units.size(entry.size_bytes),
            cell(entry.media_type),
            cell(units.digest(entry.digest), "dim"),
        )
    return table


def pairs(rows: Iterable[tuple[str, str | text.Text]]) -> rich_table.Table:
    """Names and values, values that are empty left out."""
    table = rich_table.Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        if value:
            table.add_row(name, cell(value) if isinstance(value, str) else value)
    return table


def grid(*headings: str, right: Iterable[str] = ()) -> rich_table.Table:
    """An empty table in the house style: no frame, columns aligned, as wide as its content."""
    table = rich_table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        justify: Literal["left", "right"] = "right" if heading in set(right) else "left"
        wraps = heading in {"DESCRIPTION", "REASON", "ALIASES", "FILE"}
        table.add_column(
            heading, justify=justify, no_wrap=not wraps, overflow="fold" if wraps else "ellipsis"
        )
    return table


def stage(name: str) -> text.Text:
    """A stage in its colour."""
    return cell(name, _STAGE_STYLES.get(name, ""))


def cell(value: str, style: str = "") -> text.Text:
    """Text that rich does not read as markup, printable only; a dash for none."""
    return text.Text(printable(value), style) if value else text.Text("-", "dim")


def printable(value: str) -> str:
    """The text without what could move a terminal's cursor or change its colours."""
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}"
        for char in value
    )


def summary(value: str) -> text.Text:
    """The first line of a text."""
    lines: Sequence[str] = value.strip().splitlines()
    return cell(lines[0] if lines else "")


def version_of(alias: client.Alias) -> str:
    """The version an alias points at: `1.2.0`."""
    return alias.version.rpartition("/")[2]

"""How the registry's records look to people."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from rich import table as rich_table
from rich import text

from modelkeep import client
from modelkeep.cli import contents, grid, safe_text, units

_STAGE_STYLES = {
    "production": "bold green",
    "staging": "yellow",
    "development": "cyan",
    "archived": "dim",
}
_REASONS = {client.GarbageReason.UNREACHED: "no version has it, no upload brings it"}
_STATE_STYLES = {
    client.VersionState.DRAFT: "yellow",
    client.VersionState.QUARANTINED: "bold red",
    client.VersionState.DELETED: "dim",
}


def namespaces(entries: Iterable[client.Namespace]) -> rich_table.Table:
    """One line for each namespace."""
    rows = [
        (cell(one.ref, "bold"), age(one.created_at), cell(one.creator), summary(one.description))
        for one in entries
    ]
    headings = ("NAMESPACE", "CREATED", "BY", "DESCRIPTION")
    return grid.of(headings, rows, expendable=("BY", "CREATED", "DESCRIPTION"))


def models(entries: Iterable[client.Model]) -> rich_table.Table:
    """One line for each model."""
    rows = [
        (
            cell(one.ref, "dim" if one.deleted_at else "bold"),
            cell(one.kind),
            cell(f"{one.last_ordinal:,}"),
            cell(one.owner),
            age(one.created_at),
            cell("deleted", "dim") if one.deleted_at else summary(one.description),
        )
        for one in entries
    ]
    headings = ("MODEL", "KIND", "VERSIONS", "OWNER", "CREATED", "DESCRIPTION")
    expendable = ("OWNER", "CREATED", "KIND", "DESCRIPTION", "VERSIONS")
    return grid.of(headings, rows, right={"VERSIONS"}, expendable=expendable)


def versions(entries: Iterable[client.Version]) -> rich_table.Table:
    """One line for each version."""
    rows = [
        (
            cell(one.version, "bold"),
            cell(str(one.ordinal)),
            stage(one.stage),
            cell(", ".join(one.aliases), "magenta"),
            state(one),
            cell(f"{one.file_count:,}"),
            cell(units.size(one.total_bytes)),
            age(one.created_at),
            cell(one.creator),
            cell(units.digest(one.manifest_digest), "dim"),
        )
        for one in entries
    ]
    return grid.of(
        ("VERSION", "#", "STAGE", "ALIASES", "STATE", "FILES", "SIZE", "CREATED", "BY", "DIGEST"),
        rows,
        right={"#", "FILES", "SIZE"},
        expendable=("DIGEST", "BY", "FILES", "#", "CREATED", "SIZE", "STATE", "ALIASES"),
    )


def aliases(entries: Iterable[client.Alias]) -> rich_table.Table:
    """One line for each alias."""
    rows = [
        (
            cell(one.alias, "magenta"),
            cell(version_of(one), "bold"),
            age(one.set_at),
            cell(one.actor),
            cell("protected" if one.protected else "", "yellow"),
            summary(one.reason),
        )
        for one in entries
    ]
    return _without_empty(
        ("ALIAS", "VERSION", "SET", "BY", "PROTECTED", "REASON"), rows, {"PROTECTED"}, ("BY",)
    )


def protections(entries: Iterable[client.AliasProtection]) -> rich_table.Table:
    """One line for each protection of aliases."""
    rows = [
        (
            cell(one.pattern, "magenta"),
            cell(_place_of(one.parent), "bold"),
            age(one.protected_at),
            cell(one.actor),
            summary(one.reason),
        )
        for one in entries
    ]
    return grid.of(("PATTERN", "WHERE", "SINCE", "BY", "REASON"), rows, expendable=("BY",))


def _place_of(name: str) -> str:
    """`acme` or `acme/voice`, of a resource name."""
    return "/".join(name.split("/")[1::2])


def _without_empty(
    headings: Sequence[str],
    rows: Sequence[grid.Row],
    optional: Collection[str],
    expendable: Sequence[str],
) -> rich_table.Table:
    """A table without those optional columns in which no row says anything."""
    columns = [
        column
        for column, heading in enumerate(headings)
        if heading not in optional or any(str(row[column]) != "-" for row in rows)
    ]
    return grid.of(
        [headings[column] for column in columns],
        [[row[column] for column in columns] for row in rows],
        expendable=expendable,
    )


def files(entries: Iterable[client.File]) -> rich_table.Table:
    """One line for each file."""
    rows = [
        (
            cell(one.path, "bold"),
            cell(units.size(one.size_bytes)),
            cell(contents.summary(one.facts)),
            cell(one.media_type),
            cell(units.digest(one.digest), "dim"),
        )
        for one in entries
    ]
    headings = ("FILE", "SIZE", "CONTENT", "TYPE", "DIGEST")
    columns = list(range(len(headings)))
    if all(str(row[2]) == "-" for row in rows):  # nobody knows anything of any
        columns = [column for column in columns if headings[column] != "CONTENT"]
    return grid.of(
        [headings[column] for column in columns],
        [[row[column] for column in columns] for row in rows],
        right={"SIZE"},
        expendable=("TYPE", "DIGEST"),
    )


def uploads(entries: Iterable[client.Upload]) -> rich_table.Table:
    """One line for each upload."""
    rows = [
        (
            cell(one.name, "bold"),
            cell(one.state.value),
            cell(units.size(one.size_bytes)),
            cell(units.size(one.persisted_bytes)),
            age(one.created_at),
            cell(one.creator),
            cell(units.exact(one.expires_at)),
            cell(units.digest(one.digest), "dim"),
        )
        for one in entries
    ]
    headings = ("UPLOAD", "STATE", "SIZE", "DURABLE", "STARTED", "BY", "EXPIRES", "DIGEST")
    expendable = ("DIGEST", "BY", "EXPIRES", "STARTED")
    return grid.of(headings, rows, right={"SIZE", "DURABLE"}, expendable=expendable)


def garbage(entries: Iterable[client.GarbageBlob]) -> rich_table.Table:
    """One line for each blob that may go, and why."""
    rows = [
        (
            cell(units.digest(one.digest), "bold"),
            cell(_namespace_of(one.name)),
            cell(units.size(one.size_bytes)),
            cell(units.size(one.freed_bytes)),
            age(one.created_at),
            age(one.used_at),
            cell(_REASONS.get(one.reason, one.reason.value)),
        )
        for one in entries
    ]
    headings = ("BLOB", "NAMESPACE", "SIZE", "FREES", "STORED", "LAST USED", "REASON")
    return grid.of(headings, rows, right={"SIZE", "FREES"}, expendable=("STORED", "NAMESPACE"))


def _namespace_of(name: str) -> str:
    return name.split("/")[1] if "/" in name else name


def checks(entries: Iterable[client.FileCheck]) -> rich_table.Table:
    """One line for each file that was re-read."""
    rows = [
        (
            cell(one.path, "bold"),
            cell(units.size(one.size_bytes)),
            cell(one.verdict, "green" if one.is_ok else "bold red"),
            cell(one.detail),
        )
        for one in entries
    ]
    return grid.of(("FILE", "SIZE", "VERDICT", "DETAIL"), rows, right={"SIZE"})


def pairs(rows: Iterable[tuple[str, str | text.Text]]) -> rich_table.Table:
    """Names and values, values that are empty left out."""
    table = rich_table.Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        if value:
            table.add_row(name, cell(value) if isinstance(value, str) else value)
    return table


def stage(name: str) -> text.Text:
    """A stage in its colour."""
    return cell(name, _STAGE_STYLES.get(name, ""))


def state(version: client.Version) -> text.Text:
    """A version's state in its colour."""
    return cell(version.state, _STATE_STYLES.get(version.state, ""))


def cell(value: str, style: str = "") -> text.Text:
    """Text that rich does not read as markup, printable only; a dash for none."""
    return text.Text(safe_text.printable(value), style) if value else text.Text("-", "dim")


def age(instant: datetime | None) -> text.Text:
    """How long ago that was."""
    return cell(units.age(instant))


def summary(value: str) -> text.Text:
    """The first line of a text."""
    lines: Sequence[str] = value.strip().splitlines()
    return cell(lines[0] if lines else "")


def version_of(alias: client.Alias) -> str:
    """The version an alias points at: `1.2.0`."""
    return alias.version.rpartition("/")[2]

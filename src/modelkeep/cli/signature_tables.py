"""How signatures and trusted signers look to people."""

from collections.abc import Iterable

from rich import console as rich_console
from rich import table as rich_table
from rich import text

from modelkeep import client
from modelkeep.cli import grid, references, safe_text, tables, units

_SHOWN_HINT = 16


def signatures(entries: Iterable[client.Signature]) -> rich_table.Table:
    """One line for each signature."""
    rows = [
        (
            tables.cell(one.name.rpartition("/")[2], "bold"),
            tables.cell(*_worth(one)),
            tables.cell(claimed(one)),
            tables.cell(units.exact(one.signed_at)),
            tables.cell(one.actor),
            tables.cell(one.reason, "" if one.trusted else "yellow"),
        )
        for one in entries
    ]
    headings = ("SIGNATURE", "WORTH", "SIGNER", "THERE BY", "ATTACHED BY", "WHY")
    return grid.of(headings, rows, expendable=("ATTACHED BY", "THERE BY"))


def _worth(one: client.Signature) -> tuple[str, str]:
    return ("trusted", "green") if one.trusted else ("not trusted", "yellow")


def claimed(one: client.Signature) -> str:
    """Who signed, as far as that is known: a trusted signer, or what the bundle says."""
    if one.trusted:
        return one.trusted_signer
    if one.identities:
        return ", ".join(one.identities)
    return f"key {one.key_hint[:_SHOWN_HINT]}" if one.key_hint else "unknown key"


def summary(entries: Iterable[client.Signature]) -> text.Text:
    """Who has signed, in one line."""
    shown = list(entries)
    trusted = sorted({one.trusted_signer for one in shown if one.trusted})
    if trusted:
        return tables.cell(f"by {', '.join(trusted)}", "green")
    if shown:
        who = ", ".join(dict.fromkeys(map(claimed, shown)))
        return tables.cell(f"not trusted here: {who}", "yellow")
    return tables.cell("not signed", "dim")


def signers(entries: Iterable[client.TrustedSigner]) -> rich_table.Table:
    """One line for each trusted signer."""
    rows = [
        (
            tables.cell(one.id, "dim" if one.revoked_at else "bold"),
            tables.cell(_known_by(one)),
            tables.cell(units.exact(one.not_before)),
            tables.cell(units.exact(one.not_after)),
            tables.cell(one.actor),
            _revoked(one),
            tables.summary(one.description),
        )
        for one in entries
    ]
    headings = ("SIGNER", "KNOWN BY", "FROM", "UNTIL", "BY", "REVOKED", "DESCRIPTION")
    return grid.of(headings, rows, expendable=("DESCRIPTION", "BY"))


def _known_by(one: client.TrustedSigner) -> str:
    if one.proof.public_key:
        return f"{one.algorithm} {one.key_id[:_SHOWN_HINT]}"
    by = f" by {one.proof.issuer}" if one.proof.issuer else ""
    return f"{one.proof.identity}{by}"


def _revoked(one: client.TrustedSigner) -> text.Text:
    if one.revoked_at is None:
        return tables.cell("")
    since = f", from {units.exact(one.distrusted_from)} on" if one.distrusted_from else ""
    return tables.cell(f"{one.revoke_reason}{since}", "red")


def verdict(found: client.SignatureVerdict) -> rich_console.RenderableType:
    """All signatures, and what they come to."""
    said = [text.Text(references.shown_in(found.sentence), "bold")] if found.is_trusted else []
    drawn = [signatures(found.signatures)] if found.signatures else []
    return rich_console.Group(*drawn, *said)


def checked(what: str, one: client.CheckedSignature) -> text.Text:
    """What was verified here."""
    files = units.count(one.files, "file")
    return text.Text.assemble((safe_text.printable(what), "bold"), f" verified: signed, {files}")

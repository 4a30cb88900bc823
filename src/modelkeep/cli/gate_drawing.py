"""How gate policies, and what became of gates, look to people and to continuous integration."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import console as rich_console
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import grid, junit, output, tables
from modelkeep.cli import markdown as writing


def document(policy: client.GatePolicy) -> dict[str, Any]:
    """A policy for programs: as its file has it, and what only the server knows."""
    return {
        **client.policy_document(policy),
        "actor": policy.actor,
        "updated_at": output.plain(policy.updated_at),
        "etag": policy.etag,
    }


def policies(found: Sequence[client.GatePolicy]) -> Any:
    """One line for each gate, below what its policy says besides."""
    if not found:
        return "no policy: every move that one may make is allowed"
    return rich_console.Group(*(part for one in found for part in _policy(one)))


def _policy(policy: client.GatePolicy) -> list[Any]:
    said = [
        f"inherit: {policy.inherit}" if policy.inherit else "",
        f"four_eyes: {str(policy.four_eyes).lower()}" if policy.four_eyes is not None else "",
        f"displaced: {policy.displaced}" if policy.displaced else "",
        f"lifetime_days: {policy.lifetime_days:g}" if policy.lifetime_days else "",
    ]
    head = tables.cell(f"{policy.owner} before {policy.stage}", "bold")
    head.append_text(tables.cell("  " + "  ".join(part for part in said if part), "dim"))
    rows = [
        (tables.cell(f"  {kind}"), tables.cell(parameters(given)))
        for gate in policy.gates
        for kind, given in gate.items()
    ]
    return [head, *([grid.of(("  GATE", "PARAMETERS"), rows)] if rows else [])]


def parameters(gate: Mapping[str, Any]) -> str:
    """A gate's parameters in one line."""
    return "  ".join(f"{key}={_short(value)}" for key, value in gate.items())


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def report(found: client.GateReport) -> Any:
    """One line for each gate."""
    if not found.verdicts:
        return f"no gates before {found.stage}"
    head = "  ".join((found.version, f"before {found.stage}:", _outcome(found)))
    return rich_console.Group(
        tables.cell(head, "bold green" if found.passed else "bold red"), verdicts(found.verdicts)
    )


def verdicts(found: Iterable[client.GateVerdict]) -> rich_table.Table:
    """One line for each."""
    styles = {"passed": "green", "pending": "yellow", "FAILED": "bold red"}
    rows = [
        (
            tables.cell(_word(one), styles[_word(one)]),
            tables.cell(one.kind),
            tables.cell(one.sentence),
            tables.cell(short_name(one.evidence), "dim"),
        )
        for one in found
    ]
    return grid.of(("GATE", "KIND", "WHAT WAS FOUND", "EVIDENCE"), rows, expendable=("EVIDENCE",))


def _word(verdict: client.GateVerdict) -> str:
    if verdict.passed:
        return "passed"
    return "pending" if verdict.pending else "FAILED"


def _outcome(found: client.GateReport) -> str:
    failed = sum(_word(one) == "FAILED" for one in found.verdicts)
    pending = sum(one.pending for one in found.verdicts)
    if failed:
        return f"{failed} of {len(found.verdicts)} gates not met"
    waits = f", {pending} waits for approvals" if pending else ""
    return f"{len(found.verdicts) - pending} of {len(found.verdicts)} gates met{waits}"


def short_name(name: str) -> str:
    """A resource name as people write it: `acme/voice@1.2.0/evaluations/...`."""
    parts = name.split("/")
    if len(parts) < 6 or parts[4] != "versions":  # noqa: PLR2004 - namespaces/ models/ versions/
        return name
    return f"{parts[1]}/{parts[3]}@{parts[5]}" + "".join(f"/{part}" for part in parts[6:])


def markdown(found: client.GateReport) -> str:
    """The report for a pull request."""
    title = f"### {writing.escaped(found.version)} before {found.stage}: {_outcome(found)}"
    rows = [
        (_word(one), one.kind, one.sentence, short_name(one.evidence)) for one in found.verdicts
    ]
    headings = ("gate", "kind", "what was found", "evidence")
    return f"{title}\n\n{writing.table(headings, rows)}" if rows else title


def cases(found: client.GateReport) -> list[junit.Case]:
    """Each gate as a test; one that waits for approvals was not carried out."""
    group = f"{found.version} before {found.stage}"
    return [
        junit.Case(
            group=group,
            name=f"{n}. {one.kind} {parameters(one.gate)}".rstrip(),
            told=one.sentence,
            failure="gate" if _word(one) == "FAILED" else "",
            skipped=one.pending,
        )
        for n, one in enumerate(found.verdicts, 1)
    ]

"""A deployment sheet as Markdown."""

import datetime
from collections.abc import Iterable, Sequence

from modelkeep.domain import sheets
from modelkeep.domain.sheet_text import NOTHING, block, code, table

_KIB = 1024


def render(sheet: sheets.Sheet) -> str:
    """The sheet as Markdown; whatever people wrote stands in code."""
    parts = [
        _identity(sheet),
        _section("Run it", [*_running(sheet)]),
        _section("Fetch and verify", block("\n".join(sheet.fetch), "sh")),
        _section("Known limitations", _notes(sheet.limitations, "The card names none.")),
        _section("Interface", _interface(sheet)),
        _section("Dependencies", _dependencies(sheet)),
        _section("Hardware", _hardware(sheet)),
        _section("Validation", _validation(sheet)),
        _section("Promotion", _promotion(sheet)),
        _section("Made from", _origins(sheet)),
        _section("Signatures", _signatures(sheet)),
        _section("Files", _files(sheet)),
    ]
    return "\n".join(line for part in parts for line in [*part, ""]).rstrip("\n") + "\n"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *lines] if lines else []


def _facts(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [f"- {name}: {value}" for name, value in rows if value not in {"", NOTHING}]


def _more(listed: sheets.Listed[sheets.T], what: str) -> list[str]:
    return ["", f"{listed.omitted} more {what} are left out."] if listed.omitted else []


def _instant(at: datetime.datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def _size(size_bytes: int) -> str:
    value, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < _KIB:
            break
        value, unit = value / _KIB, larger
    return f"{size_bytes} B" if unit == "B" else f"{value:.1f} {unit} ({size_bytes} B)"


def _files_of(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _identity(sheet: sheets.Sheet) -> list[str]:
    one = sheet.identity
    rows = [
        ("Version", code(one.name)),
        ("Manifest digest", code(one.manifest_digest)),
        ("Kind", code(one.kind)),
        ("Stage", code(one.stage)),
        ("State", code(one.state)),
        ("Quarantined because", code(one.quarantine_reason)),
        ("Aliases", ", ".join(map(code, one.aliases))),
        ("Owner", code(one.owner)),
        ("Made by", f"{code(one.creator)}, {_instant(one.created_at)}"),
        ("Sealed", _instant(one.finalized_at)),
        ("Content", f"{_files_of(one.file_count)}, {_size(one.total_bytes)}"),
        ("Description", code(one.description)),
        *((f"Label {code(label.name)}", code(label.value)) for label in one.labels.entries),
    ]
    warnings = [f"- **Warning**: {code(warning)}" for warning in sheet.warnings]
    return [f"# Deployment sheet: {code(one.ref)}", "", *_facts(rows), *warnings]


def _running(sheet: sheets.Sheet) -> list[str]:
    found = sheet.deployments
    if not found.entries:
        return ["No environment takes it, and it runs nowhere."]
    lines: list[str] = []
    for one in found.entries:
        lines += [f"### {code(one.environment)}", "", *_place(one), ""]
    return [*lines[:-1], *_more(found, "environments")]


def _place(one: sheets.Running) -> list[str]:
    runs = f"since {_instant(one.since)}" if one.deployment else ""
    back = code(one.rollback_to) if one.rollback_to else f"none: {one.why_not}"
    rows = [
        ("Runs there", runs),
        ("Deployment", code(one.deployment)),
        ("Target", code(one.target)),
        ("Deployed by", code(one.deployer)),
        ("Runs there now", code(one.runs_now)),
        ("Rollback goes to", back),
    ]
    return [*_facts(rows), "", *block("\n".join(one.commands), "sh")]


def _notes(notes: Sequence[sheets.Note], otherwise: str) -> list[str]:
    if not notes:
        return [otherwise]
    lines: list[str] = []
    for note in notes:
        lines += [f"From {note.stated_in}:", "", *block(note.text), ""]
    return lines[:-1]


def _interface(sheet: sheets.Sheet) -> list[str]:
    if sheet.prompt is not None:
        return _prompt(sheet.prompt)
    stated = _weights(sheet.weights) if sheet.weights is not None else []
    return stated or ["Nothing is stated."]


def _weights(spec: sheets.Weights) -> list[str]:
    rows = [
        ("Framework", code(f"{spec.framework} {spec.framework_version}")),
        ("Task", code(spec.task)),
        ("Architecture", code(spec.architecture)),
    ]
    lines = _facts(rows)
    for title, tensors in (("Input", spec.inputs), ("Output", spec.outputs)):
        shapes = [(code(t.name), code(t.dtype), code(_shape(t))) for t in tensors.entries]
        lines += ["", *table((title, "Type", "Shape"), shapes), *_more(tensors, "of these")]
    given = [(code(p.name), code(p.value)) for p in spec.parameters.entries]
    lines += ["", *table(("Parameter", "Value"), given), *_more(spec.parameters, "parameters")]
    return _squeezed(lines)


def _shape(tensor: sheets.Tensor) -> str:
    return " x ".join("any" if size < 0 else str(size) for size in tensor.shape)


def _prompt(prompt: sheets.Prompt) -> list[str]:
    rows = [
        ("Hosted model", code(f"{prompt.provider}/{prompt.hosted_model}")),
        ("Variables", ", ".join(map(code, prompt.variables))),
        *((f"Sampling, {pair.name}", code(pair.value)) for pair in prompt.sampling),
        ("Answers", "must satisfy a JSON schema" if prompt.response_schema else ""),
    ]
    messages = [
        (code(m.role), str(m.characters), code(m.beginning)) for m in prompt.messages.entries
    ]
    tools = [(code(tool.name), code(tool.value)) for tool in prompt.tools.entries]
    lines = [
        *_facts(rows),
        "",
        *table(("Message", "Characters", "Begins"), messages),
        *_more(prompt.messages, "messages"),
        "",
        *table(("Tool", "Description"), tools),
        *_more(prompt.tools, "tools"),
    ]
    return _squeezed(lines)


def _squeezed(lines: Sequence[str]) -> list[str]:
    """The lines without empty ones at the ends or after each other."""
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    return kept[:-1] if kept and not kept[-1] else kept


def _dependencies(sheet: sheets.Sheet) -> list[str]:
    found = sheet.dependencies
    if not found.entries:
        return ["None are stated."]
    cells = [
        (code(one.ecosystem), code(one.name), code(one.version), code(one.digest))
        for one in found.entries
    ]
    headings = ("From", "Name", "Version", "Digest")
    return [*table(headings, cells), *_more(found, "dependencies")]


def _hardware(sheet: sheets.Sheet) -> list[str]:
    lines = _notes(sheet.hardware.entries, "Nothing is stated.")
    return [*lines, *_more(sheet.hardware, "notes")]


def _validation(sheet: sheets.Sheet) -> list[str]:
    lines: list[str] = []
    for one in sheet.evaluations.entries:
        lines += ["", *_evaluation(one)]
    if not sheet.evaluations.entries:
        lines = ["No evaluation is recorded."]
    lines += _more(sheet.evaluations, "evaluations")
    reported = [(code(pair.name), code(pair.value)) for pair in sheet.reported_metrics.entries]
    if reported:
        lines += ["", "Reported by whoever made it:", "", *table(("Metric", "Value"), reported)]
        lines += _more(sheet.reported_metrics, "metrics")
    return _squeezed(lines)


def _evaluation(one: sheets.Evaluation) -> list[str]:
    run = f"run {one.run_at:%Y-%m-%d} and recorded by {code(one.recorded_by)}"
    title = f"On {code(one.dataset)} by {code(one.suite)} ({code(one.evaluator)}), {run}:"
    cells = [
        (
            code(figure.name),
            f"{sheets.number(figure.value)} {code(figure.unit)}" if figure.unit
            else sheets.number(figure.value),
            figure.spread or NOTHING,
            NOTHING if figure.sample_count is None else str(figure.sample_count),
            figure.direction,
        )
        for figure in one.figures.entries
    ]  # fmt: skip
    headings = ("Metric", "Value", "Error", "n", "Better")
    return [title, "", *table(headings, cells), *_more(one.figures, "figures")]


def _promotion(sheet: sheets.Sheet) -> list[str]:
    one = sheet.promotion
    if one is None:
        return ["Nobody moved it yet."]
    rows = [
        ("Stage", f"{code(one.stage)} since {_instant(one.moved_at)}"),
        ("Moved by", code(one.moved_by)),
        ("Reason", code(one.reason)),
        ("Transition", code(one.transition)),
        ("Requested by", code(one.requester)),
    ]
    if not one.transition:
        rows.append(("Approvals", "none: it was moved straight"))
    said = [
        (
            code(a.approver),
            "approved" if a.approved else "rejected",
            _instant(a.at),
            code(", ".join(a.roles)),
            code(a.comment),
        )
        for a in one.approvals
    ]
    judged = [
        (code(g.gate), "passed" if g.passed else "**failed**", code(g.sentence), code(g.evidence))
        for g in one.gates
    ]
    lines = [
        *_facts(rows),
        "",
        *table(("Gate", "Verdict", "Why", "Evidence"), judged),
        "",
        *table(("Who", "Verdict", "When", "Roles", "Comment"), said),
    ]
    return _squeezed(lines)


def _origins(sheet: sheets.Sheet) -> list[str]:
    lines = _facts([(f"Source, {pair.name}", code(pair.value)) for pair in sheet.source])
    used = [
        (code(one.name), code(one.revision), one.role or NOTHING, code(one.digest), code(one.uri))
        for one in sheet.datasets.entries
    ]
    headings = ("Dataset", "Revision", "Role", "Digest", "Where")
    lines += ["", *table(headings, used), *_more(sheet.datasets, "datasets")]
    made = [
        (
            code(one.kind),
            code(one.name),
            code(one.revision),
            code(one.relation),
            one.state or NOTHING,
        )
        for one in sheet.lineage.entries
    ]
    headings = ("Kind", "From", "Revision", "How", "State")
    lines += ["", *table(headings, made), *_more(sheet.lineage, "origins")]
    return _squeezed(lines) or ["Nothing is stated."]


def _signatures(sheet: sheets.Sheet) -> list[str]:
    found = sheet.signatures
    if not found.entries:
        return ["It is not signed."]
    cells = [
        (code(one.name), code(one.kind), code(one.verdict), code(one.identity))
        for one in found.entries
    ]
    headings = ("Signature", "Kind", "Verdict", "By")
    return [*table(headings, cells), *_more(found, "signatures")]


def _files(sheet: sheets.Sheet) -> list[str]:
    cells = [
        (code(one.path), _size(one.size_bytes), code(one.content), code(one.digest))
        for one in sheet.files.entries
    ]
    return [*table(("File", "Size", "Content", "Digest"), cells), *_more(sheet.files, "files")]

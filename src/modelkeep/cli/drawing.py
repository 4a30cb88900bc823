"""What `show` draws: one thing with all it says about itself."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich import console as rich_console
from rich import markdown, padding, text

from modelkeep import client
from modelkeep.cli import contents, output, safe_text, signature_tables, tables, units

_Part = rich_console.RenderableType


def version(
    shown: client.Version,
    files: Sequence[client.File],
    signatures: Sequence[client.Signature] | None = None,
) -> _Part:
    """A version: facts, spec, figures, origin, signers, files, card."""
    return rich_console.Group(
        text.Text(shown.ref, "bold"),
        *_section("", tables.pairs((*_facts(shown), *_signed(shown, signatures)))),
        *_spec(shown.spec),
        *_mapping("metrics", {name: f"{value:g}" for name, value in shown.metrics.items()}),
        *_mapping("datasets", {entry.name: _dataset(entry) for entry in shown.datasets}),
        *_mapping("labels", shown.labels),
        *(_section("files", tables.files(files)) if files else []),
        *_mapping("pickles", dict(contents.pickles(files))),
        *(_section("card", _card(shown.card)) if shown.card else []),
    )


def model(
    shown: client.Model, versions: Sequence[client.Version], aliases: Sequence[client.Alias]
) -> _Part:
    """A model: facts, aliases, versions."""
    facts = [
        ("kind", str(shown.kind)),
        ("owner", shown.owner),
        ("risk", _risk(shown)),
        ("created", f"{units.age(shown.created_at)} by {shown.creator}"),
        ("deleted", units.age(shown.deleted_at) if shown.deleted_at else ""),
        ("description", shown.description),
    ]
    return rich_console.Group(
        text.Text(shown.ref, "bold"),
        *_section("", tables.pairs(facts)),
        *_mapping("labels", shown.labels),
        *(_section("aliases", tables.aliases(aliases)) if aliases else []),
        *(_section("versions", tables.versions(versions)) if versions else []),
    )


def _risk(shown: client.Model) -> str:
    """The risk tier, and how often versions are evaluated if the model says so."""
    said = shown.risk_tier is not client.RiskTier.UNSPECIFIED
    days = f"evaluated each {shown.revalidation_days} days" if shown.revalidation_days else ""
    return ", ".join(filter(None, (str(shown.risk_tier) if said else "", days)))


def namespace(shown: client.Namespace, models: Sequence[client.Model]) -> _Part:
    """A namespace: facts, models."""
    facts = [
        ("created", f"{units.age(shown.created_at)} by {shown.creator}"),
        ("pickles", str(shown.pickle_policy)),
        ("description", shown.description),
    ]
    return rich_console.Group(
        text.Text(shown.ref, "bold"),
        *_section("", tables.pairs(facts)),
        *_mapping("labels", shown.labels),
        *(_section("models", tables.models(models)) if models else []),
    )


def _signed(
    shown: client.Version, signatures: Sequence[client.Signature] | None
) -> Iterable[tuple[str, text.Text]]:
    if signatures is not None and shown.state is not client.VersionState.DRAFT:
        yield "signed", signature_tables.summary(signatures)


def _facts(shown: client.Version) -> Iterable[tuple[str, str | text.Text]]:
    yield "state", f"{shown.state}, #{shown.ordinal}"
    if shown.quarantine_reason:
        yield "quarantined", tables.cell(shown.quarantine_reason, "bold red")
    for one in shown.warnings:
        if one.description not in shown.quarantine_reason:  # which tells them all
            yield "warning", tables.cell(one.description, "yellow")
    yield "stage", tables.stage(shown.stage)
    yield "aliases", ", ".join(shown.aliases)
    yield "content", f"{units.count(shown.file_count, 'file')}, {units.size(shown.total_bytes)}"
    yield "digest", shown.manifest_digest
    yield "created", f"{_when(shown.created_at)} by {shown.creator}"
    yield "from", shown.create_client
    yield "sealed", _when(shown.finalized_at) if shown.finalized_at else ""
    yield "deleted", _when(shown.deleted_at) if shown.deleted_at else ""
    yield "source", " @ ".join(filter(None, (shown.source.repository, shown.source.commit)))
    yield "run", shown.source.run
    yield "description", shown.description


def _card(card: str) -> _Part:
    # A pipe gets the Markdown as it is: rendered, it would be as wide as the pipe.
    return (
        markdown.Markdown(safe_text.printable(card)) if output.is_terminal() else tables.cell(card)
    )


def _when(instant: datetime | None) -> str:
    return f"{units.exact(instant)} ({units.age(instant)})"


def _spec(spec: client.ModelSpec | client.PromptSpec | None) -> list[_Part]:
    match spec:
        case client.ModelSpec():
            return _model_spec(spec)
        case client.PromptSpec():
            return _prompt_spec(spec)
        case None:
            return []


def _model_spec(spec: client.ModelSpec) -> list[_Part]:
    base = spec.base
    facts = {
        "framework": f"{spec.framework} {spec.framework_version}".strip(),
        "task": spec.task,
        "architecture": spec.architecture,
        "base": f"{base.version or base.uri} ({base.relation})" if base else "",
    }
    parameters = {name: _scalar(value) for name, value in sorted(spec.parameters.items())}
    return [
        *_mapping("model", {name: value for name, value in facts.items() if value}),
        *_mapping("parameters", parameters),
    ]


def _prompt_spec(spec: client.PromptSpec) -> list[_Part]:
    sampling = spec.sampling
    facts = {
        "hosted model": f"{spec.provider} / {spec.hosted_model}",
        "variables": ", ".join(spec.variables),
        "tools": ", ".join(tool.name for tool in spec.tools),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "stop": ", ".join(map(repr, sampling.stop)) or None,
        "seed": sampling.seed,
    }
    stated = {name: str(value) for name, value in facts.items() if value not in {None, ""}}
    messages = tables.pairs(
        (message.role, tables.cell(message.content)) for message in spec.messages
    )
    return [*_mapping("prompt", stated), *_section("messages", messages)]


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) and not value.strip() else str(value)


def _dataset(entry: client.Dataset) -> str:
    stated = [entry.revision, entry.digest, entry.uri]
    role = [str(entry.role)] if entry.role is not client.DatasetRole.UNSPECIFIED else []
    return "  ".join(part for part in (*stated, *role) if part)


def _mapping(title: str, entries: Mapping[str, str]) -> list[_Part]:
    return _section(title, tables.pairs(entries.items())) if entries else []


def _section(title: str, part: _Part) -> list[_Part]:
    heading: list[_Part] = [text.Text(f"\n{title}", "bold cyan")] if title else []
    return [*heading, padding.Padding(part, (0, 0, 0, 2))]

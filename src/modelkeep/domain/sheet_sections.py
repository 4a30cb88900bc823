"""Sections of a deployment sheet: what a version says about itself, what was measured of it."""

import re
from collections.abc import Sequence

from modelkeep.domain import (
    cards,
    evaluations,
    inspections,
    models,
    names,
    sheets,
    specs,
    versions,
)
from modelkeep.domain.formats import facts

_HARDWARE = re.compile(
    r"(?:^|[^a-z])(hardware|gpus?|vram|cpus?|ram|memory|accelerators?|device|cuda)(?:$|[^a-z])"
)
_HARDWARE_PARTS = ("hardware", "hardware requirements", "compute infrastructure", "requirements")
_LIMITATION_PARTS = (
    "limitations", "known limitations", "limitations and biases", "limitations and bias",
    "bias, risks, and limitations", "bias, risks and limitations", "risks and limitations",
    "out-of-scope use", "out of scope", "known issues", "caveats", "caveats and recommendations",
)  # fmt: skip
"""Headings below which cards say what a model is not good at, Hugging Face's among them."""


def short(name: names.VersionName) -> str:
    """`acme/voice@1.2.0`, as people write it."""
    return f"{name.namespace}/{name.model}@{name.version}"


def identity(version: versions.Version, model: models.Model, most: int) -> sheets.Identity:
    """Which version it is, and how it stands."""
    labels = sorted(version.notes.labels.items())
    return sheets.Identity(
        ref=short(version.name),
        name=str(version.name),
        kind=model.kind.value,
        ordinal=version.ordinal,
        state=version.state.value,
        quarantine_reason=version.quarantine_reason,
        stage=version.stage,
        aliases=version.aliases,
        owner=model.fields.owner,
        creator=version.creator,
        created_at=version.created_at,
        finalized_at=version.finalized_at,
        manifest_digest=version.manifest_digest,
        file_count=version.file_count,
        total_bytes=version.total_bytes,
        description=sheets.cut(version.notes.description or model.fields.description),
        labels=sheets.listed((sheets.Pair(*label) for label in labels), most),
    )


def file(found: inspections.InspectedFile) -> sheets.File:
    """A file, and what is inside."""
    one = found.file
    inside = _inside(found.facts) if found.facts else ""
    return sheets.File(one.path, one.size_bytes, one.digest, one.media_type, inside)


def _inside(found: facts.Facts) -> str:
    parts = [
        found.format if found.format != facts.OTHER else "",
        f"{found.tensor_count} tensors" if found.tensor_count else "",
        f"{found.parameter_count} parameters" if found.parameter_count else "",
        "/".join(sorted(found.dtypes)),
        found.quantisation,
        f"pickle: {found.pickle.verdict}" if found.pickle.found else "",
    ]
    return sheets.cut(", ".join(part for part in parts if part))


def weights(spec: specs.Spec | None, most: int) -> sheets.Weights | None:
    """What is said of weights, an adapter or a pipeline."""
    if not isinstance(spec, specs.ModelSpec):
        return None
    parameters = [
        sheets.Pair(name, sheets.cut(scalar(value)))
        for name, value in sorted(spec.parameters.items())
    ]
    return sheets.Weights(
        framework=spec.framework,
        framework_version=spec.framework_version,
        task=spec.task,
        architecture=spec.architecture,
        inputs=sheets.listed(map(_tensor, spec.inputs), most),
        outputs=sheets.listed(map(_tensor, spec.outputs), most),
        parameters=sheets.listed(parameters, most),
    )


def _tensor(tensor: specs.TensorSpec) -> sheets.Tensor:
    return sheets.Tensor(tensor.name, tensor.dtype, tensor.shape)


def scalar(value: specs.Scalar) -> str:
    """A parameter as text; true and false as JSON has them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def prompt(spec: specs.Spec | None, most: int) -> sheets.Prompt | None:
    """What is said of a prompt configuration."""
    if not isinstance(spec, specs.PromptSpec):
        return None
    messages = [
        sheets.Message(one.role, len(one.content), sheets.cut(one.content, 120))
        for one in spec.messages
    ]
    tools = [sheets.Pair(tool.name, sheets.cut(tool.description, 120)) for tool in spec.tools]
    return sheets.Prompt(
        provider=spec.provider,
        hosted_model=spec.hosted_model,
        variables=spec.variables,
        messages=sheets.listed(messages, most),
        sampling=_sampling(spec.sampling),
        tools=sheets.listed(tools, most),
        response_schema=bool(spec.response_schema),
    )


def _sampling(sampling: specs.Sampling) -> tuple[sheets.Pair, ...]:
    stated = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "stop": ", ".join(map(repr, sampling.stop)) or None,
    }
    return tuple(
        sheets.Pair(name, sheets.cut(str(value)))
        for name, value in stated.items()
        if value is not None
    )


def dependencies(spec: specs.Spec | None, most: int) -> sheets.Listed[sheets.Dependency]:
    """What it needs in order to run, by where that comes from and name."""
    if not isinstance(spec, specs.ModelSpec):
        return sheets.Listed()
    every = [
        sheets.Dependency(one.ecosystem, one.name, one.version, one.digest)
        for one in spec.dependencies
    ]
    every.sort(key=lambda one: (one.ecosystem, one.name, one.version))
    return sheets.listed(every, most)


def hardware(version: versions.Version, most: int) -> sheets.Listed[sheets.Note]:
    """What is stated of the hardware it needs, and where: labels, parameters, the card."""
    notes = [
        sheets.Note("a label of the version", f"{name}: {value}")
        for name, value in sorted(version.notes.labels.items())
        if _HARDWARE.search(name)
    ]
    if isinstance(version.content.spec, specs.ModelSpec):
        notes += [
            sheets.Note("a parameter", sheets.cut(f"{name}: {scalar(value)}"))
            for name, value in sorted(version.content.spec.parameters.items())
            if _HARDWARE.search(name.lower())
        ]
    return sheets.listed([*notes, *_of_card(version.notes.card, _HARDWARE_PARTS)], most)


def limitations(version: versions.Version) -> tuple[sheets.Note, ...]:
    """What the card says that it is not good at."""
    return _of_card(version.notes.card, _LIMITATION_PARTS)


def _of_card(card: str, parts: Sequence[str]) -> tuple[sheets.Note, ...]:
    found = {part: cards.find_part(card, part) for part in parts}
    # A part within a part is there already.
    alone = {
        part: text
        for part, text in found.items()
        if text and not any(text != other and text in other for other in found.values())
    }
    return tuple(
        sheets.Note(f'the part "{part}" of the card', sheets.cut(text, sheets.PART_CHARS))
        for part, text in alone.items()
    )


def datasets(content: specs.Content, most: int) -> sheets.Listed[sheets.Dataset]:
    """The datasets it was made with."""
    every = [
        sheets.Dataset(
            one.name,
            one.revision,
            "" if one.role is specs.DatasetRole.UNSPECIFIED else one.role.value,
            one.digest,
            sheets.cut(one.uri),
        )
        for one in content.datasets
    ]
    return sheets.listed(every, most)


def source(content: specs.Content) -> tuple[sheets.Pair, ...]:
    """The code that made it."""
    one = content.source
    return sheets.pairs([("repository", one.repository), ("commit", one.commit), ("run", one.run)])


def reported(content: specs.Content, most: int) -> sheets.Listed[sheets.Pair]:
    """The figures that its maker reports."""
    figures = [sheets.Pair(one.name, sheets.number(one.value)) for one in content.metrics]
    return sheets.listed(figures, most)


def evaluation(one: evaluations.Evaluation, most: int) -> sheets.Evaluation:
    """An evaluation, with the figures of all examples."""
    return sheets.Evaluation(
        name=str(one.name),
        dataset=str(one.dataset),
        dataset_digest=one.dataset.digest,
        suite=one.suite,
        evaluator=one.evaluator,
        run_at=one.run_at,
        recorded_by=one.actor,
        figures=sheets.listed(map(_figure, one.metrics), most),
    )


def _figure(metric: evaluations.Metric) -> sheets.Figure:
    return sheets.Figure(
        name=metric.name,
        value=metric.value,
        direction=metric.direction.value,
        unit=metric.unit,
        sample_count=metric.sample_count,
        spread=_spread(metric),
    )


def _spread(metric: evaluations.Metric) -> str:
    if metric.standard_error is not None:
        return f"± {sheets.number(metric.standard_error)}"
    if metric.ci_low is not None and metric.ci_high is not None:
        ends = f"{sheets.number(metric.ci_low)} to {sheets.number(metric.ci_high)}"
        return f"{ends} ({metric.ci_level:.0%})"
    return "a proportion" if metric.is_proportion else ""

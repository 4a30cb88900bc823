"""What is in a version, as a bill of materials: CycloneDX 1.6 with a model card."""

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelkeep.domain import evaluations, manifests, packages, provenance, specs, versions

_SPACE = uuid.UUID("6f2d8c1e-3f43-5b0a-9a57-0d6b6c2a9f10")
"""Of our serial numbers, so that equal bills have equal ones."""
_MEDIA_TYPE = re.compile(r"[-+a-z0-9.]+/[-+a-z0-9.]+")
_PREFIX = "sha256:"
_LICENCES = ("license", "licence")
"""Labels that tell a version's licence; an import from a Hugging Face cache sets the first."""

Component = dict[str, Any]
"""A component of the bill."""


def bill(made: provenance.Made, measured: Sequence[evaluations.Evaluation]) -> dict[str, Any]:
    """The bill; plain JSON values that depend on the version and what was measured of it alone.

    Args:
        made: the version with its files.
        measured: its evaluations that nothing supersedes.
    """
    version = made.version
    content = version.content
    datasets = [_dataset(dataset) for dataset in content.datasets]
    needed = list(_unique(_needed(made)))
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": f"{version.finalized_at or version.created_at:%Y-%m-%dT%H:%M:%SZ}",
            "tools": {"components": [{"type": "application", "name": "modelkeep"}]},
            "component": _model(made, measured),
        },
        "components": [*needed, *_unique(datasets)],
        "dependencies": [
            {"ref": str(version.name), "dependsOn": [one["bom-ref"] for one in needed]},
            *({"ref": one["bom-ref"]} for one in needed),
        ],
    }
    return {**document, "serialNumber": _serial(document)}


def _serial(document: Mapping[str, Any]) -> str:
    """A serial number that follows from the content."""
    return f"urn:uuid:{uuid.uuid5(_SPACE, json.dumps(document, sort_keys=True))}"


def _model(made: provenance.Made, measured: Sequence[evaluations.Evaluation]) -> Component:
    version = made.version
    return {
        "type": "machine-learning-model",
        "bom-ref": str(version.name),
        "group": version.name.namespace,
        "name": version.name.model,
        "version": version.name.version,
        **_given(description=version.notes.description),
        "hashes": _hashes(version.manifest_digest),
        **_given(licenses=_licences(version)),
        "properties": _properties(version),
        "modelCard": _card(version, measured),
        **_given(components=[_file(file) for file in made.files]),
        **_given(externalReferences=_references(version)),
    }


def _licences(version: versions.Version) -> list[dict[str, Any]]:
    text = next((version.notes.labels[key] for key in _LICENCES if key in version.notes.labels), "")
    if not text:
        return []
    known = packages.spdx_id(text)
    return [{"license": {"id": known} if known else {"name": text}}]


def _properties(version: versions.Version) -> list[dict[str, str]]:
    spec = version.content.spec
    said = {
        "modelkeep:creator": version.creator,
        "modelkeep:createTime": f"{version.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "modelkeep:ordinal": str(version.ordinal),
        "modelkeep:totalBytes": str(version.total_bytes),
    }
    if isinstance(spec, specs.ModelSpec):
        said["modelkeep:framework"] = f"{spec.framework} {spec.framework_version}".strip()
        said |= {f"modelkeep:parameter:{k}": _text(v) for k, v in sorted(spec.parameters.items())}
    return [{"name": name, "value": value} for name, value in said.items() if value]


def _references(version: versions.Version) -> list[dict[str, Any]]:
    source = version.content.source
    found = [("vcs", source.repository, source.commit), ("build-meta", source.run, "")]
    return [
        {"type": kind, "url": packages.reference(url), **_given(comment=comment)}
        for kind, url, comment in found
        if url
    ]


def _card(version: versions.Version, measured: Sequence[evaluations.Evaluation]) -> dict[str, Any]:
    figures = [*map(_reported, version.content.metrics), *_measured(measured)]
    analysis = {"performanceMetrics": figures} if figures else {}
    parameters = _parameters(version.content)
    return _given(modelParameters=parameters, quantitativeAnalysis=analysis)


def _parameters(content: specs.Content) -> dict[str, Any]:
    datasets = [{"ref": one} for one in dict.fromkeys(map(_dataset_ref, content.datasets))]
    spec = content.spec
    if isinstance(spec, specs.ModelSpec):
        return _given(
            task=spec.task,
            modelArchitecture=spec.architecture,
            datasets=datasets,
            inputs=[{"format": _tensor(one)} for one in spec.inputs],
            outputs=[{"format": _tensor(one)} for one in spec.outputs],
        )
    hosted = f"{spec.provider}/{spec.hosted_model}" if spec else ""
    return _given(modelArchitecture=hosted, datasets=datasets)


def _tensor(tensor: specs.TensorSpec) -> str:
    """`pixels: float32[-1,3,224,224]`."""
    shape = f"[{','.join(map(str, tensor.shape))}]" if tensor.shape else ""
    return f"{tensor.name}: {tensor.dtype}{shape}" if tensor.dtype or shape else tensor.name


def _reported(metric: specs.Metric) -> dict[str, Any]:
    return {"type": metric.name, "value": _text(metric.value), "slice": "reported"}


def _measured(measured: Sequence[evaluations.Evaluation]) -> Iterable[dict[str, Any]]:
    for evaluation in measured:
        for metric in evaluation.metrics:
            where = f"suite={evaluation.suite} dataset={evaluation.dataset}"
            figure: dict[str, Any] = {"type": metric.name, "value": _with_unit(metric)}
            figure["slice"] = f"{where} {metric.slice}".strip()
            if metric.ci_low is not None and metric.ci_high is not None:
                ends = {"lowerBound": _text(metric.ci_low), "upperBound": _text(metric.ci_high)}
                figure |= {"confidenceInterval": ends}
            yield figure


def _with_unit(metric: evaluations.Metric) -> str:
    return f"{_text(metric.value)} {metric.unit}".strip()


def _file(file: manifests.File) -> Component:
    mime = {"mime-type": file.media_type} if _MEDIA_TYPE.fullmatch(file.media_type) else {}
    return {
        "type": "file",
        "bom-ref": f"file:{file.path}",
        "name": file.path,
        **mime,
        "hashes": _hashes(file.digest),
        "properties": [{"name": "modelkeep:sizeBytes", "value": str(file.size_bytes)}],
    }


def _dataset_ref(dataset: specs.DatasetReference) -> str:
    return f"dataset:{dataset.name}@{dataset.revision}"


def _dataset(dataset: specs.DatasetReference) -> Component:
    role = "" if dataset.role is specs.DatasetRole.UNSPECIFIED else dataset.role.value
    contents = {"contents": {"url": packages.reference(dataset.uri)}} if dataset.uri else {}
    return {
        "type": "data",
        "bom-ref": _dataset_ref(dataset),
        "name": dataset.name,
        "version": dataset.revision,
        **_given(hashes=_hashes(dataset.digest)),
        "data": [{"type": "dataset", "name": dataset.name, **contents}],
        **_given(properties=[{"name": "modelkeep:role", "value": role}] if role else []),
    }


def _needed(made: provenance.Made) -> Iterable[Component]:
    spec = made.version.content.spec
    if not isinstance(spec, specs.ModelSpec):
        return
    if spec.base:
        yield _base(spec.base, made.base_digest)
    for dependency in spec.dependencies:
        url = packages.url(dependency)
        yield {
            "type": "library",
            "bom-ref": url,
            "name": dependency.name,
            **_given(version=dependency.version),
            "purl": url,
            **_given(hashes=_hashes(dependency.digest)),
        }


def _base(base: specs.BaseModel, digest: str) -> Component:
    known = base.version or base.uri
    how = "" if base.relation is specs.BaseRelation.UNSPECIFIED else base.relation.value
    website = [{"type": "website", "url": packages.reference(base.uri)}] if base.uri else []
    return {
        "type": "machine-learning-model",
        "bom-ref": f"base:{known}",
        "name": known,
        **_given(hashes=_hashes(digest)),
        **_given(externalReferences=website),
        **_given(properties=[{"name": "modelkeep:relation", "value": how}] if how else []),
    }


def _unique(components: Iterable[Component]) -> Iterable[Component]:
    """Each reference once: a bill may not have one twice. What the first tells counts."""
    found: dict[str, Component] = {}
    for one in components:
        found[one["bom-ref"]] = {**one, **found.get(one["bom-ref"], {})}
    return found.values()


def _hashes(digest: str) -> list[dict[str, str]]:
    if not digest:
        return []
    return [{"alg": "SHA-256", "content": digest.removeprefix(_PREFIX)}]


def _text(value: specs.Scalar) -> str:
    """A scalar as JSON spells it, texts without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}

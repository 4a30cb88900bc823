"""How a version came to be, as an in-toto statement (v1) with an SLSA provenance predicate (v1).

The registry has not built the version: it tells what it was told when the version was made, and
what it verified itself, which are the digests.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib import parse

from modelkeep.domain import errors, manifests, packages, specs, versions

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:modelkeep:build:sealed-version:v1"
BUILDER = "urn:modelkeep:builder:registry"
_GIT_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_WEB = ("https://", "http://", "ssh://")
_PREFIX = "sha256:"

Descriptor = dict[str, Any]
"""An in-toto resource descriptor."""


@dataclass(frozen=True, slots=True)
class Made:
    """A sealed version with all its files.

    Attributes:
        version: what it says about itself.
        files: all of them, by path.
        base_digest: manifest digest of the version it was made from; '' if that is not one.
    """

    version: versions.Version
    files: Sequence[manifests.File]
    base_digest: str = ""


def require_sealed(version: versions.Version) -> None:
    """Raise `errors.FailedPrecondition` unless the version's content is fixed and there."""
    if version.state not in (versions.VersionState.READY, versions.VersionState.QUARANTINED):
        raise errors.FailedPrecondition(
            f"{version.name} is {version.state}; only of a sealed version can that be told",
            reason="VERSION_NOT_SEALED",
            state=version.state,
        )


def statement(made: Made) -> dict[str, Any]:
    """The statement; plain JSON values that depend on the version alone."""
    version = made.version
    files = [{"name": file.path, "digest": _sha256(file.digest)} for file in made.files]
    whole = {"name": str(version.name), "digest": _sha256(version.manifest_digest)}
    return {
        "_type": STATEMENT_TYPE,
        "subject": [whole, *files],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"buildDefinition": _definition(made), "runDetails": _run(version)},
    }


def _definition(made: Made) -> dict[str, Any]:
    version, content = made.version, made.version.content
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": _without_empty(
            version=str(version.name),
            source=_without_empty(
                repository=content.source.repository,
                commit=content.source.commit,
                run=content.source.run,
            ),
            spec=_spec(content.spec),
            reportedMetrics={metric.name: metric.value for metric in content.metrics},
        ),
        # Not the client it was made with: that has a network address, and this travels.
        "internalParameters": {"creator": version.creator, "ordinal": version.ordinal},
        "resolvedDependencies": list(_resolved(made)),
    }


def _run(version: versions.Version) -> dict[str, Any]:
    finished = version.finalized_at or version.created_at
    return {
        "builder": {"id": BUILDER},
        "metadata": {
            "invocationId": version.content.source.run or str(version.name),
            "startedOn": f"{version.created_at:%Y-%m-%dT%H:%M:%SZ}",
            "finishedOn": f"{finished:%Y-%m-%dT%H:%M:%SZ}",
        },
    }


def _spec(spec: specs.Spec | None) -> dict[str, Any]:
    if isinstance(spec, specs.ModelSpec):
        return _without_empty(
            framework=spec.framework,
            frameworkVersion=spec.framework_version,
            task=spec.task,
            architecture=spec.architecture,
            parameters=spec.parameters,
        )
    if spec is None:
        return {}
    sampling = spec.sampling
    given = {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "maxTokens": sampling.max_tokens,
        "seed": sampling.seed,
    }
    known = {name: value for name, value in given.items() if value is not None}
    return _without_empty(provider=spec.provider, hostedModel=spec.hosted_model, sampling=known)


def _resolved(made: Made) -> Iterable[Descriptor]:
    content = made.version.content
    if content.source.repository:
        yield _code(content.source)
    yield from map(_dataset, content.datasets)
    if not isinstance(content.spec, specs.ModelSpec):
        return
    if content.spec.base:
        yield _base(content.spec.base, made.base_digest)
    for dependency in content.spec.dependencies:
        shown = {"name": dependency.name, "uri": packages.url(dependency)}
        yield _with_digest(shown, dependency.digest) | _annotated("dependency")


def _code(source: specs.Source) -> Descriptor:
    repository = source.repository
    uri = f"git+{repository}" if repository.startswith(_WEB) else repository
    shown: Descriptor = {
        "name": "source",
        "uri": f"{uri}@{source.commit}" if source.commit else uri,
    }
    if _GIT_DIGEST.fullmatch(source.commit):
        shown["digest"] = {"gitCommit": source.commit}
    return shown | _annotated("source")


def _dataset(dataset: specs.DatasetReference) -> Descriptor:
    shown = {"name": f"{dataset.name}@{dataset.revision}", "uri": dataset_uri(dataset)}
    role = {} if dataset.role is specs.DatasetRole.UNSPECIFIED else {"role": dataset.role.value}
    return _with_digest(shown, dataset.digest) | _annotated("dataset", **role)


def dataset_uri(dataset: specs.DatasetReference) -> str:
    """Where a dataset is, or what it is called if nobody said."""
    named = f"{parse.quote(dataset.name, safe='')}@{parse.quote(dataset.revision, safe='')}"
    return dataset.uri or f"urn:modelkeep:dataset:{named}"


def _base(base: specs.BaseModel, digest: str) -> Descriptor:
    known = f"urn:modelkeep:version:{base.version}" if base.version else base.uri
    shown = {"name": base.version or base.uri, "uri": known}
    relation = base.relation
    how = {} if relation is specs.BaseRelation.UNSPECIFIED else {"relation": relation.value}
    return _with_digest(shown, digest) | _annotated("base-model", **how)


def _with_digest(shown: Mapping[str, Any], digest: str) -> Descriptor:
    return {**shown, "digest": _sha256(digest)} if digest else dict(shown)


def _annotated(kind: str, **more: str) -> Descriptor:
    return {"annotations": {"kind": kind, **more}}


def _sha256(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix(_PREFIX)}


def _without_empty(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", {}, [])}

"""Crossings of whole requests: every violation of a request is found before any is raised."""

import datetime
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from google.protobuf import message

from modelkeep.domain import (
    aliases,
    bumps,
    checks,
    histories,
    limits,
    manifests,
    models,
    names,
    namespaces,
    pages,
    quotas,
    refs,
    semver,
    specs,
    stages,
    versions,
)
from modelkeep.service import changes
from modelkeep.transport import convert, convert_registry, convert_specs, page_tokens
from modelkeep.v1 import lifecycle_service_pb2
from modelkeep.v1 import registry_service_pb2 as pb

N = TypeVar("N")
_MODEL_FIELDS = frozenset({"owner", "description", "labels"}) | models.RISK_FIELDS
_NAMESPACE_FIELDS = frozenset({"description", "labels", "pickle_policy"}) | quotas.FIELDS


def _once(found: checks.Checks, method: str, request: message.Message) -> changes.Once:
    return found.make("", partial(convert.once_from_wire, method, request))


def create_namespace(
    request: pb.CreateNamespaceRequest,
) -> tuple[changes.Once, names.NamespaceName, namespaces.NamespaceFields]:
    """Arguments of `Namespaces.create`."""
    with checks.Checks() as found:
        once = _once(found, "CreateNamespace", request)
        name = found.make("namespace_id", partial(names.NamespaceName, request.namespace_id))
        fields = found.make(
            "namespace", partial(convert_registry.namespace_fields_from_wire, request.namespace)
        )
    return once, name, fields


def update_namespace(
    request: pb.UpdateNamespaceRequest,
) -> tuple[changes.Once, names.NamespaceName, Mapping[str, Any], str]:
    """Arguments of `Namespaces.update`."""
    with checks.Checks() as found:
        once = _once(found, "UpdateNamespace", request)
        name = found.make(
            "namespace.name", partial(names.NamespaceName.parse, request.namespace.name)
        )
        convert.check_etag(found, "namespace.etag", request.namespace.etag)
        fields = found.make(
            "namespace", partial(convert_registry.namespace_fields_from_wire, request.namespace)
        )
        paths = _mask(found, request, _NAMESPACE_FIELDS)
    return once, name, _chosen(fields, paths), request.namespace.etag


def recount_namespace_usage(
    request: pb.RecountNamespaceUsageRequest,
) -> tuple[changes.Once, names.NamespaceName]:
    """Arguments of `Quotas.recount`."""
    with checks.Checks() as found:
        once = _once(found, "RecountNamespaceUsage", request)
        name = found.make("name", partial(names.NamespaceName.parse, request.name))
    return once, name


def create_model(
    request: pb.CreateModelRequest,
) -> tuple[changes.Once, names.ModelName, models.ModelKind, models.ModelFields]:
    """Arguments of `Models.create`."""
    with checks.Checks() as found:
        once = _once(found, "CreateModel", request)
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        found.id("model_id", request.model_id)
        kind = found.make(
            "model.kind", partial(convert_registry.kind_from_wire, request.model.kind)
        )
        fields = found.make(
            "model", partial(convert_registry.model_fields_from_wire, request.model)
        )
    return once, names.ModelName(parent.namespace, request.model_id), kind, fields


def update_model(
    request: pb.UpdateModelRequest,
) -> tuple[changes.Once, names.ModelName, Mapping[str, Any], str]:
    """Arguments of `Models.update`."""
    with checks.Checks() as found:
        once = _once(found, "UpdateModel", request)
        name = found.make("model.name", partial(names.ModelName.parse, request.model.name))
        convert.check_etag(found, "model.etag", request.model.etag)
        fields = found.make(
            "model", partial(convert_registry.model_fields_from_wire, request.model)
        )
        paths = _mask(found, request, _MODEL_FIELDS)
    return once, name, _chosen(fields, paths), request.model.etag


def move_model(
    request: pb.MoveModelRequest,
) -> tuple[changes.Once, names.ModelName, names.ModelName, str]:
    """Arguments of `Moving.move`."""
    with checks.Checks() as found:
        once = _once(found, "MoveModel", request)
        name = found.make("name", partial(names.ModelName.parse, request.name))
        new = found.make("destination", partial(names.ModelName.parse, request.destination))
        convert.check_etag(found, "etag", request.etag)
    return once, name, new, request.etag


def by_etag(method: str, parse: Callable[[str], N], request: Any) -> tuple[changes.Once, N, str]:
    """Arguments of a mutation that takes a name and an etag, and nothing else."""
    with checks.Checks() as found:
        once = _once(found, method, request)
        name = found.make("name", partial(parse, request.name))
        convert.check_etag(found, "etag", request.etag)
    return once, name, request.etag


def create_version(
    request: pb.CreateVersionRequest,
) -> tuple[changes.Once, names.VersionName | bumps.NextVersion, specs.Content, versions.Notes]:
    """Arguments of `Versions.create`, or of `NextVersions.create` if the number is left to us."""
    with checks.Checks() as found:
        once = _once(found, "CreateVersion", request)
        parent = found.make("parent", partial(names.ModelName.parse, request.parent))
        wanted = found.make("", partial(_wanted, request))
        content = found.make("version", partial(convert_specs.content_from_wire, request.version))
        notes = found.make("version", partial(convert_registry.notes_from_wire, request.version))
    if isinstance(wanted, str):
        return once, names.VersionName(parent.namespace, parent.model, wanted), content, notes
    return once, wanted(parent), content, notes


def _wanted(
    request: pb.CreateVersionRequest,
) -> str | Callable[[names.ModelName], bumps.NextVersion]:
    """The version that is named, or how to ask for the next one of a model."""
    found = checks.Checks()
    if not request.bump:
        found.make("version_id", partial(semver.parse, request.version_id))
        found.require(not request.manifest_digest, "manifest_digest", "goes with bump only")
        found.require(not request.reuse, "reuse", "goes with bump only")
        return found.finish(lambda: request.version_id)
    found.require(not request.version_id, "version_id", "must be empty if bump is set")
    bump = found.make("bump", partial(convert.enum_from_wire, request.bump, convert_registry.BUMPS))
    reuse = found.make(
        "reuse", partial(convert.enum_from_wire, request.reuse, convert_registry.REUSES)
    )
    found.digest("manifest_digest", request.manifest_digest, optional=True)
    return found.finish(
        lambda: lambda model: bumps.NextVersion(model, bump, request.manifest_digest, reuse)
    )


def finalize_version(
    request: pb.FinalizeVersionRequest,
) -> tuple[changes.Once, names.VersionName, manifests.Manifest, str]:
    """Arguments of `Versions.finalize`."""
    with checks.Checks() as found:
        once = _once(found, "FinalizeVersion", request)
        name = found.make("name", partial(names.VersionName.parse, request.name))
        convert.check_etag(found, "etag", request.etag)
        found.size("files", request.files, limits.FILES_PER_VERSION)
        files = found.make_each(
            "files",
            (
                partial(convert_registry.file_from_wire, file)
                for file in request.files[: limits.FILES_PER_VERSION]
            ),
        )
    return once, name, manifests.Manifest.of(files), request.etag


def update_version(
    request: pb.UpdateVersionRequest,
) -> tuple[changes.Once, names.VersionName, Mapping[str, Any], str]:
    """Arguments of `Versions.update`."""
    wire = request.version
    with checks.Checks() as found:
        once = _once(found, "UpdateVersion", request)
        name = found.make("version.name", partial(names.VersionName.parse, wire.name))
        convert.check_etag(found, "version.etag", wire.etag)
        content = found.make("version", partial(convert_specs.content_from_wire, wire))
        notes = found.make("version", partial(convert_registry.notes_from_wire, wire))
        paths = _mask(found, request, versions.OPEN_FIELDS | versions.SEALED_FIELDS)
    changed = {
        path: getattr(content if path in versions.SEALED_FIELDS else notes, path) for path in paths
    }
    return once, name, changed, wire.etag


def resolve_version(
    request: pb.ResolveVersionRequest,
) -> tuple[refs.Ref, datetime.datetime | None]:
    """Arguments of `Versions.resolve`."""
    with checks.Checks() as found:
        ref = found.make("ref", partial(refs.parse, request.ref))
        as_of = (
            found.make("as_of", partial(convert.timestamp_from_wire, request.as_of))
            if request.HasField("as_of")
            else None
        )
    return ref, as_of


def diff_versions(request: pb.DiffVersionsRequest) -> tuple[refs.Ref, refs.Ref, int]:
    """Arguments of `Diffing.diff`, and how many files to list."""
    with checks.Checks() as found:
        before = found.make("from_ref", partial(refs.parse, request.from_ref))
        after = found.make("to_ref", partial(refs.parse, request.to_ref))
        found.require(
            request.max_files >= 0, "max_files", f"is {request.max_files}; expected 0 or more"
        )
    return before, after, min(request.max_files or limits.DIFF_FILES, limits.FILES_PER_VERSION)


def set_alias(
    request: pb.SetAliasRequest,
) -> tuple[changes.Once, aliases.AliasTarget, str]:
    """Arguments of `Aliases.set`, but for `if_absent`."""
    with checks.Checks() as found:
        once = _once(found, "SetAlias", request)
        target = found.make(
            "alias", partial(convert_registry.alias_target_from_wire, request.alias)
        )
    return once, target, request.alias.etag


def delete_alias(
    request: pb.DeleteAliasRequest,
) -> tuple[changes.Once, names.AliasName, str, str]:
    """Arguments of `Aliases.delete`."""
    with checks.Checks() as found:
        once = _once(found, "DeleteAlias", request)
        name = found.make("name", partial(names.AliasName.parse, request.name))
        found.text("reason", request.reason, limits.REASON_CHARS, layout=True)
        convert.check_etag(found, "etag", request.etag)
    return once, name, request.reason, request.etag


def protection(method: str, request: Any) -> tuple[changes.Once, aliases.ProtectionTarget]:
    """Arguments of `Protections.protect` and `Protections.unprotect`."""
    found = checks.Checks()
    once = _once(found, method, request)
    owner = found.make("parent", partial(_owner, request.parent))
    return once, found.finish(
        lambda: aliases.ProtectionTarget(owner, request.pattern, request.reason)
    )


def protections_of(request: pb.ListAliasProtectionsRequest) -> aliases.Owner:
    """Whose protections are asked for."""
    with checks.Checks() as found:
        return found.make("parent", partial(_owner, request.parent))


def _owner(text: str) -> aliases.Owner:
    is_model = "/models/" in text
    return names.ModelName.parse(text) if is_model else names.NamespaceName.parse(text)


def set_stage(
    request: lifecycle_service_pb2.SetStageRequest,
) -> tuple[changes.Once, names.VersionName, stages.StageMove, str]:
    """Arguments of `Lifecycle.set_stage`."""
    with checks.Checks() as found:
        once = _once(found, "SetStage", request)
        name = found.make("name", partial(names.VersionName.parse, request.name))
        move = found.make("", partial(stages.StageMove, request.stage, request.reason))
        convert.check_etag(found, "etag", request.etag)
    return once, name, move, request.etag


def release_version(
    request: lifecycle_service_pb2.ReleaseVersionRequest,
) -> tuple[changes.Once, names.VersionName, str, str]:
    """Arguments of `Lifecycle.release`."""
    with checks.Checks() as found:
        once = _once(found, "ReleaseVersion", request)
        name = found.make("name", partial(names.VersionName.parse, request.name))
        found.text("reason", request.reason, limits.REASON_CHARS, least=1, layout=True)
        convert.check_etag(found, "etag", request.etag)
    return once, name, request.reason, request.etag


def name_of(parse: Callable[[str], N], request: Any) -> N:
    """The name in a Get request."""
    with checks.Checks() as found:
        return found.make("name", partial(parse, request.name))


def history(
    tokens: page_tokens.PageTokens, request: Any
) -> tuple[names.ModelName, histories.Filter, pages.PageRequest]:
    """Model, filter and page of a history."""
    stated = {field.name for field in request.DESCRIPTOR.fields} & {"alias", "stage", "version"}
    with checks.Checks() as found:
        parent = found.make("parent", partial(names.ModelName.parse, request.parent))
        parts = {field: getattr(request, field) for field in stated}
        wanted = found.make("", partial(histories.Filter, **parts))
        page = found.make("", partial(tokens.read, request))
    return parent, wanted, page


def list_within(
    tokens: page_tokens.PageTokens, parse: Callable[[str], N], request: Any
) -> tuple[N, pages.PageRequest]:
    """Parent and page of a List request."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(parse, request.parent))
        page = found.make("", partial(tokens.read, request))
    return parent, page


def _mask(found: checks.Checks, request: Any, allowed: frozenset[str]) -> tuple[str, ...]:
    return found.make("update_mask", partial(convert.mask_from_wire, request.update_mask, allowed))


def _chosen(fields: object, paths: tuple[str, ...]) -> dict[str, Any]:
    return {path: getattr(fields, path) for path in paths}

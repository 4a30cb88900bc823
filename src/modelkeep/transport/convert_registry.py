"""Crossings of namespaces, models, versions, files and aliases."""

from functools import partial

from modelkeep.domain import (
    aliases,
    bumps,
    checks,
    manifests,
    models,
    names,
    namespaces,
    pickle_policies,
    risks,
    versions,
)
from modelkeep.transport import convert, convert_specs
from modelkeep.v1 import compliance_pb2
from modelkeep.v1 import registry_service_pb2 as pb

KINDS: dict[int, models.ModelKind] = {
    pb.MODEL_KIND_MODEL: models.ModelKind.MODEL,
    pb.MODEL_KIND_ADAPTER: models.ModelKind.ADAPTER,
    pb.MODEL_KIND_PIPELINE: models.ModelKind.PIPELINE,
    pb.MODEL_KIND_PROMPT: models.ModelKind.PROMPT,
}
STATES: dict[int, versions.VersionState] = {
    pb.VERSION_STATE_DRAFT: versions.VersionState.DRAFT,
    pb.VERSION_STATE_READY: versions.VersionState.READY,
    pb.VERSION_STATE_QUARANTINED: versions.VersionState.QUARANTINED,
    pb.VERSION_STATE_DELETED: versions.VersionState.DELETED,
    pb.VERSION_STATE_PURGED: versions.VersionState.PURGED,
}
PICKLE_POLICIES: dict[int, pickle_policies.PicklePolicy] = {
    pb.PICKLE_POLICY_ALLOW: pickle_policies.PicklePolicy.ALLOW,
    pb.PICKLE_POLICY_WARN: pickle_policies.PicklePolicy.WARN,
    pb.PICKLE_POLICY_QUARANTINE: pickle_policies.PicklePolicy.QUARANTINE,
}
RISK_TIERS: dict[int, risks.RiskTier] = {
    compliance_pb2.RISK_TIER_UNSPECIFIED: risks.RiskTier.UNCLASSIFIED,
    compliance_pb2.RISK_TIER_LOW: risks.RiskTier.LOW,
    compliance_pb2.RISK_TIER_MEDIUM: risks.RiskTier.MEDIUM,
    compliance_pb2.RISK_TIER_HIGH: risks.RiskTier.HIGH,
    compliance_pb2.RISK_TIER_CRITICAL: risks.RiskTier.CRITICAL,
}
BUMPS: dict[int, bumps.Bump] = {
    pb.VERSION_BUMP_MAJOR: bumps.Bump.MAJOR,
    pb.VERSION_BUMP_MINOR: bumps.Bump.MINOR,
    pb.VERSION_BUMP_PATCH: bumps.Bump.PATCH,
}
REUSES: dict[int, bumps.Reuse] = {
    pb.VERSION_REUSE_UNSPECIFIED: bumps.Reuse.NOTHING,
    pb.VERSION_REUSE_DRAFT: bumps.Reuse.DRAFT,
    pb.VERSION_REUSE_DRAFT_OR_LATEST: bumps.Reuse.DRAFT_OR_LATEST,
}


def kind_from_wire(number: int) -> models.ModelKind:
    """The kind of a new model; not stated means model."""
    return convert.enum_from_wire(number or pb.MODEL_KIND_MODEL, KINDS)


def namespace_fields_from_wire(namespace: pb.Namespace) -> namespaces.NamespaceFields:
    """What a caller says about a namespace."""
    number = namespace.pickle_policy or pb.PICKLE_POLICY_WARN
    found = checks.Checks()
    policy = found.make("pickle_policy", partial(convert.enum_from_wire, number, PICKLE_POLICIES))
    return found.finish(
        lambda: namespaces.NamespaceFields(
            namespace.description,
            dict(namespace.labels),
            policy,
            namespace.stored_bytes_quota,
            namespace.logical_bytes_quota,
            namespace.open_uploads_quota,
        )
    )


def namespace_to_wire(namespace: namespaces.Namespace) -> pb.Namespace:
    """A namespace for the wire."""
    return pb.Namespace(
        name=str(namespace.name),
        description=namespace.fields.description,
        labels=namespace.fields.labels,
        pickle_policy=convert.enum_to_wire(
            namespace.fields.pickle_policy,
            PICKLE_POLICIES,  # type: ignore[arg-type]
        ),
        stored_bytes_quota=namespace.fields.stored_bytes_quota,
        logical_bytes_quota=namespace.fields.logical_bytes_quota,
        open_uploads_quota=namespace.fields.open_uploads_quota,
        creator=namespace.creator,
        create_time=convert.timestamp_to_wire(namespace.created_at),
        update_time=convert.timestamp_to_wire(namespace.updated_at),
        etag=namespace.etag,
    )


def model_fields_from_wire(model: pb.Model) -> models.ModelFields:
    """What a caller says about a model."""
    found = checks.Checks()
    tier = found.make("risk_tier", partial(convert.enum_from_wire, model.risk_tier, RISK_TIERS))
    return found.finish(
        lambda: models.ModelFields(
            model.owner, model.description, dict(model.labels), tier, model.revalidation_days
        )
    )


def model_to_wire(model: models.Model) -> pb.Model:
    """A model for the wire."""
    return pb.Model(
        name=str(model.name),
        kind=convert.enum_to_wire(model.kind, KINDS),  # type: ignore[arg-type]
        owner=model.fields.owner,
        description=model.fields.description,
        labels=model.fields.labels,
        creator=model.creator,
        create_time=convert.timestamp_to_wire(model.created_at),
        update_time=convert.timestamp_to_wire(model.updated_at),
        delete_time=convert.timestamp_to_wire(model.deleted_at),
        last_ordinal=model.last_ordinal,
        etag=model.etag,
        risk_tier=convert.enum_to_wire(model.fields.risk_tier, RISK_TIERS),  # type: ignore[arg-type]
        revalidation_days=model.fields.revalidation_days,
    )


def notes_from_wire(version: pb.Version) -> versions.Notes:
    """Labels, description and card of a version."""
    return versions.Notes(dict(version.labels), version.description, version.card)


def version_to_wire(version: versions.Version) -> pb.Version:
    """A version for the wire."""
    wire = pb.Version(
        name=str(version.name),
        version=version.name.version,
        ordinal=version.ordinal,
        state=convert.enum_to_wire(version.state, STATES),  # type: ignore[arg-type]
        stage=version.stage,
        manifest_digest=version.manifest_digest,
        file_count=version.file_count,
        total_bytes=version.total_bytes,
        labels=version.notes.labels,
        description=version.notes.description,
        card=version.notes.card,
        aliases=version.aliases,
        creator=version.creator,
        create_client=version.create_client,
        create_time=convert.timestamp_to_wire(version.created_at),
        finalize_time=convert.timestamp_to_wire(version.finalized_at),
        update_time=convert.timestamp_to_wire(version.updated_at),
        delete_time=convert.timestamp_to_wire(version.deleted_at),
        etag=version.etag,
        warnings=map(_warning_to_wire, version.warnings),
        quarantine_reason=version.quarantine_reason,
        purge_time=convert.timestamp_to_wire(version.purge_at),
    )
    convert_specs.fill_content(wire, version.content)
    return wire


def _warning_to_wire(warning: versions.VersionWarning) -> pb.VersionWarning:
    return pb.VersionWarning(
        reason=warning.reason,
        description=warning.description,
        paths=warning.paths,
        file_count=warning.file_count,
    )


def file_from_wire(file: pb.File) -> manifests.File:
    """One file of a manifest, or `errors.InvalidArgument`."""
    media_type = file.media_type or "application/octet-stream"
    return manifests.File(file.path, file.digest, file.size_bytes, media_type)


def file_to_wire(file: manifests.File) -> pb.File:
    """One file of a manifest for the wire."""
    return pb.File(
        path=file.path, digest=file.digest, size_bytes=file.size_bytes, media_type=file.media_type
    )


def alias_target_from_wire(alias: pb.Alias) -> aliases.AliasTarget:
    """Where an alias shall point, or `errors.InvalidArgument`."""
    found = checks.Checks()
    name = found.make("name", partial(names.AliasName.parse, alias.name))
    version = found.make("version", partial(names.VersionName.parse, alias.version))
    convert.check_etag(found, "etag", alias.etag)
    return found.finish(lambda: aliases.AliasTarget(name, version, alias.reason))


def alias_to_wire(alias: aliases.Alias) -> pb.Alias:
    """An alias for the wire."""
    return pb.Alias(
        name=str(alias.name),
        version=str(alias.version),
        reason=alias.reason,
        actor=alias.actor,
        set_time=convert.timestamp_to_wire(alias.set_at),
        etag=alias.etag,
        protected=alias.protected,
    )


def protection_to_wire(protection: aliases.Protection) -> pb.AliasProtection:
    """An alias protection for the wire."""
    return pb.AliasProtection(
        parent=str(protection.owner),
        pattern=protection.pattern,
        reason=protection.reason,
        actor=protection.actor,
        protect_time=convert.timestamp_to_wire(protection.protected_at),
    )

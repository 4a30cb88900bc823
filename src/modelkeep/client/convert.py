"""Crossings between the wire and the SDK's own values, except specs (see spec_convert)."""

import enum
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf import message, timestamp_pb2

from modelkeep.client import (
    answers,
    compliance_records,
    facts_convert,
    records,
    spec_convert,
    specs,
)
from modelkeep.v1 import artifact_service_pb2 as artifact_pb
from modelkeep.v1 import compliance_pb2 as compliance_pb
from modelkeep.v1 import registry_service_pb2 as registry_pb

_Enum = TypeVar("_Enum", bound=enum.StrEnum)


def instant_from_wire(owner: message.Message, field: str) -> datetime | None:
    """The instant in the timestamp field of that name, or None if it is not set."""
    if not owner.HasField(field):
        return None
    stamp: timestamp_pb2.Timestamp = getattr(owner, field)
    return answers.instant(stamp)


def instant_to_wire(instant: datetime) -> timestamp_pb2.Timestamp:
    """A timestamp of an aware instant."""
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(instant.astimezone(UTC))
    return stamp


def _member(kind: type[_Enum], owner: message.Message, field: str, prefix: str) -> _Enum:
    """The member of the enum in that field; UNSPECIFIED for one a newer server invented."""
    numbered = owner.DESCRIPTOR.fields_by_name[field].enum_type
    value = numbered.values_by_number.get(getattr(owner, field)) if numbered else None
    word = value.name.removeprefix(prefix).lower() if value else ""
    known = {member.value: member for member in kind}
    return known.get(word, known["unspecified"])


def namespace_from_wire(wire: registry_pb.Namespace) -> records.Namespace:
    """A namespace as the server sent it."""
    return records.Namespace(
        name=wire.name,
        description=wire.description,
        labels=dict(wire.labels),
        creator=wire.creator,
        created_at=instant_from_wire(wire, "create_time"),
        updated_at=instant_from_wire(wire, "update_time"),
        etag=wire.etag,
        pickle_policy=facts_convert.policy_from_wire(wire.pickle_policy),
        stored_bytes_quota=wire.stored_bytes_quota,
        logical_bytes_quota=wire.logical_bytes_quota,
        open_uploads_quota=wire.open_uploads_quota,
    )


def usage_from_wire(wire: registry_pb.NamespaceUsage) -> records.NamespaceUsage:
    """What a namespace takes, as the server sent it."""
    return records.NamespaceUsage(
        name=wire.name,
        stored_bytes=wire.stored_bytes,
        reserved_bytes=wire.reserved_bytes,
        stored_bytes_quota=wire.stored_bytes_quota,
        logical_bytes=wire.logical_bytes,
        logical_bytes_quota=wire.logical_bytes_quota,
        open_uploads=wire.open_uploads,
        open_uploads_quota=wire.open_uploads_quota,
    )


def model_from_wire(wire: registry_pb.Model) -> records.Model:
    """A model as the server sent it."""
    return records.Model(
        name=wire.name,
        kind=_member(records.ModelKind, wire, "kind", "MODEL_KIND_"),
        owner=wire.owner,
        description=wire.description,
        labels=dict(wire.labels),
        creator=wire.creator,
        created_at=instant_from_wire(wire, "create_time"),
        updated_at=instant_from_wire(wire, "update_time"),
        deleted_at=instant_from_wire(wire, "delete_time"),
        last_ordinal=wire.last_ordinal,
        etag=wire.etag,
        risk_tier=risk_tier_from_wire(wire.risk_tier),
        revalidation_days=wire.revalidation_days,
    )


def risk_tier_from_wire(number: int) -> compliance_records.RiskTier:
    """The risk tier of that number; UNSPECIFIED for one a newer server invented."""
    words: dict[int, str] = {
        value: name.removeprefix("RISK_TIER_") for name, value in compliance_pb.RiskTier.items()
    }
    known = {member.value: member for member in compliance_records.RiskTier}
    return known.get(words.get(number, "").lower(), compliance_records.RiskTier.UNSPECIFIED)


def risk_tier_to_wire(tier: compliance_records.RiskTier) -> compliance_pb.RiskTier.ValueType:
    """The wire's number of a risk tier."""
    return compliance_pb.RiskTier.Value(f"RISK_TIER_{tier.upper()}")


def kind_to_wire(kind: records.ModelKind) -> registry_pb.ModelKind.ValueType:
    """The wire's number of a kind."""
    return registry_pb.ModelKind.Value(f"MODEL_KIND_{kind.upper()}")


def version_from_wire(wire: registry_pb.Version) -> records.Version:
    """A version as the server sent it."""
    return records.Version(
        name=wire.name,
        version=wire.version,
        ordinal=wire.ordinal,
        state=_member(records.VersionState, wire, "state", "VERSION_STATE_"),
        stage=wire.stage,
        manifest_digest=wire.manifest_digest,
        file_count=wire.file_count,
        total_bytes=wire.total_bytes,
        spec=spec_convert.spec_from_wire(wire),
        datasets=tuple(spec_convert.dataset_from_wire(dataset) for dataset in wire.datasets),
        metrics={metric.name: metric.value for metric in wire.metrics},
        source=spec_convert.source_from_wire(wire.source),
        labels=dict(wire.labels),
        description=wire.description,
        card=wire.card,
        aliases=tuple(wire.aliases),
        creator=wire.creator,
        create_client=wire.create_client,
        created_at=instant_from_wire(wire, "create_time"),
        finalized_at=instant_from_wire(wire, "finalize_time"),
        updated_at=instant_from_wire(wire, "update_time"),
        deleted_at=instant_from_wire(wire, "delete_time"),
        etag=wire.etag,
        warnings=tuple(map(facts_convert.warning_from_wire, wire.warnings)),
        quarantine_reason=wire.quarantine_reason,
        purge_at=instant_from_wire(wire, "purge_time"),
    )


def version_to_wire(draft: specs.Draft) -> registry_pb.Version:
    """A version message that carries all a maker says."""
    wire = registry_pb.Version(
        datasets=[spec_convert.dataset_to_wire(dataset) for dataset in draft.datasets],
        metrics=[spec_convert.metric_to_wire(*metric) for metric in draft.metrics.items()],
        source=spec_convert.source_to_wire(draft.source),
        labels=dict(draft.labels),
        description=draft.description,
        card=draft.card,
    )
    spec_convert.put_spec(draft.spec, wire)
    return wire


def file_from_wire(wire: registry_pb.File) -> records.File:
    """A file as the server sent it; its path is not checked yet."""
    return records.File(
        path=wire.path,
        digest=wire.digest,
        size_bytes=wire.size_bytes,
        media_type=wire.media_type,
        facts=facts_convert.facts_from_wire(wire),
    )


def file_to_wire(file: records.File) -> registry_pb.File:
    """A file for a manifest."""
    return registry_pb.File(
        path=file.path,
        digest=file.digest,
        size_bytes=file.size_bytes,
        media_type=file.media_type,
    )


def file_check_from_wire(wire: artifact_pb.FileResult) -> records.FileCheck:
    """What a re-reading found of a file, as the server sent it."""
    return records.FileCheck(
        path=wire.path,
        digest=wire.digest,
        size_bytes=wire.size_bytes,
        verdict=_member(records.FileVerdict, wire, "verdict", "FILE_VERDICT_"),
        detail=wire.detail,
    )


def alias_from_wire(wire: registry_pb.Alias) -> records.Alias:
    """An alias as the server sent it."""
    return records.Alias(
        name=wire.name,
        version=wire.version,
        reason=wire.reason,
        actor=wire.actor,
        set_at=instant_from_wire(wire, "set_time"),
        etag=wire.etag,
        protected=wire.protected,
    )


def protection_from_wire(wire: registry_pb.AliasProtection) -> records.AliasProtection:
    """An alias protection as the server sent it."""
    return records.AliasProtection(
        parent=wire.parent,
        pattern=wire.pattern,
        reason=wire.reason,
        actor=wire.actor,
        protected_at=instant_from_wire(wire, "protect_time"),
    )


def upload_from_wire(wire: artifact_pb.Upload) -> records.Upload:
    """An upload as the server sent it."""
    return records.Upload(
        name=wire.name,
        state=_member(records.UploadState, wire, "state", "UPLOAD_STATE_"),
        digest=wire.digest,
        size_bytes=wire.size_bytes,
        part_size_bytes=wire.part_size_bytes,
        persisted_ranges=tuple((part.start, part.end) for part in wire.persisted_ranges),
        creator=wire.creator,
        created_at=instant_from_wire(wire, "create_time"),
        expires_at=instant_from_wire(wire, "expire_time"),
    )


def upload_state_to_wire(state: records.UploadState) -> artifact_pb.UploadState.ValueType:
    """The number of a state."""
    return artifact_pb.UploadState.Value(f"UPLOAD_STATE_{state.name}")


def garbage_from_wire(wire: artifact_pb.GarbageBlob) -> records.GarbageBlob:
    """A blob that may go, as the server sent it."""
    return records.GarbageBlob(
        name=wire.name,
        digest=wire.digest,
        size_bytes=wire.size_bytes,
        reason=_member(records.GarbageReason, wire, "reason", "GARBAGE_REASON_"),
        created_at=instant_from_wire(wire, "create_time"),
        used_at=instant_from_wire(wire, "last_use_time"),
        freed_bytes=wire.freed_bytes,
    )


def capabilities_from_wire(wire: artifact_pb.GetCapabilitiesResponse) -> records.Capabilities:
    """A server's limits."""
    fields = records.Capabilities.__dataclass_fields__
    return records.Capabilities(**{field: getattr(wire, field) for field in fields})

"""The index of a bundle as JSON: written the same for the same content, read with distrust."""

import json
from typing import Any

from google.protobuf import json_format

from modelkeep.client import convert, errors, manifest, paths, records, refs, specs
from modelkeep.client.exchange import (
    bundle_links,
    bundle_records,
    facts,
    incoming,
    json_entries,
    left_behind,
)
from modelkeep.v1 import registry_service_pb2 as pb

_SAID = "said"
_PART = "evaluations"
_BAD = "BAD_BUNDLE"


def encode(
    bundle: bundle_records.Bundle, part: bundle_records.EvaluationsPart | None = None
) -> bytes:
    """The index's bytes: keys sorted, lists in the order of the bundle.

    Args:
        bundle: what to describe.
        part: the member that has its evaluations, if there are any.
    """
    document = {
        "format": bundle_records.FORMAT,
        "format_version": bundle_records.FORMAT_VERSION,
        "model": {
            "name": bundle.name,
            "kind": bundle.kind.value,
            "owner": bundle.owner,
            "description": bundle.description,
            "labels": dict(bundle.labels),
            "creator": bundle.creator,
            "created_at": facts.instant(bundle.created_at),
        },
        "versions": [_version_out(version) for version in bundle.versions],
        "aliases": [_alias_out(alias) for alias in bundle.aliases],
        "alias_history": [_move_out(move, "alias") for move in bundle.alias_history],
        "stage_history": [_move_out(move, "stage") for move in bundle.stage_history],
        "links": [bundle_links.out(link) for link in bundle.links],
        "left_behind": dict(bundle.left_behind),
    }
    if part is not None:
        document[_PART] = {
            "digest": part.digest,
            "size_bytes": part.size_bytes,
            "count": part.count,
        }
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _version_out(version: bundle_records.BundledVersion) -> dict[str, Any]:
    said = convert.version_to_wire(version.draft)
    signed = {"signatures": list(version.signatures)} if version.signatures else {}
    return {
        **signed,
        "version": version.version,
        "ordinal": version.ordinal,
        "stage": version.stage,
        "manifest_digest": version.manifest_digest,
        "creator": version.creator,
        "create_client": version.create_client,
        "created_at": facts.instant(version.created_at),
        "finalized_at": facts.instant(version.finalized_at),
        _SAID: json_format.MessageToDict(said, preserving_proto_field_name=True),
        "files": [
            {
                "path": file.path,
                "digest": file.digest,
                "size_bytes": file.size_bytes,
                "media_type": file.media_type,
            }
            for file in version.files
        ],
    }


def _alias_out(alias: bundle_records.BundledAlias) -> dict[str, Any]:
    return {
        "alias": alias.alias,
        "version": alias.version,
        "actor": alias.actor,
        "reason": alias.reason,
        "set_at": facts.instant(alias.set_at),
    }


def _move_out(move: bundle_records.BundledMove, subject: str) -> dict[str, Any]:
    return {
        subject: move.subject,
        "version": move.version,
        "actor": move.actor,
        "reason": move.reason,
        "begun_at": facts.instant(move.begun_at),
        "ended_at": facts.instant(move.ended_at),
    }


def decode(raw: bytes) -> tuple[bundle_records.Bundle, bundle_records.EvaluationsPart | None]:
    """The bundle that the index describes, and the member that has its evaluations, if any.

    Raises:
        BadSource: it is not such an index, of a version that is not known, or contradicts itself.
    """
    document = json_entries.parse(raw, "The bundle's index", _BAD)
    if document.text("format") != bundle_records.FORMAT:
        raise document.wrong("format", f"is not {bundle_records.FORMAT!r}")
    version = document.whole("format_version")
    if not bundle_records.OLDEST_VERSION <= version <= bundle_records.FORMAT_VERSION:
        raise document.wrong(
            "format_version",
            f"is not one of {bundle_records.OLDEST_VERSION} to {bundle_records.FORMAT_VERSION};"
            " a newer modelkeep may read it",
        )
    bundle = _bundle_in(document, version)
    _check_whole(bundle, document)
    return bundle, _part_in(document) if version > bundle_records.OLDEST_VERSION else None


def _bundle_in(document: json_entries.Entry, version: int) -> bundle_records.Bundle:
    """What an index of that version says; what its format does not have is ignored."""
    has_links = version > bundle_records.OLDEST_VERSION
    model = document.entry("model")
    return bundle_records.Bundle(
        name=_name(model),
        kind=_kind(model),
        owner=model.text("owner"),
        description=model.text("description"),
        labels=model.texts("labels"),
        creator=model.text("creator"),
        created_at=model.instant("created_at"),
        versions=tuple(_version_in(entry) for entry in document.entries("versions")),
        aliases=tuple(_alias_in(entry) for entry in document.entries("aliases")),
        alias_history=_moves_in(document, "alias"),
        stage_history=_moves_in(document, "stage"),
        links=bundle_links.read(document) if has_links else (),
        left_behind=left_behind.read(document) if has_links else {},
        format_version=version,
    )


def _part_in(document: json_entries.Entry) -> bundle_records.EvaluationsPart | None:
    if _PART not in document.fields:
        return None
    entry = document.entry(_PART)
    part = bundle_records.EvaluationsPart(
        digest=entry.digest("digest"),
        size_bytes=entry.whole("size_bytes"),
        count=entry.whole("count"),
    )
    if not 0 < part.count <= bundle_records.MAX_EVALUATIONS:
        raise entry.wrong(
            "count", f"is {part.count}; 1 to {bundle_records.MAX_EVALUATIONS} evaluations are read"
        )
    if part.size_bytes > bundle_records.MAX_EVALUATIONS_BYTES:
        raise entry.wrong(
            "size_bytes",
            f"is {part.size_bytes}; at most {bundle_records.MAX_EVALUATIONS_BYTES} bytes are read",
        )
    return part


def _name(model: json_entries.Entry) -> str:
    try:
        return str(refs.parse_model(model.text("name")))
    except errors.BadReference as bad:
        raise model.wrong("name", "is not the name of a model") from bad


def _kind(model: json_entries.Entry) -> records.ModelKind:
    known = {kind.value: kind for kind in records.ModelKind if kind.value != "unspecified"}
    kind = known.get(model.text("kind"))
    if kind is None:
        raise model.wrong("kind", "is not a kind of model")
    return kind


def _version_in(entry: json_entries.Entry) -> bundle_records.BundledVersion:
    version = bundle_records.BundledVersion(
        version=entry.text("version"),
        ordinal=entry.whole("ordinal"),
        stage=entry.text("stage"),
        manifest_digest=entry.digest("manifest_digest"),
        draft=_draft(entry),
        files=tuple(_file_in(file) for file in entry.entries("files")),
        creator=entry.text("creator"),
        create_client=entry.text("create_client"),
        created_at=entry.instant("created_at"),
        finalized_at=entry.instant("finalized_at"),
        signatures=tuple(entry.listed_texts("signatures")),
    )
    if not refs.Ref("a", "a", version.version).is_exact:
        raise entry.wrong("version", "is not a semantic version")
    if version.stage not in incoming.STAGES:
        raise entry.wrong("stage", "is not a stage")
    _check_files(entry, version)
    return version


def _check_files(entry: json_entries.Entry, version: bundle_records.BundledVersion) -> None:
    try:
        paths.check_all(file.path for file in version.files)
    except errors.BadTree as bad:
        raise entry.wrong("files", bad.message) from bad
    if manifest.digest(version.files) != version.manifest_digest:
        raise entry.wrong("manifest_digest", "is not that of the files listed")


def _draft(entry: json_entries.Entry) -> specs.Draft:
    wire = pb.Version()
    try:
        json_format.ParseDict(entry.entry(_SAID).fields, wire)
    except (json_format.ParseError, ValueError) as bad:  # text that is not UTF-8 is the latter
        raise entry.wrong(_SAID, f"is not what a version may say: {bad}") from bad
    said = convert.version_from_wire(wire)
    return specs.Draft(
        spec=said.spec or specs.ModelSpec(),
        datasets=said.datasets,
        metrics=said.metrics,
        source=said.source,
        labels=said.labels,
        description=said.description,
        card=said.card,
    )


def _file_in(entry: json_entries.Entry) -> records.File:
    return records.File(
        path=entry.text("path"),
        digest=entry.digest("digest"),
        size_bytes=entry.whole("size_bytes"),
        media_type=entry.text("media_type"),
    )


def _alias_in(entry: json_entries.Entry) -> bundle_records.BundledAlias:
    alias = entry.text("alias")
    if not refs.is_id(alias) or refs.is_reserved(alias):
        raise entry.wrong("alias", "cannot be an alias")
    return bundle_records.BundledAlias(
        alias=alias,
        version=entry.text("version"),
        actor=entry.text("actor"),
        reason=entry.text("reason"),
        set_at=entry.instant("set_at"),
    )


def _moves_in(document: json_entries.Entry, subject: str) -> tuple[bundle_records.BundledMove, ...]:
    return tuple(
        bundle_records.BundledMove(
            subject=entry.text(subject),
            version=entry.text("version"),
            actor=entry.text("actor"),
            reason=entry.text("reason"),
            begun_at=entry.instant("begun_at"),
            ended_at=entry.instant("ended_at"),
        )
        for entry in document.entries(f"{subject}_history")
    )


def _check_whole(bundle: bundle_records.Bundle, document: json_entries.Entry) -> None:
    there = [version.version for version in bundle.versions]
    if len(set(there)) != len(there):
        raise document.wrong("versions", "has a version twice")
    if not {alias.version for alias in bundle.aliases} <= set(there):
        raise document.wrong("aliases", "points at a version that is not in the bundle")
    bundle_links.check(bundle, document)
    sizes = bundle.blobs
    for version in bundle.versions:
        for file in version.files:
            if sizes[file.digest] != file.size_bytes:
                raise document.wrong("versions", f"has two sizes for {file.digest}")

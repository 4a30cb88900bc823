"""Crossings of the requests of ProvenanceService."""

import datetime
from functools import partial

from modelkeep.attestation import bundles
from modelkeep.domain import attestations, checks, limits, names, pages
from modelkeep.service import changes
from modelkeep.transport import convert, convert_provenance, page_tokens
from modelkeep.v1 import provenance_service_pb2 as pb


def attach(
    request: pb.AttachSignatureRequest,
) -> tuple[changes.Once, names.VersionName, bytes]:
    """Arguments of `Signatures.attach`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "AttachSignature", request))
        parent = found.make("parent", partial(names.VersionName.parse, request.parent))
        found.require(bool(request.bundle), "bundle", "must not be empty")
        size = len(request.bundle)
        found.require(
            size <= bundles.MAX_BYTES,
            "bundle",
            f"has {size:,} bytes; at most {bundles.MAX_BYTES:,} are taken",
        )
    return once, parent, request.bundle


def listing(
    tokens: page_tokens.PageTokens, request: pb.ListSignaturesRequest
) -> tuple[names.VersionName, pages.PageRequest]:
    """Arguments of `Signatures.list`."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(names.VersionName.parse, request.parent))
        page = found.make("", partial(tokens.read, request))
    return parent, page


def create_signer(
    request: pb.CreateTrustedSignerRequest,
) -> tuple[changes.Once, names.TrustedSignerName, attestations.TrustFields]:
    """Arguments of `Trusting.create`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "CreateTrustedSigner", request))
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        found.id("trusted_signer_id", request.trusted_signer_id)
        fields = found.make(
            "trusted_signer",
            partial(convert_provenance.fields_from_wire, request.trusted_signer),
        )
    name = names.TrustedSignerName(parent.namespace, request.trusted_signer_id)
    return once, name, fields


def list_signers(
    tokens: page_tokens.PageTokens, request: pb.ListTrustedSignersRequest
) -> tuple[names.NamespaceName, pages.PageRequest]:
    """Arguments of `Trusting.list`."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        page = found.make("", partial(tokens.read, request))
    return parent, page


def revoke_signer(
    request: pb.RevokeTrustedSignerRequest,
) -> tuple[changes.Once, names.TrustedSignerName, str, datetime.datetime | None]:
    """Arguments of `Trusting.revoke`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "RevokeTrustedSigner", request))
        name = found.make("name", partial(names.TrustedSignerName.parse, request.name))
        found.text("reason", request.reason, limits.REASON_CHARS, least=1, layout=True)
        since = convert_provenance.instant_from_wire(found, request, "distrust_time")
    return once, name, request.reason, since

"""Calls about whom a namespace trusts."""

from collections.abc import AsyncIterator
from datetime import datetime

from modelkeep.client import (
    calls,
    connection,
    convert,
    refs,
    signature_convert,
    signature_records,
    signatures,
)
from modelkeep.v1 import provenance_service_pb2 as pb


class TrustCalls(signatures.ProvenanceConnection):
    """Trust signers in a namespace, list them, revoke them."""

    async def trust_signer(
        self,
        namespace: str,
        signer_id: str,
        proof: signature_records.SignerProof,
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        description: str = "",
    ) -> signature_records.TrustedSigner:
        """Trust a key or an identity.

        Args:
            namespace: where.
            signer_id: what it is called there.
            proof: what makes signatures theirs.
            not_before: only signatures from this aware instant on count.
            not_after: only signatures up to this aware instant count.
            description: for people.

        Raises:
            InvalidRequest: the key or the certificates cannot be read.
            Refused: there is, or was, a signer of that id.
        """
        signer = pb.TrustedSigner(
            public_key=proof.public_key,
            identity=proof.identity,
            issuer=proof.issuer,
            roots=proof.roots,
            log_key=proof.log_key,
            description=description,
        )
        if not_before is not None:
            signer.not_before_time.CopyFrom(convert.instant_to_wire(not_before))
        if not_after is not None:
            signer.not_after_time.CopyFrom(convert.instant_to_wire(not_after))
        request = pb.CreateTrustedSignerRequest(
            parent=refs.parse_namespace(namespace).namespace_name,
            trusted_signer_id=signer_id,
            trusted_signer=signer,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._provenance.CreateTrustedSigner, request)
        return signature_convert.signer_from_wire(response.trusted_signer)

    def list_trusted_signers(
        self, namespace: str, *, show_revoked: bool = False
    ) -> AsyncIterator[signature_records.TrustedSigner]:
        """Whom a namespace trusts, by id; those that were revoked only if asked for."""
        parent = refs.parse_namespace(namespace).namespace_name

        async def fetch(token: str) -> tuple[list[signature_records.TrustedSigner], str]:
            request = pb.ListTrustedSignersRequest(
                parent=parent,
                page_size=connection.MAX_PAGE_SIZE,
                page_token=token,
                show_revoked=show_revoked,
            )
            page = await self._call(self._provenance.ListTrustedSigners, request)
            found = map(signature_convert.signer_from_wire, page.trusted_signers)
            return list(found), page.next_page_token

        return connection.pages(fetch)

    async def revoke_signer(
        self,
        namespace: str,
        signer_id: str,
        *,
        reason: str,
        distrust_from: datetime | None = None,
    ) -> signature_records.TrustedSigner:
        """Trust a signer no more, for good.

        Args:
            namespace: where.
            signer_id: whom.
            reason: why.
            distrust_from: signatures that were there before this aware instant still count; if it
                is None, none counts any more.
        """
        parent = refs.parse_namespace(namespace).namespace_name
        request = pb.RevokeTrustedSignerRequest(
            name=f"{parent}/trustedSigners/{signer_id}",
            reason=reason,
            request_id=calls.new_request_id(),
        )
        if distrust_from is not None:
            request.distrust_time.CopyFrom(convert.instant_to_wire(distrust_from))
        response = await self._call(self._provenance.RevokeTrustedSigner, request)
        return signature_convert.signer_from_wire(response.trusted_signer)

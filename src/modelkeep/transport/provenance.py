"""ProvenanceService: a table of contents."""

from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.domain import names
from modelkeep.service import usecases
from modelkeep.transport import convert_provenance as crossing
from modelkeep.transport import page_tokens, provenance_requests, requests
from modelkeep.v1 import provenance_service_pb2 as pb
from modelkeep.v1 import provenance_service_pb2_grpc as pb_grpc


class ProvenanceServicer(pb_grpc.ProvenanceServiceServicer):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(self, vouching: usecases.Vouching, tokens: page_tokens.PageTokens) -> None:
        self._signatures = vouching.signatures
        self._trusting = vouching.trusting
        self._provenance = vouching.provenance
        self._tokens = tokens

    async def AttachSignature(
        self, request: pb.AttachSignatureRequest, context: Any
    ) -> pb.AttachSignatureResponse:
        asked = provenance_requests.attach(request)
        judgement = await self._signatures.attach(callers.current(), *asked)
        return pb.AttachSignatureResponse(signature=crossing.judgement_to_wire(judgement))

    async def GetSignature(
        self, request: pb.GetSignatureRequest, context: Any
    ) -> pb.GetSignatureResponse:
        name = requests.name_of(names.SignatureName.parse, request)
        judgement, bundle = await self._signatures.get(callers.current(), name)
        signature = crossing.judgement_to_wire(judgement)
        return pb.GetSignatureResponse(signature=signature, bundle=bundle)

    async def ListSignatures(
        self, request: pb.ListSignaturesRequest, context: Any
    ) -> pb.ListSignaturesResponse:
        asked = provenance_requests.listing(self._tokens, request)
        page = await self._signatures.list(callers.current(), *asked)
        response = pb.ListSignaturesResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.signatures, crossing.judgement_to_wire
        )
        return response

    async def GetSignatureVerdict(
        self, request: pb.GetSignatureVerdictRequest, context: Any
    ) -> pb.GetSignatureVerdictResponse:
        name = requests.name_of(names.VersionName.parse, request)
        verdict = await self._signatures.judge(callers.current(), name)
        return crossing.verdict_to_wire(verdict)

    async def CreateTrustedSigner(
        self, request: pb.CreateTrustedSignerRequest, context: Any
    ) -> pb.CreateTrustedSignerResponse:
        asked = provenance_requests.create_signer(request)
        signer = await self._trusting.create(callers.current(), *asked)
        return pb.CreateTrustedSignerResponse(trusted_signer=crossing.signer_to_wire(signer))

    async def ListTrustedSigners(
        self, request: pb.ListTrustedSignersRequest, context: Any
    ) -> pb.ListTrustedSignersResponse:
        asked = provenance_requests.list_signers(self._tokens, request)
        revoked = request.show_revoked
        page = await self._trusting.list(callers.current(), *asked, revoked=revoked)
        response = pb.ListTrustedSignersResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.trusted_signers, crossing.signer_to_wire
        )
        return response

    async def RevokeTrustedSigner(
        self, request: pb.RevokeTrustedSignerRequest, context: Any
    ) -> pb.RevokeTrustedSignerResponse:
        asked = provenance_requests.revoke_signer(request)
        signer = await self._trusting.revoke(callers.current(), *asked)
        return pb.RevokeTrustedSignerResponse(trusted_signer=crossing.signer_to_wire(signer))

    async def GetProvenanceStatement(
        self, request: pb.GetProvenanceStatementRequest, context: Any
    ) -> pb.GetProvenanceStatementResponse:
        name = requests.name_of(names.VersionName.parse, request)
        statement = await self._provenance.statement(callers.current(), name)
        return pb.GetProvenanceStatementResponse(statement=statement)

    async def GetBillOfMaterials(
        self, request: pb.GetBillOfMaterialsRequest, context: Any
    ) -> pb.GetBillOfMaterialsResponse:
        name = requests.name_of(names.VersionName.parse, request)
        document = await self._provenance.bill(callers.current(), name)
        return pb.GetBillOfMaterialsResponse(document=document)

"""AuditService: a table of contents."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.service import auditing, compliance
from modelkeep.transport import audit_requests, convert_compliance, page_tokens
from modelkeep.transport import convert_audit as crossing
from modelkeep.v1 import audit_service_pb2 as pb
from modelkeep.v1 import audit_service_pb2_grpc as pb_grpc
from modelkeep.v1 import compliance_pb2


class AuditServicer(pb_grpc.AuditServiceServicer):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(
        self,
        log: auditing.Auditing,
        reporting: compliance.Compliance,
        tokens: page_tokens.PageTokens,
    ) -> None:
        self._log = log
        self._compliance = reporting
        self._tokens = tokens

    async def ListAuditEvents(
        self, request: pb.ListAuditEventsRequest, context: Any
    ) -> pb.ListAuditEventsResponse:
        asked = audit_requests.list_events(self._tokens, request)
        page = await self._log.list(callers.current(), *asked, oldest_first=request.oldest_first)
        response = pb.ListAuditEventsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.events, crossing.event_to_wire
        )
        return response

    async def VerifyAuditChain(
        self, request: pb.VerifyAuditChainRequest, context: Any
    ) -> AsyncIterator[pb.VerifyAuditChainResponse]:
        told = self._log.verify(callers.current(), audit_requests.verify(request))
        async with contextlib.aclosing(told):
            async for progress in told:
                yield crossing.progress_to_wire(progress)

    async def ExportAuditEvents(
        self, request: pb.ExportAuditEventsRequest, context: Any
    ) -> AsyncIterator[pb.ExportAuditEventsResponse]:
        sent = self._log.export(callers.current(), *audit_requests.export(request))
        async with contextlib.aclosing(sent):
            async for texts, sequence in sent:
                yield pb.ExportAuditEventsResponse(lines=texts, sequence=sequence)

    async def ListAuditCheckpoints(
        self, request: pb.ListAuditCheckpointsRequest, context: Any
    ) -> pb.ListAuditCheckpointsResponse:
        chain, page = audit_requests.list_checkpoints(self._tokens, request)
        found = await self._log.list_checkpoints(callers.current(), chain, page)
        response = pb.ListAuditCheckpointsResponse()
        response.next_page_token = self._tokens.write(
            request, found, response.checkpoints, crossing.checkpoint_to_wire
        )
        return response

    async def ListAuditKeys(
        self, request: pb.ListAuditKeysRequest, context: Any
    ) -> pb.ListAuditKeysResponse:
        keys = self._log.keys(callers.current())
        return pb.ListAuditKeysResponse(keys=map(crossing.key_to_wire, keys))

    async def GetComplianceReport(
        self, request: compliance_pb2.GetComplianceReportRequest, context: Any
    ) -> compliance_pb2.GetComplianceReportResponse:
        asked = convert_compliance.question_from_wire(self._tokens, request)
        report = await self._compliance.report(callers.current(), *asked)
        response = convert_compliance.report_to_wire(report)
        response.next_page_token = self._tokens.write(
            request, report.page, response.entries, convert_compliance.entry_to_wire
        )
        return response

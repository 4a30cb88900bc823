"""The part of LifecycleService that is about transitions: a table of contents."""

from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.domain import names
from modelkeep.service import committing, transition_verdicts, transitions
from modelkeep.transport import convert_registry, page_tokens, requests
from modelkeep.transport import convert_transitions as crossing
from modelkeep.transport import transition_requests as asking
from modelkeep.v1 import lifecycle_service_pb2 as pb


class TransitionServicer:
    """Turns requests into domain values, calls one service method, turns its answer back."""

    _transitions: transitions.Transitions
    _verdicts: transition_verdicts.TransitionVerdicts
    _committing: committing.Committing
    _tokens: page_tokens.PageTokens

    async def RequestTransition(
        self, request: pb.RequestTransitionRequest, context: Any
    ) -> pb.RequestTransitionResponse:
        asked = asking.request_transition(request)
        made = await self._transitions.request(callers.current(), *asked)
        return pb.RequestTransitionResponse(transition=crossing.transition_to_wire(made))

    async def ApproveTransition(
        self, request: pb.ApproveTransitionRequest, context: Any
    ) -> pb.ApproveTransitionResponse:
        asked = asking.verdict("ApproveTransition", "comment", request, needed=False)
        once, name, comment = asked
        now = await self._verdicts.judge(
            callers.current(), once, name, approved=True, comment=comment
        )
        return pb.ApproveTransitionResponse(transition=crossing.transition_to_wire(now))

    async def RejectTransition(
        self, request: pb.RejectTransitionRequest, context: Any
    ) -> pb.RejectTransitionResponse:
        once, name, reason = asking.verdict("RejectTransition", "reason", request, needed=True)
        now = await self._verdicts.judge(
            callers.current(), once, name, approved=False, comment=reason
        )
        return pb.RejectTransitionResponse(transition=crossing.transition_to_wire(now))

    async def CancelTransition(
        self, request: pb.CancelTransitionRequest, context: Any
    ) -> pb.CancelTransitionResponse:
        asked = asking.verdict("CancelTransition", "reason", request, needed=False)
        now = await self._verdicts.cancel(callers.current(), *asked)
        return pb.CancelTransitionResponse(transition=crossing.transition_to_wire(now))

    async def CommitTransition(
        self, request: pb.CommitTransitionRequest, context: Any
    ) -> pb.CommitTransitionResponse:
        done = await self._committing.commit(callers.current(), *asking.commit(request))
        return pb.CommitTransitionResponse(
            transition=crossing.transition_to_wire(done.transition),
            version=convert_registry.version_to_wire(done.version),
            displaced_version=done.displaced,
        )

    async def GetTransition(
        self, request: pb.GetTransitionRequest, context: Any
    ) -> pb.GetTransitionResponse:
        name = requests.name_of(names.TransitionName.parse, request)
        found = await self._transitions.get(callers.current(), name)
        return pb.GetTransitionResponse(transition=crossing.transition_to_wire(found))

    async def ListTransitions(
        self, request: pb.ListTransitionsRequest, context: Any
    ) -> pb.ListTransitionsResponse:
        asked = asking.listing(self._tokens, request)
        page = await self._transitions.list(callers.current(), *asked)
        response = pb.ListTransitionsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.transitions, crossing.transition_to_wire
        )
        return response

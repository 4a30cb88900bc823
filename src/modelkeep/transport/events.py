"""EventService: a table of contents."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.service import usecases
from modelkeep.transport import convert_events as crossing
from modelkeep.transport import event_requests as requests
from modelkeep.transport import page_tokens
from modelkeep.v1 import event_service_pb2 as pb
from modelkeep.v1 import event_service_pb2_grpc as pb_grpc


class EventServicer(pb_grpc.EventServiceServicer):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(self, happening: usecases.Events, tokens: page_tokens.PageTokens) -> None:
        self._watching = happening.watching
        self._tokens = tokens

    async def Watch(
        self, request: pb.WatchRequest, context: Any
    ) -> AsyncIterator[pb.WatchResponse]:
        sent = self._watching.watch(callers.current(), *requests.watch(request))
        async with contextlib.aclosing(sent):
            async for one in sent:
                yield crossing.watched_to_wire(one)

    async def ListEvents(
        self, request: pb.ListEventsRequest, context: Any
    ) -> pb.ListEventsResponse:
        page = await self._watching.list(
            callers.current(), *requests.list_events(self._tokens, request)
        )
        response = pb.ListEventsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.events, crossing.event_to_wire
        )
        return response

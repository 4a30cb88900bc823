"""EventService: a table of contents."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.domain import names
from modelkeep.service import usecases
from modelkeep.transport import convert_events as crossing
from modelkeep.transport import event_requests, page_tokens, requests
from modelkeep.v1 import event_service_pb2 as pb
from modelkeep.v1 import event_service_pb2_grpc as pb_grpc


class EventServicer(pb_grpc.EventServiceServicer):
    """Turns requests into domain values, calls one service method, turns its answer back."""

    def __init__(self, happening: usecases.Events, tokens: page_tokens.PageTokens) -> None:
        self._watching = happening.watching
        self._webhooks = happening.webhooks
        self._deliveries = happening.deliveries
        self._tokens = tokens

    async def Watch(
        self, request: pb.WatchRequest, context: Any
    ) -> AsyncIterator[pb.WatchResponse]:
        sent = self._watching.watch(callers.current(), *event_requests.watch(request))
        async with contextlib.aclosing(sent):
            async for one in sent:
                yield crossing.watched_to_wire(one)

    async def ListEvents(
        self, request: pb.ListEventsRequest, context: Any
    ) -> pb.ListEventsResponse:
        page = await self._watching.list(
            callers.current(), *event_requests.list_events(self._tokens, request)
        )
        response = pb.ListEventsResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.events, crossing.event_to_wire
        )
        return response

    async def CreateWebhook(
        self, request: pb.CreateWebhookRequest, context: Any
    ) -> pb.CreateWebhookResponse:
        webhook, secret = await self._webhooks.create(
            callers.current(), *event_requests.create_webhook(request)
        )
        return pb.CreateWebhookResponse(webhook=crossing.webhook_to_wire(webhook), secret=secret)

    async def GetWebhook(
        self, request: pb.GetWebhookRequest, context: Any
    ) -> pb.GetWebhookResponse:
        name = requests.name_of(names.WebhookName.parse, request)
        webhook = await self._webhooks.get(callers.current(), name)
        return pb.GetWebhookResponse(webhook=crossing.webhook_to_wire(webhook))

    async def ListWebhooks(
        self, request: pb.ListWebhooksRequest, context: Any
    ) -> pb.ListWebhooksResponse:
        parent, asked = requests.list_within(self._tokens, names.NamespaceName.parse, request)
        page = await self._webhooks.list(callers.current(), parent, asked)
        response = pb.ListWebhooksResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.webhooks, crossing.webhook_to_wire
        )
        return response

    async def UpdateWebhook(
        self, request: pb.UpdateWebhookRequest, context: Any
    ) -> pb.UpdateWebhookResponse:
        webhook = await self._webhooks.update(
            callers.current(), *event_requests.update_webhook(request)
        )
        return pb.UpdateWebhookResponse(webhook=crossing.webhook_to_wire(webhook))

    async def DeleteWebhook(
        self, request: pb.DeleteWebhookRequest, context: Any
    ) -> pb.DeleteWebhookResponse:
        asked = requests.by_etag("DeleteWebhook", names.WebhookName.parse, request)
        await self._webhooks.delete(callers.current(), *asked)
        return pb.DeleteWebhookResponse()

    async def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, context: Any
    ) -> pb.RotateWebhookSecretResponse:
        asked = requests.by_etag("RotateWebhookSecret", names.WebhookName.parse, request)
        webhook, secret = await self._webhooks.rotate_secret(callers.current(), *asked)
        return pb.RotateWebhookSecretResponse(
            webhook=crossing.webhook_to_wire(webhook), secret=secret
        )

    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: Any
    ) -> pb.ListDeliveriesResponse:
        page = await self._deliveries.list(
            callers.current(), *event_requests.list_deliveries(self._tokens, request)
        )
        response = pb.ListDeliveriesResponse()
        response.next_page_token = self._tokens.write(
            request, page, response.deliveries, crossing.delivery_to_wire
        )
        return response

    async def GetDelivery(
        self, request: pb.GetDeliveryRequest, context: Any
    ) -> pb.GetDeliveryResponse:
        name = requests.name_of(names.DeliveryName.parse, request)
        delivery, attempts = await self._deliveries.get(callers.current(), name)
        return pb.GetDeliveryResponse(
            delivery=crossing.delivery_to_wire(delivery),
            attempts=map(crossing.attempt_to_wire, attempts),
        )

    async def RedeliverEvent(
        self, request: pb.RedeliverEventRequest, context: Any
    ) -> pb.RedeliverEventResponse:
        delivery = await self._deliveries.redeliver(
            callers.current(), *event_requests.redeliver_event(request)
        )
        return pb.RedeliverEventResponse(delivery=crossing.delivery_to_wire(delivery))

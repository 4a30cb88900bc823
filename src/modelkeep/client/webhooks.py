"""Calls about webhooks: make them, change them, look at what was delivered."""

from collections.abc import AsyncIterator, Sequence

from modelkeep.client import (
    calls,
    connection,
    event_convert,
    event_records,
    refs,
    webhook_convert,
    webhook_records,
)
from modelkeep.v1 import event_service_pb2 as pb


class WebhookCalls(connection.Connection):
    """Webhooks; their names may be written `acme/0123456789abcdef`."""

    async def create_webhook(
        self,
        namespace: str,
        url: str,
        wanted: event_records.EventFilter | None = None,
        *,
        description: str = "",
    ) -> webhook_records.NewSecret:
        """Have events of a namespace posted to a URL from now on.

        Raises:
            Refused: reason SECRET_KEY_NOT_SET, the server has no key to keep the secret with.
            LimitReached: the namespace has as many as are allowed.
        """
        webhook = pb.Webhook(
            url=url,
            description=description,
            filter=event_convert.filter_to_wire(wanted or event_records.EventFilter()),
        )
        request = pb.CreateWebhookRequest(
            parent=refs.parse_namespace(namespace).namespace_name,
            webhook=webhook,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._events.CreateWebhook, request)
        return webhook_records.NewSecret(
            webhook_convert.webhook_from_wire(response.webhook), response.secret
        )

    async def get_webhook(self, webhook: str) -> webhook_records.Webhook:
        """Read a webhook, or raise NotFound."""
        request = pb.GetWebhookRequest(name=webhook_convert.webhook_name(webhook))
        response = await self._call(self._events.GetWebhook, request)
        return webhook_convert.webhook_from_wire(response.webhook)

    def list_webhooks(self, namespace: str) -> AsyncIterator[webhook_records.Webhook]:
        """A namespace's webhooks by id."""
        parent = refs.parse_namespace(namespace).namespace_name

        async def fetch(token: str) -> tuple[list[webhook_records.Webhook], str]:
            request = pb.ListWebhooksRequest(
                parent=parent, page_size=connection.MAX_PAGE_SIZE, page_token=token
            )
            page = await self._call(self._events.ListWebhooks, request)
            found = [webhook_convert.webhook_from_wire(entry) for entry in page.webhooks]
            return found, page.next_page_token

        return connection.pages(fetch)

    async def update_webhook(
        self,
        webhook: str,
        *,
        url: str | None = None,
        description: str | None = None,
        wanted: event_records.EventFilter | None = None,
        enabled: bool | None = None,
        etag: str = "",
    ) -> webhook_records.Webhook:
        """Change what is given; one that is enabled again goes on where it stopped."""
        changed = pb.Webhook(
            name=webhook_convert.webhook_name(webhook),
            url=url or "",
            description=description or "",
            filter=event_convert.filter_to_wire(wanted or event_records.EventFilter()),
            enabled=bool(enabled),
            etag=etag,
        )
        request = pb.UpdateWebhookRequest(
            webhook=changed,
            update_mask=connection.mask(
                url=url, description=description, filter=wanted, enabled=enabled
            ),
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._events.UpdateWebhook, request)
        return webhook_convert.webhook_from_wire(response.webhook)

    async def delete_webhook(self, webhook: str, *, etag: str = "") -> None:
        """Delete a webhook and its log of deliveries, or raise NotFound."""
        request = pb.DeleteWebhookRequest(
            name=webhook_convert.webhook_name(webhook), etag=etag, request_id=calls.new_request_id()
        )
        await self._call(self._events.DeleteWebhook, request)

    async def rotate_webhook_secret(
        self, webhook: str, *, etag: str = ""
    ) -> webhook_records.NewSecret:
        """Make a new secret; for 24 hours the one before signs, too."""
        request = pb.RotateWebhookSecretRequest(
            name=webhook_convert.webhook_name(webhook), etag=etag, request_id=calls.new_request_id()
        )
        response = await self._call(self._events.RotateWebhookSecret, request)
        return webhook_records.NewSecret(
            webhook_convert.webhook_from_wire(response.webhook), response.secret
        )

    def list_deliveries(
        self, webhook: str, *, states: Sequence[webhook_records.DeliveryState] = ()
    ) -> AsyncIterator[webhook_records.Delivery]:
        """What became of events for a webhook, the newest first; without a state, all."""
        parent = webhook_convert.webhook_name(webhook)
        chosen = [webhook_convert.state_to_wire(state) for state in states]

        async def fetch(token: str) -> tuple[list[webhook_records.Delivery], str]:
            request = pb.ListDeliveriesRequest(
                parent=parent, states=chosen, page_size=connection.MAX_PAGE_SIZE, page_token=token
            )
            page = await self._call(self._events.ListDeliveries, request)
            found = [webhook_convert.delivery_from_wire(entry) for entry in page.deliveries]
            return found, page.next_page_token

        return connection.pages(fetch)

    async def get_delivery(self, delivery: str) -> webhook_records.DeliveryLog:
        """A delivery and the attempts at it, or raise NotFound."""
        request = pb.GetDeliveryRequest(name=webhook_convert.delivery_name(delivery))
        response = await self._call(self._events.GetDelivery, request)
        attempts = tuple(webhook_convert.attempt_from_wire(each) for each in response.attempts)
        return webhook_records.DeliveryLog(
            webhook_convert.delivery_from_wire(response.delivery), attempts
        )

    async def redeliver(self, delivery: str) -> webhook_records.Delivery:
        """Have an event delivered again, or now if it is pending.

        Raises:
            Refused: the webhook is disabled, or the event is gone.
        """
        request = pb.RedeliverEventRequest(
            name=webhook_convert.delivery_name(delivery), request_id=calls.new_request_id()
        )
        response = await self._call(self._events.RedeliverEvent, request)
        return webhook_convert.delivery_from_wire(response.delivery)

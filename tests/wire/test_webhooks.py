"""Webhooks over the wire: what is posted and signed, what goes wrong, and what comes of it."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import grpc
import pytest
import standardwebhooks
from aiohttp import web
from support import receiver as receivers
from support import uploading, wire

from modelkeep import app
from modelkeep import config as configuration
from modelkeep.v1 import event_service_pb2 as pb


@pytest.fixture
async def receiver() -> AsyncIterator[receivers.Receiver]:
    async with receivers.running() as running:
        yield running


@contextlib.asynccontextmanager
async def serving(config: configuration.Config, **settings: Any) -> AsyncIterator[wire.Stubs]:
    async with (
        app.running(receivers.configured(config, **settings)) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        yield wire.Stubs.over(channel)


async def hook(stubs: wire.Stubs, model: str, url: str, **wanted: Any) -> pb.CreateWebhookResponse:
    return await stubs.events.CreateWebhook(
        pb.CreateWebhookRequest(
            parent=model.partition("/models/")[0],
            webhook=pb.Webhook(url=url, filter=pb.EventFilter(**wanted)),
        )
    )


async def deliveries(stubs: wire.Stubs, name: str, *states: int) -> list[pb.Delivery]:
    answer = await stubs.events.ListDeliveries(
        pb.ListDeliveriesRequest(parent=name, states=states, page_size=1000)
    )
    return list(answer.deliveries)


async def shown(stubs: wire.Stubs, name: str) -> pb.Webhook:
    return (await stubs.events.GetWebhook(pb.GetWebhookRequest(name=name))).webhook


async def enable(stubs: wire.Stubs, name: str) -> None:
    await stubs.events.UpdateWebhook(
        pb.UpdateWebhookRequest(
            webhook=pb.Webhook(name=name, enabled=True), update_mask={"paths": ["enabled"]}
        )
    )


async def test_what_fits_is_posted_in_order_signed_and_logged(
    config: configuration.Config, receiver: receivers.Receiver
) -> None:
    async with serving(config) as stubs:
        model = await stubs.new_model()
        version = await stubs.ready(model)
        made = await hook(stubs, model, f"{receiver.url}/in?x=1", actions=["stage.*"])
        assert made.secret.startswith("whsec_")
        await stubs.alias(version.name, "champion")
        await stubs.stage(version.name, "staging", "production")
        first, second = await receiver.until_accepted(2)
        verified = standardwebhooks.Webhook(made.secret).verify(first.raw, first.headers)
        assert verified["type"] == "stage.set"
        assert verified["data"]["resource"] == version.name
        assert verified["data"]["after"]["stage"] == "staging"
        assert second.body["data"]["after"]["stage"] == "production"
        assert first.headers["webhook-id"] != second.headers["webhook-id"]
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(made.secret).verify(first.raw + b" ", first.headers)
        await uploading.until(lambda: receiver.under_way.total() == 0)
        latest, *_ = await settled(stubs, made.webhook.name, pb.DELIVERY_STATE_DELIVERED, 2)
        log = await stubs.events.GetDelivery(pb.GetDeliveryRequest(name=latest.name))
        (attempt,) = log.attempts
        assert (attempt.status, attempt.response, attempt.error) == (200, "thanks", "")
        assert (await shown(stubs, made.webhook.name)).HasField("last_success_time")


async def settled(stubs: wire.Stubs, name: str, state: int, count: int) -> list[pb.Delivery]:
    """Deliveries in this state, once there are so many."""

    async def enough() -> list[pb.Delivery]:
        found = await deliveries(stubs, name, state)
        return found if len(found) >= count else []

    return await eventually(enough)


async def eventually(probe: Callable[[], Awaitable[Any]]) -> Any:
    """The first true answer of the server about what nobody signals."""
    async with asyncio.timeout(20):
        while not (answer := await probe()):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)
    return answer


async def tried(stubs: wire.Stubs, name: str) -> list[pb.Delivery]:
    """All deliveries, once the latest has failed."""

    async def failed() -> list[pb.Delivery]:
        found = await deliveries(stubs, name)
        return found if found and found[0].error else []

    return await eventually(failed)


async def test_the_secret_is_told_once_and_kept_encrypted(
    config: configuration.Config, receiver: receivers.Receiver, database_url: str
) -> None:
    async with serving(config) as stubs:
        model = await stubs.new_model()
        request = pb.CreateWebhookRequest(
            parent=model.partition("/models/")[0],
            webhook=pb.Webhook(url=receiver.url),
            request_id="once",
        )
        made = await stubs.events.CreateWebhook(request)
        assert await stubs.events.CreateWebhook(request) == made  # a retry gets the same answer
        got = await shown(stubs, made.webhook.name)
        assert made.secret not in str(got)
        connection = await asyncpg.connect(database_url)
        for table in ("webhook", "idempotency_key", "audit_event", "event_log"):
            kept = await connection.fetch(f"SELECT t::text FROM {table} t")  # noqa: S608
            raw = made.secret.removeprefix("whsec_")
            assert kept
            assert not any(raw in str(row) for row in kept)
        await connection.close()


async def test_without_a_key_or_with_a_bad_url_nothing_is_made(
    config: configuration.Config,
) -> None:
    async with app.running(config) as endpoint, grpc.aio.insecure_channel(endpoint) as channel:
        stubs = wire.Stubs.over(channel)
        model = await stubs.new_model()
        failure = await wire.failing(hook(stubs, model, "https://example.com/hook"))
        assert (failure.code.name, failure.reason) == ("FAILED_PRECONDITION", "SECRET_KEY_NOT_SET")
        assert "MODELKEEP_SECRET_KEY" in failure.message
        for url in (
            "",
            "example.com",
            "ftp://example.com/",
            "https://user@example.com/",
            "https://example.com/#x",
            "https://exa mple.com/",
            "https://[::1/",
            "https://example.com:99999/",
            "http://example.com/",
            "https://example.com/" + "x" * 2048,
        ):
            failure = await wire.failing(hook(stubs, model, url))
            assert failure.code is grpc.StatusCode.INVALID_ARGUMENT, url
            assert {*failure.fields} == {"webhook.url"}, url


async def test_failures_are_tried_again_in_order_and_hold_up_their_resource_only(
    config: configuration.Config, receiver: receivers.Receiver
) -> None:
    async with serving(config) as stubs:
        model = await stubs.new_model()
        ill, well = [await stubs.ready(model, version) for version in ("1.0.0", "2.0.0")]
        broken = True

        async def picky(message: receivers.Message, _request: web.Request) -> web.StreamResponse:
            ok = not (broken and message.resource == ill.name)
            return web.Response(status=200 if ok else 500)

        receiver.behaviour = picky
        made = await hook(stubs, model, receiver.url, actions=["stage.set"])
        await stubs.stage(ill.name, "staging", "development", "archived")
        await stubs.stage(well.name, "staging", "archived")
        accepted = await receiver.until_accepted(2)
        assert {message.resource for message in accepted} == {well.name}
        await receiver.until_received(6)
        assert {m.body["data"]["after"]["stage"] for m in receiver.received} >= {"staging"}
        pending = await deliveries(stubs, made.webhook.name, pb.DELIVERY_STATE_PENDING)
        assert [bool(one.next_attempt_time.seconds) for one in pending] == [False, False, True]
        assert pending[-1].error == "the receiver answered 500"
        assert (await shown(stubs, made.webhook.name)).HasField("failing_since_time")
        broken = False
        accepted = await receiver.until_accepted(5)
        stages = [m.body["data"]["after"]["stage"] for m in accepted if m.resource == ill.name]
        assert stages == ["staging", "development", "archived"]
        assert receiver.overlaps == 0
        same = [m.headers["webhook-id"] for m in receiver.received if m.resource == ill.name]
        assert len({*same}) == 3  # the id stays over all attempts


async def test_a_receiver_that_hangs_holds_up_neither_others_nor_the_database(
    config: configuration.Config, receiver: receivers.Receiver
) -> None:
    async with serving(config, webhook_timeout_s=1, database_pool_size=2) as stubs:
        model = await stubs.new_model()

        async def hang(message: receivers.Message, _request: web.Request) -> web.StreamResponse:
            if message.path == "/hang":
                await asyncio.Event().wait()
            return web.Response()

        receiver.behaviour = hang
        stuck = await hook(stubs, model, f"{receiver.url}/hang", actions=["version.created"])
        await hook(stubs, model, f"{receiver.url}/fine", actions=["version.created"])
        for number in range(12):
            await stubs.draft(model, f"1.{number}.0")
        accepted = await receiver.until_accepted(12)
        assert {message.path for message in accepted} == {"/fine"}
        await uploading.until(
            lambda: sum(message.path == "/hang" for message in receiver.received) >= 4
        )
        await failing(stubs, stuck.webhook.name)
        failed = [one for one in await deliveries(stubs, stuck.webhook.name) if one.error]
        assert {one.error for one in failed} == {"no answer in time"}


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/"]
)
async def test_redirects_are_not_followed(
    config: configuration.Config, receiver: receivers.Receiver, target: str
) -> None:
    async with serving(config) as stubs:
        model = await stubs.new_model()
        receiver.behaviour = receivers.answering(302, location=target)
        made = await hook(stubs, model, receiver.url, actions=["version.created"])
        await stubs.draft(model)
        await receiver.until_received(3)
        (pending,) = await deliveries(stubs, made.webhook.name)
        assert pending.error == "the receiver answered 302; redirects are not followed"
        log = await stubs.events.GetDelivery(pb.GetDeliveryRequest(name=pending.name))
        assert {(one.status, len(one.response)) for one in log.attempts} == {(302, 1024)}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://0x7f.1:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://169.254.169.254/",
    ],
)
async def test_what_is_not_public_is_not_reached_however_it_is_spelt(
    config: configuration.Config, receiver: receivers.Receiver, url: str
) -> None:
    async with serving(config, allowed="10.99.0.0/16") as stubs:
        model = await stubs.new_model()
        port = receiver.url.rpartition(":")[2]
        made = await hook(stubs, model, url.format(port=port), actions=["version.created"])
        await stubs.draft(model)
        found = await tried(stubs, made.webhook.name)
        assert "is not an address of the public internet" in found[0].error
        assert receiver.received == []


async def test_nothing_but_failure_disables_and_enabling_goes_on_where_it_stopped(
    config: configuration.Config, receiver: receivers.Receiver
) -> None:
    async with serving(config, webhook_disable_after_s=1) as stubs:
        model = await stubs.new_model()
        receiver.behaviour = receivers.answering(500)
        made = await hook(stubs, model, receiver.url, actions=["version.created"])
        name = made.webhook.name
        for number in range(3):
            await stubs.draft(model, f"1.{number}.0")
        await until_disabled(stubs, name)
        disabled = await shown(stubs, name)
        assert "nothing but failure for 0:00:01; last: the receiver answered 500" in (
            disabled.disabled_reason
        )
        listed = await stubs.events.ListEvents(
            pb.ListEventsRequest(
                parent=model.partition("/models/")[0],
                filter=pb.EventFilter(actions=["webhook.disabled"]),
            )
        )
        assert [(one.actor, one.resource) for one in listed.events] == [("system", name)]
        await stubs.draft(model, "2.0.0")
        receiver.behaviour = receivers.fine
        refused = await wire.failing(
            stubs.events.RedeliverEvent(
                pb.RedeliverEventRequest(name=(await deliveries(stubs, name))[0].name)
            )
        )
        assert refused.reason == "WEBHOOK_DISABLED"
        assert receiver.accepted == []
        await enable(stubs, name)
        accepted = await receiver.until_accepted(4)
        versions = {message.resource.rpartition("/")[2] for message in accepted}
        assert versions == {"1.0.0", "1.1.0", "1.2.0", "2.0.0"}
        assert not (await shown(stubs, name)).disabled_reason


async def until_disabled(stubs: wire.Stubs, name: str) -> None:
    async def disabled() -> bool:
        return not (await shown(stubs, name)).enabled

    await eventually(disabled)


async def failing(stubs: wire.Stubs, name: str) -> None:
    async def noted() -> bool:
        return (await shown(stubs, name)).HasField("failing_since_time")

    await eventually(noted)


async def test_a_receiver_that_is_gone_is_not_asked_again(
    config: configuration.Config, receiver: receivers.Receiver
) -> None:
    async with serving(config) as stubs:
        model = await stubs.new_model()
        receiver.behaviour = receivers.answering(410)
        made = await hook(stubs, model, receiver.url, actions=["version.created"])
        await stubs.draft(model)
        await until_disabled(stubs, made.webhook.name)
        assert (await shown(stubs, made.webhook.name)).disabled_reason == (
            "the receiver answered 410 Gone"
        )
        assert len(receiver.received) == 1


async def test_an_event_is_given_up_after_a_while_and_delivered_again_by_hand(
    config: configuration.Config, receiver: receivers.Receiver
) -> None:
    async with serving(config, webhook_give_up_after_s=0.3) as stubs:
        model = await stubs.new_model()
        version = await stubs.ready(model)

        async def dropped(message: receivers.Message, request: web.Request) -> web.StreamResponse:
            if message.body["data"]["after"]["stage"] == "staging":
                request.transport.abort()
            return web.Response()

        receiver.behaviour = dropped
        made = await hook(stubs, model, receiver.url, actions=["stage.set"])
        await stubs.stage(version.name, "staging", "archived")
        (failed,) = await settled(stubs, made.webhook.name, pb.DELIVERY_STATE_FAILED, 1)
        assert failed.error.startswith("given up after")
        (delivered,) = await settled(stubs, made.webhook.name, pb.DELIVERY_STATE_DELIVERED, 1)
        assert delivered.sequence > failed.sequence
        receiver.behaviour = receivers.fine
        await stubs.events.RedeliverEvent(pb.RedeliverEventRequest(name=failed.name))
        both = await settled(stubs, made.webhook.name, pb.DELIVERY_STATE_DELIVERED, 2)
        assert both[-1].name == failed.name
        assert receiver.accepted[-1].sequence == failed.sequence


async def test_during_a_rotation_both_secrets_sign(
    config: configuration.Config, receiver: receivers.Receiver, database_url: str
) -> None:
    async with serving(config) as stubs:
        model = await stubs.new_model()
        made = await hook(stubs, model, receiver.url, actions=["version.created"])
        name = made.webhook.name
        rotated = await stubs.events.RotateWebhookSecret(pb.RotateWebhookSecretRequest(name=name))
        assert rotated.secret != made.secret
        await stubs.draft(model, "1.0.0")
        (message,) = await receiver.until_accepted(1)
        assert message.headers["webhook-signature"].count("v1,") == 2
        for secret in (made.secret, rotated.secret):
            standardwebhooks.Webhook(secret).verify(message.raw, message.headers)
        connection = await asyncpg.connect(database_url)
        await connection.execute("UPDATE webhook SET previous_until = now()")
        await connection.close()
        await stubs.draft(model, "2.0.0")
        message = (await receiver.until_accepted(2))[1]
        standardwebhooks.Webhook(rotated.secret).verify(message.raw, message.headers)
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(made.secret).verify(message.raw, message.headers)


async def test_fields_are_changed_by_mask_and_etag(
    config: configuration.Config, receiver: receivers.Receiver
) -> None:
    async with serving(config) as stubs:
        model = await stubs.new_model()
        made = (await hook(stubs, model, receiver.url)).webhook
        update = pb.UpdateWebhookRequest(
            webhook=pb.Webhook(
                name=made.name, url="https://example.com/", description="d", etag=made.etag
            ),
            update_mask={"paths": ["url", "description"]},
        )
        changed = (await stubs.events.UpdateWebhook(update)).webhook
        assert (changed.url, changed.description, changed.enabled) == (
            "https://example.com/",
            "d",
            True,
        )
        stale = await wire.failing(stubs.events.UpdateWebhook(update))
        assert stale.reason == "STALE_ETAG"
        page = await stubs.events.ListWebhooks(
            pb.ListWebhooksRequest(parent=model.partition("/models/")[0])
        )
        assert list(page.webhooks) == [changed]
        await stubs.events.DeleteWebhook(pb.DeleteWebhookRequest(name=made.name))
        gone = await wire.failing(shown(stubs, made.name))
        assert gone.code is grpc.StatusCode.NOT_FOUND


async def test_a_new_key_encrypts_and_the_old_one_still_opens(
    config: configuration.Config, receiver: receivers.Receiver
) -> None:
    first, second = receivers.KEYS
    async with serving(dataclasses.replace(config)) as stubs:
        model = await stubs.new_model()
        await hook(stubs, model, receiver.url, actions=["version.created"])
    turned = dataclasses.replace(receivers.configured(config), secret_key=(second, first))
    async with app.running(turned) as endpoint, grpc.aio.insecure_channel(endpoint) as channel:
        await wire.Stubs.over(channel).draft(model)
        await receiver.until_accepted(1)
    lost = dataclasses.replace(receivers.configured(config), secret_key=(b"x" * 32,))
    async with app.running(lost) as endpoint, grpc.aio.insecure_channel(endpoint) as channel:
        stubs = wire.Stubs.over(channel)
        await stubs.draft(model, "2.0.0")
        parent = model.partition("/models/")[0]
        listed = await stubs.events.ListWebhooks(pb.ListWebhooksRequest(parent=parent))
        found = await tried(stubs, listed.webhooks[0].name)
        assert "MODELKEEP_SECRET_KEY" in found[0].error
        assert len(receiver.received) == 1

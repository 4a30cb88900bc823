"""A new key encrypts the secrets of all webhooks, and the old one can go."""

import asyncio
import base64
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator

import asyncpg
import grpc
import pytest
from click import testing
from support import planted, wire
from support import receiver as receivers

from modelkeep import app
from modelkeep import config as configuration
from modelkeep.cli import main
from modelkeep.domain import errors
from modelkeep.outbound import sealing
from modelkeep.service import resealing
from modelkeep.storage import database
from modelkeep.storage import webhook_secrets as rows
from modelkeep.v1 import audit_service_pb2 as audit_pb
from modelkeep.v1 import event_service_pb2 as pb

OLD, NEW = receivers.KEYS


@contextlib.asynccontextmanager
async def serving(config: configuration.Config, *keys: bytes) -> AsyncIterator[wire.Stubs]:
    configured = dataclasses.replace(receivers.configured(config), secret_key=keys)
    async with (
        app.running(configured) as endpoint,
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        yield wire.Stubs.over(channel)


async def hooks(stubs: wire.Stubs, model: str, url: str, count: int) -> list[pb.Webhook]:
    made = []
    for _ in range(count):
        answer = await stubs.events.CreateWebhook(
            pb.CreateWebhookRequest(
                parent=model.partition("/models/")[0],
                webhook=pb.Webhook(url=url, filter=pb.EventFilter(actions=["version.created"])),
            )
        )
        planted.plant(answer.secret, "a webhook's secret")
        made.append(answer.webhook)
    return made


async def rotate(stubs: wire.Stubs, hook: pb.Webhook) -> None:
    request = pb.RotateWebhookSecretRequest(name=hook.name)
    planted.plant((await stubs.events.RotateWebhookSecret(request)).secret, "a new secret")


async def resealed(
    config: configuration.Config, *keys: bytes
) -> tuple[int, dict[str, object], str]:
    """Exit code, document and standard error of the command with those keys."""
    environ = {
        "MODELKEEP_DATABASE_URL": config.database_url,
        "MODELKEEP_SECRET_KEY": ",".join(base64.b64encode(key).decode() for key in keys),
    }

    def run() -> testing.Result:
        words = ["admin", "reseal-webhooks", "-o", "json"]
        return testing.CliRunner().invoke(main.modelkeep, words, env=environ)

    ended = await asyncio.to_thread(run)
    return ended.exit_code, json.loads(ended.stdout), ended.stderr


def told(webhooks: int, changed: int, *unreadable: str) -> dict[str, object]:
    return {"webhooks": webhooks, "resealed": changed, "unreadable": list(unreadable)}


async def opened_by(config: configuration.Config, *keys: bytes) -> list[list[bool]]:
    """For each webhook, which of its secrets these keys open."""
    sealer = sealing.Sealer(keys)

    def opens(uid: str, sealed: bytes) -> bool:
        try:
            return bool(sealer.unseal(uid, sealed))
        except errors.FailedPrecondition:
            return False

    connection = await asyncpg.connect(config.database_url)
    try:
        found = await connection.fetch("SELECT * FROM webhook ORDER BY webhook_id")
    finally:
        await connection.close()
    return [
        [opens(row["uid"], one) for one in (row["secret"], row["previous_secret"]) if one]
        for row in found
    ]


async def test_beside_a_server_all_secrets_get_the_new_key_once(
    config: configuration.Config,
) -> None:
    async with receivers.running() as receiver, serving(config, OLD) as stubs:
        model = await stubs.new_model()
        made = await hooks(stubs, model, receiver.url, 3)
        await rotate(stubs, made[1])
    assert await opened_by(config, NEW) == [[False], [False, False], [False]]
    async with receivers.running() as receiver, serving(config, NEW, OLD) as stubs:
        before = (await stubs.events.GetWebhook(pb.GetWebhookRequest(name=made[1].name))).webhook
        assert await resealed(config, NEW, OLD) == (0, told(3, 3), "")
        assert await resealed(config, NEW, OLD) == (0, told(3, 0), "")
        after = (await stubs.events.GetWebhook(pb.GetWebhookRequest(name=made[1].name))).webhook
        assert after == before  # its etag, too
        request = audit_pb.ListAuditEventsRequest(
            parent="namespaces/_registry", actions=["webhook.secrets_resealed"]
        )
        (event,) = (await stubs.audit.ListAuditEvents(request)).events
        assert (event.client, dict(event.after)) == ("modelkeep admin", {"webhooks": 3})
    assert await opened_by(config, NEW) == [[True], [True, True], [True]]


async def test_with_the_old_key_gone_messages_are_signed_as_before(
    config: configuration.Config,
) -> None:
    async with receivers.running() as receiver:
        async with serving(config, OLD) as stubs:
            model = await stubs.new_model()
            await hooks(stubs, model, receiver.url, 1)
        assert (await resealed(config, NEW, OLD))[0] == 0
        async with serving(config, NEW) as stubs:
            await stubs.draft(model)
            await receiver.until_accepted(1)


async def test_secrets_that_no_key_opens_are_named_and_stay(config: configuration.Config) -> None:
    async with receivers.running() as receiver:
        async with serving(config, OLD) as stubs:
            model = await stubs.new_model()
            (lost,) = await hooks(stubs, model, receiver.url, 1)
        async with serving(config, NEW) as stubs:
            await hooks(stubs, model, receiver.url, 1)
    third = b"t" * 32
    code, document, said = await resealed(config, third, NEW)
    name = lost.name.removeprefix("namespaces/").replace("/webhooks/", "/")
    assert (code, document) == (1, told(2, 1, name))
    assert said.startswith(f"error: None of the keys opens the secrets of {name}.")
    assert await opened_by(config, OLD, third) == [[True], [True]]


async def test_what_was_done_before_an_interruption_stays_done(
    config: configuration.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receivers.running() as receiver, serving(config, OLD) as stubs:
        await hooks(stubs, await stubs.new_model(), receiver.url, 5)
    db = await database.Database.open(config.database_url, 1)
    pages = 0
    plainly = rows.lock_page

    async def breaking(*asked: object) -> object:
        nonlocal pages
        pages += 1
        if pages == 3:
            raise errors.Unavailable("the database is away")
        return await plainly(*asked)  # type: ignore[arg-type]

    try:
        monkeypatch.setattr(rows, "lock_page", breaking)
        with pytest.raises(errors.Unavailable):
            await resealing.reseal(db, sealing.Sealer([NEW, OLD]), 2)
        assert await opened_by(config, NEW) == [[True]] * 4 + [[False]]
        done = await resealing.reseal(db, sealing.Sealer([NEW, OLD]), 2)
        assert (done.webhooks, done.changed) == (5, 1)
    finally:
        await db.close()
    assert await opened_by(config, NEW) == [[True]] * 5


async def test_a_secret_that_signs_no_more_is_forgotten(config: configuration.Config) -> None:
    async with receivers.running() as receiver, serving(config, OLD) as stubs:
        (hook,) = await hooks(stubs, await stubs.new_model(), receiver.url, 1)
        await rotate(stubs, hook)
    connection = await asyncpg.connect(config.database_url)
    try:
        await connection.execute("UPDATE webhook SET previous_until = now() - interval '1 s'")
    finally:
        await connection.close()
    assert await resealed(config, OLD) == (0, told(1, 1), "")
    assert await opened_by(config, OLD) == [[True]]


async def test_without_keys_it_says_what_to_set(config: configuration.Config) -> None:
    for environ, said in (
        ({}, "not set: MODELKEEP_SECRET_KEY"),
        ({"MODELKEEP_SECRET_KEY": "c2hvcnQ="}, "expected 32 bytes in base64"),
    ):
        known = {"MODELKEEP_DATABASE_URL": config.database_url, **environ}
        words = ["admin", "reseal-webhooks"]
        ended = testing.CliRunner().invoke(main.modelkeep, words, env=known)
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert said in ended.stderr
        assert "c2hvcnQ=" not in ended.stderr

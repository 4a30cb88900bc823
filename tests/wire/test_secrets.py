"""Secrets that were planted on purpose: in what servers log, in errors, and in representations.

`tests/conftest.py` searches the output of every other test for the secrets of the session as well.
"""

import base64
import dataclasses
import random
from pathlib import Path

import grpc
import pytest
from support import planted, server_process, wire

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.authz import identity
from modelkeep.blobs import s3_connection
from modelkeep.domain import access, signatures
from modelkeep.outbound import sealing
from modelkeep.v1 import event_service_pb2 as event_pb
from modelkeep.v1 import registry_service_pb2 as pb

KEY = base64.b64encode(random.Random(5).randbytes(32)).decode()
SIGNING = base64.b64encode(random.Random(6).randbytes(32)).decode()
PASSWORD = "a-database-password-nobody-has"
STORE_KEY = "a-store-key-nobody-has"
URL_SECRET = "a-secret-within-a-receivers-url"


@pytest.fixture(autouse=True)
def _planting() -> None:
    for secret in (KEY, SIGNING, PASSWORD, STORE_KEY, URL_SECRET):
        planted.plant(secret, "planted by test_secrets")


async def test_a_server_that_says_all_it_can_says_no_secret(
    config: configuration.Config, tmp_path: Path
) -> None:
    log = tmp_path / "server.log"
    settings = {
        "MODELKEEP_LOG_LEVEL": "debug",
        "MODELKEEP_SECRET_KEY": KEY,
        "MODELKEEP_AUDIT_SIGNING_KEY": SIGNING,
    }
    async with (
        server_process.logged(config, log, **settings) as (_, endpoint),
        grpc.aio.insecure_channel(endpoint) as channel,
    ):
        stubs = wire.Stubs.over(channel)
        model = await stubs.new_model()
        hook = event_pb.Webhook(url=f"https://192.0.2.1/{URL_SECRET}?key={URL_SECRET}")
        made = await stubs.events.CreateWebhook(
            event_pb.CreateWebhookRequest(parent=model.partition("/models/")[0], webhook=hook)
        )
        webhook_secret = planted.plant(made.secret, "a webhook's secret")
        rotated = await stubs.events.RotateWebhookSecret(
            event_pb.RotateWebhookSecretRequest(name=made.webhook.name)
        )
        planted.plant(rotated.secret, "a webhook's new secret")
        failures = [await _refused(stubs, f"Bearer {bad}") for bad in _bad_tokens()]
    said = log.read_text(errors="replace")
    assert "CreateWebhook" in said
    assert webhook_secret in planted.known()
    assert not planted.found_in(said)
    assert not planted.found_in("".join(failures))


def _bad_tokens() -> list[str]:
    real = planted.plant(access.new_secret().text, "a token that nobody was given")
    return [real, real[:-1] + "x", planted.plant("eyJhbGciOiJub25lIn0.e30.", "a JWT"), "x" * 4000]


async def _refused(stubs: wire.Stubs, header: str) -> str:
    call = stubs.registry.ListNamespaces(
        pb.ListNamespacesRequest(), metadata=(("authorization", header),)
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
    return f"{raised.value.details()} {raised.value.trailing_metadata()}"


async def test_a_server_that_cannot_start_says_why_without_the_password(
    config: configuration.Config,
) -> None:
    user, _, rest = config.database_url.partition("@")
    wrong = f"{user.rpartition(':')[0]}:{PASSWORD}@{rest}"
    for broken in (
        dataclasses.replace(config, database_url=wrong),
        dataclasses.replace(config, database_url=wrong.replace("postgresql://", "postgresql:/")),
        dataclasses.replace(config, s3_secret_key=STORE_KEY),
        dataclasses.replace(config, s3_endpoint="127.0.0.1:1", s3_secret_key=STORE_KEY),
    ):
        ended = await server_process.refused(broken)
        assert ended.returncode != 0
        said = ended.stdout + ended.stderr
        assert said
        assert not planted.found_in(said), said
        assert PASSWORD not in said


async def test_a_misread_setting_is_named_and_a_secret_one_not_shown(
    config: configuration.Config,
) -> None:
    bad = planted.plant("not-base64-but-secret-all-the-same", "a key that is none")
    for name in ("MODELKEEP_SECRET_KEY", "MODELKEEP_AUDIT_SIGNING_KEY"):
        ended = await server_process.refused(config, **{name: bad})
        assert name in ended.stderr
        assert not planted.found_in(ended.stderr)


async def test_nothing_that_holds_a_secret_shows_it() -> None:
    token = access.new_secret()
    shown = [
        token,
        identity.Presented(bearer=token.text),
        s3_connection.S3Settings(
            endpoint="h:1",
            access_key="k",
            secret_key=STORE_KEY,
            bucket="b",
            region="r",
            secure=False,
        ),
        sealing.Sealer((base64.b64decode(KEY),)),
        client.Credentials(token=token.text),
        client.connect("127.0.0.1:1", credentials=client.Credentials(token=token.text)),
        configuration.from_environ(
            {
                "MODELKEEP_DATABASE_URL": f"postgresql://u:{PASSWORD}@h/d",
                "MODELKEEP_S3_ENDPOINT": "h:1",
                "MODELKEEP_S3_ACCESS_KEY": "k",
                "MODELKEEP_S3_SECRET_KEY": STORE_KEY,
                "MODELKEEP_SECRET_KEY": KEY,
                "MODELKEEP_AUDIT_SIGNING_KEY": SIGNING,
            }
        ),
    ]
    for one in shown:
        assert not planted.found_in(f"{one!r} {one!s} {vars(type(one)).get('__doc__')}"), one


def test_the_search_finds_what_it_should() -> None:
    secret = planted.plant(signatures.new_secret(), "a secret/with+odd signs")
    assert planted.found_in(f"x {secret} y")
    assert not planted.found_in("x y")
    assert planted.plant("short", "too short") == "short"
    assert "short" not in planted.known()

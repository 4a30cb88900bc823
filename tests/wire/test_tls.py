"""A real server over TLS: certificates renewed under way, clients known by theirs, tokens."""

import asyncio
import contextlib
import dataclasses
import datetime
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
import urllib3
from cryptography import x509
from prometheus_client import parser
from support import pki, server_process, token_issuer, uploading, wire

from modelkeep import app, client, ways_in
from modelkeep import config as configuration
from modelkeep.domain import errors
from modelkeep.local import ports
from modelkeep.transport import tls
from modelkeep.v1 import event_service_pb2 as events_pb
from modelkeep.v1 import registry_service_pb2 as pb

AUTHORITY = pki.authority()
KEY = token_issuer.rsa_key()
TRAINER = [x509.UniformResourceIdentifier("spiffe://prod/ns/ci/sa/trainer")]
RULES = "URI:spiffe://prod/ns/ci/sa/trainer=service:trainer,DNS:ci.example.com=service:ci"


@pytest.fixture
def secure(config: configuration.Config, tmp_path: Path) -> configuration.Config:
    """The configuration of a server that speaks TLS."""
    certificate, key = AUTHORITY.issue().write(tmp_path, "server")
    return dataclasses.replace(config, tls_cert_file=str(certificate), tls_key_file=str(key))


def asking(config: configuration.Config, tmp_path: Path, **settings: Any) -> configuration.Config:
    """The same, which asks clients for a certificate, and lets nobody in without credentials."""
    usual = {
        "tls_client_ca_file": str(AUTHORITY.write_ca(tmp_path, "clients")),
        "tls_client_auth": "required",
        "mtls_principals": RULES,
        "anonymous_role": "",
    }
    return dataclasses.replace(config, **usual | settings)


def trust(shown: pki.Pair | None = None, *, authority: pki.Pair = AUTHORITY) -> Any:
    """What a client trusts and shows."""
    return grpc.ssl_channel_credentials(
        authority.pem, shown.key_pem if shown else None, shown.pem if shown else None
    )


@contextlib.asynccontextmanager
async def connected(address: str, credentials: Any) -> AsyncIterator[wire.Stubs]:
    """Stubs over a connection of their own."""
    alone = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(address, credentials, options=alone) as channel:
        yield wire.Stubs.over(channel)


async def who(address: str, credentials: Any, token: str = "") -> str:
    """Whom the server takes the caller for, by the words of a refusal."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    async with connected(address, credentials) as stubs:
        request = pb.CreateNamespaceRequest(namespace_id="x")
        failed = await wire.failing(stubs.registry.CreateNamespace(request, metadata=metadata))
    if failed.code is grpc.StatusCode.PERMISSION_DENIED:
        return failed.message.partition(" may not ")[0]
    return failed.reason or failed.code.name


async def test_calls_and_streams_go_over_tls(secure: configuration.Config, tmp_path: Path) -> None:
    shown = client.Credentials(ca_file=AUTHORITY.write_ca(tmp_path))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(bytes(3 << 20))
    async with app.running(secure) as address:
        async with client.connect(f"https://{address}", credentials=shown) as registry:
            await registry.push(tmp_path / "model", "acme/voice@1.0.0")
            await registry.pull("acme/voice@1.0.0", tmp_path / "copy")
        async with grpc.aio.insecure_channel(address) as channel:
            plain = wire.Stubs.over(channel)
            failed = await wire.failing(plain.registry.ListNamespaces(pb.ListNamespacesRequest()))
    assert failed.code is grpc.StatusCode.UNAVAILABLE
    assert (tmp_path / "copy" / "weights.bin").stat().st_size == 3 << 20


async def test_a_renewed_certificate_is_for_new_connections_and_cuts_no_call(
    secure: configuration.Config, tmp_path: Path
) -> None:
    quick = dataclasses.replace(secure, tls_reload_interval_s=1)
    other = pki.authority("renewed")
    async with app.running(quick) as address, connected(address, trust()) as before:
        await before.registry.CreateNamespace(pb.CreateNamespaceRequest(namespace_id="acme"))
        request = events_pb.WatchRequest(parent="namespaces/acme", after_sequence=0)
        stream = before.events.Watch(request)
        assert (await stream.read()) is not grpc.aio.EOF
        calls = asyncio.create_task(keep_calling(before))
        with structlog.testing.capture_logs() as logs:
            other.issue().write(tmp_path, "server")
            await uploading.until(lambda: any(line["event"] == "tls.renewed" for line in logs))
        async with connected(address, trust(authority=other)) as after:
            await after.registry.ListNamespaces(pb.ListNamespacesRequest())
        async with connected(address, trust()) as stale:
            failed = await wire.failing(stale.registry.ListNamespaces(pb.ListNamespacesRequest()))
            assert failed.code is grpc.StatusCode.UNAVAILABLE
        calls.cancel()
        assert await asyncio.gather(calls, return_exceptions=True) != [None]
        assert calls.cancelled(), "none of the calls under way failed"
        await before.registry.CreateModel(
            pb.CreateModelRequest(
                parent="namespaces/acme", model_id="m", model=pb.Model(kind=pb.MODEL_KIND_PROMPT)
            )
        )
        async with asyncio.timeout(30):
            while (await stream.read()).event.resource != "namespaces/acme/models/m":
                pass


async def keep_calling(stubs: wire.Stubs) -> None:
    """Call without a pause, until cancelled; the first failure ends it."""
    while True:
        await stubs.registry.ListNamespaces(pb.ListNamespacesRequest())


async def test_when_the_certificate_ends_is_a_metric(
    secure: configuration.Config,
) -> None:
    told: list[str] = []
    watched = dataclasses.replace(secure, admin_listen=configuration.Address("127.0.0.1:0"))
    async with app.running(watched, told.append):
        answer = await asyncio.to_thread(urllib3.request, "GET", f"http://{told[0]}/metrics")
    name = "modelkeep_tls_certificate_expires_timestamp_seconds"
    (family,) = (
        found
        for found in parser.text_string_to_metric_families(answer.data.decode())
        if found.name == name
    )
    ends_in_s = family.samples[0].value - datetime.datetime.now(datetime.UTC).timestamp()
    assert ends_in_s == pytest.approx(30 * 86_400, abs=3600)


async def test_a_broken_renewal_changes_nothing_and_is_loud(tmp_path: Path) -> None:
    files = tls.Files(*AUTHORITY.issue().write(tmp_path, "server"), AUTHORITY.write_ca(tmp_path))
    renewing = tls.Renewing(files)
    good = renewing.current
    assert files.client_ca is not None
    breakings: list[tuple[Path, bytes]] = [
        (files.key, AUTHORITY.issue().key_pem),
        (files.certificate, b""),
        (files.certificate, AUTHORITY.issue(ends=-pki.DAY / 2).pem),
        (files.client_ca, b"nobody"),
    ]
    for path, content in breakings:
        kept = path.read_bytes()
        path.write_bytes(content)
        with structlog.testing.capture_logs() as logs:
            for _ in range(3):
                await renewing.renew()
        assert [line["log_level"] for line in logs] == ["error"], "once for each broken state"
        assert logs[0]["event"] == "tls.not_renewed"
        assert renewing.current is good
        path.write_bytes(kept)
        await renewing.renew()
    files.key.unlink()
    with structlog.testing.capture_logs() as logs:
        await renewing.renew()
    assert "cannot be read" in logs[0]["error"]
    assert renewing.current is good


async def test_a_certificate_that_ends_soon_is_told_once_a_day(tmp_path: Path) -> None:
    files = tls.Files(*AUTHORITY.issue(ends=3 * pki.DAY).write(tmp_path, "server"))
    with structlog.testing.capture_logs() as logs:
        renewing = tls.Renewing(files)
        await renewing.renew()
    assert [line["event"] for line in logs] == ["tls.expires_soon"]


def test_the_key_is_not_shown(tmp_path: Path) -> None:
    files = tls.Files(*AUTHORITY.issue().write(tmp_path, "server"))
    assert "PRIVATE KEY" not in repr(tls.Renewing(files).current)


async def test_a_client_certificate_is_whom_its_names_mean(
    secure: configuration.Config, tmp_path: Path
) -> None:
    ci = AUTHORITY.issue([x509.DNSName("CI.example.com"), x509.DNSName("other.example")])
    both = AUTHORITY.issue([*TRAINER, x509.DNSName("ci.example.com")])
    unknown = AUTHORITY.issue([x509.DNSName("xci.example.com")], common_name="ci.example.com")
    nameless = AUTHORITY.issue(())
    strange = pki.authority().issue(TRAINER)
    expired = AUTHORITY.issue(TRAINER, ends=-pki.DAY / 2)
    async with app.running(asking(secure, tmp_path)) as address:
        assert await who(address, trust(AUTHORITY.issue(TRAINER))) == "service:trainer"
        assert await who(address, trust(ci)) == "service:ci"
        assert await who(address, trust(both)) == "CERTIFICATE_AMBIGUOUS"
        assert await who(address, trust(unknown)) == "CERTIFICATE_UNKNOWN"
        assert await who(address, trust(nameless)) == "NO_CREDENTIALS"
        for refused in (trust(strange), trust(expired), trust()):
            assert await who(address, refused) == "UNAVAILABLE"


async def test_where_certificates_are_optional_there_is_a_door_for_them(
    secure: configuration.Config, tmp_path: Path
) -> None:
    second = f"127.0.0.1:{ports.free_ports(1)[0]}"
    both = asking(secure, tmp_path, tls_client_auth="optional", mtls_listen=second)
    trainer = AUTHORITY.issue(TRAINER)
    async with app.running(both) as address:
        assert await who(second, trust(trainer)) == "service:trainer"
        assert await who(second, trust()) == "UNAVAILABLE"
        assert await who(address, trust()) == "NO_CREDENTIALS"
        assert await who(address, trust(trainer)) == "NO_CREDENTIALS", "it is not asked for there"


async def test_the_clients_authority_is_renewed_as_well(
    secure: configuration.Config, tmp_path: Path
) -> None:
    quick = asking(secure, tmp_path, tls_reload_interval_s=1)
    other = pki.authority("next")
    async with app.running(quick) as address:
        assert await who(address, trust(other.issue(TRAINER))) == "UNAVAILABLE"
        with structlog.testing.capture_logs() as logs:
            other.write_ca(tmp_path, "clients")
            await uploading.until(lambda: any(line["event"] == "tls.renewed" for line in logs))
        assert await who(address, trust(other.issue(TRAINER))) == "service:trainer"
        assert await who(address, trust(AUTHORITY.issue(TRAINER))) == "UNAVAILABLE"


def trusting(
    config: configuration.Config, tmp_path: Path, url: str, **settings: Any
) -> configuration.Config:
    """A server that trusts this issuer, and lets nobody in without credentials."""
    path = tmp_path / "oidc.json"
    usual = {"issuer": url, "audience": token_issuer.AUDIENCE, "principal_prefix": "user:"}
    path.write_text(json.dumps({"issuer": [usual | settings]}))
    return dataclasses.replace(config, oidc_file=str(path), anonymous_role="")


async def test_a_token_of_an_issuer_says_who_calls(
    secure: configuration.Config, tmp_path: Path
) -> None:
    async with (
        token_issuer.running(KEY) as issuer,
        app.running(trusting(asking(secure, tmp_path), tmp_path, issuer.url)) as address,
    ):
        shown = trust(AUTHORITY.issue(TRAINER))
        assert await who(address, shown, issuer.token(KEY)) == "user:alice"
        assert await who(address, shown, issuer.token(KEY, exp=1)) == "TOKEN_EXPIRED"
        assert await who(address, shown, "mk_of-nobody") == "UNKNOWN_CREDENTIALS"
        assert await who(address, shown) == "service:trainer"
        huge = issuer.token(KEY, padding="x" * 1_000_000)
        assert await who(address, shown, huge) in {"RESOURCE_EXHAUSTED", "UNAVAILABLE"}
        assert await who(address, shown) == "service:trainer", "the server is well"


async def test_a_group_of_an_issuer_and_a_certificate_work_with_what_they_were_given(
    config: configuration.Config, secure: configuration.Config, tmp_path: Path
) -> None:
    """Every kind of call over TLS: small ones, streams both ways, bulk over lines of its own."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(bytes(20 << 20))
    async with app.running(config) as address, client.connect(address) as anybody:
        await anybody.create_namespace("acme")
        for principal, role in (("group:ml", "contributor"), ("service:trainer", "reader")):
            await anybody.grant_role(principal, client.RoleGrant(client.Role(role), "acme"))
    ca = AUTHORITY.write_ca(tmp_path)
    certificate, key = AUTHORITY.issue(TRAINER).write(tmp_path, "trainer")
    async with (
        token_issuer.running(KEY) as issuer,
        app.running(
            trusting(asking(secure, tmp_path), tmp_path, issuer.url, groups_claim="groups")
        ) as address,
    ):
        shown = client.Credentials(ca_file=ca, certificate_file=certificate, key_file=key)
        token = issuer.token(KEY, groups=["ml"])
        alice = dataclasses.replace(shown, token=token)
        async with (
            client.connect(f"https://{address}", credentials=alice) as registry,
            client.connect(f"https://{address}", credentials=shown) as trainer,
        ):
            assert (await registry.who_am_i()).principal == "user:alice"
            pushed = await registry.push(tmp_path / "model", "acme/voice@1.0.0", streams=2)
            assert pushed.version.creator == "user:alice"
            event = await anext(registry.watch("acme", after_sequence=0))
            assert event.resource == "namespaces/acme"
            assert (await trainer.who_am_i()).principal == "service:trainer"
            await trainer.pull("acme/voice@1.0.0", tmp_path / "copy")
            with pytest.raises(client.Refused, match="service:trainer"):
                await trainer.push(tmp_path / "model", "acme/other@1.0.0")
    assert (tmp_path / "copy" / "weights.bin").stat().st_size == 20 << 20


async def test_an_issuer_that_is_away_is_said_to_be(
    config: configuration.Config, tmp_path: Path
) -> None:
    async with token_issuer.running(KEY) as issuer:
        trusted = trusting(config, tmp_path, issuer.url)
        token = issuer.token(KEY)
    async with app.running(trusted) as address, grpc.aio.insecure_channel(address) as channel:
        stubs = wire.Stubs.over(channel)
        call = stubs.registry.ListNamespaces(
            pb.ListNamespacesRequest(), metadata=[("authorization", f"Bearer {token}")]
        )
        failed = await wire.failing(call)
    assert failed.code is grpc.StatusCode.UNAVAILABLE
    assert failed.reason == "ISSUER_UNAVAILABLE"


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "10.1.2.3:7420", "registry:7420", ":1"])
async def test_plaintext_beyond_this_machine_is_refused(
    config: configuration.Config, listen: str
) -> None:
    open_ = dataclasses.replace(config, listen=listen)
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(errors.FailedPrecondition, match="MODELKEEP_TLS_CERT_FILE"):
            ways_in.opened(open_, stack)
        allowed = dataclasses.replace(open_, allow_plaintext=True)
        assert ways_in.opened(allowed, stack).doors == (tls.Door(listen),)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.9.9.9:1", "[::1]:7420", "localhost:7420"])
async def test_plaintext_on_this_machine_is_fine(config: configuration.Config, listen: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        ways_in.opened(dataclasses.replace(config, listen=listen), stack)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tls_key_file": ""}, "go together"),
        ({"tls_cert_file": ""}, "go together"),
        ({"tls_client_auth": "required"}, "MODELKEEP_TLS_CLIENT_CA_FILE"),
        ({"tls_client_ca_file": "x"}, "MODELKEEP_TLS_CLIENT_AUTH"),
        ({"mtls_principals": RULES}, "MODELKEEP_TLS_CLIENT_AUTH"),
        ({"tls_client_auth": "optional", "tls_client_ca_file": "x"}, "MODELKEEP_MTLS_LISTEN"),
        ({"mtls_listen": "127.0.0.1:1"}, "MODELKEEP_MTLS_LISTEN"),
    ],
)
async def test_settings_that_do_not_go_together_are_refused(
    secure: configuration.Config, settings: dict[str, Any], said: str
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(configuration.ConfigError, match=said):
            ways_in.opened(dataclasses.replace(secure, **settings), stack)


async def test_a_file_that_is_missing_is_named(secure: configuration.Config) -> None:
    async with contextlib.AsyncExitStack() as stack:
        lost = dataclasses.replace(secure, tls_key_file="/none")
        with pytest.raises(errors.FailedPrecondition, match="/none cannot be read"):
            ways_in.opened(lost, stack)


async def test_a_process_says_what_to_do_and_ends(config: configuration.Config) -> None:
    ended = await server_process.refused(config, "0.0.0.0:0")
    assert ended.returncode == 1
    assert "MODELKEEP_ALLOW_PLAINTEXT=true" in ended.stderr
    assert "Traceback" not in ended.stderr

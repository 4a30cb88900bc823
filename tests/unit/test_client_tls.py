"""Clients and TLS: who is trusted, what is shown, and what is said when it does not work."""

import asyncio
import contextlib
import os
import ssl
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from click import testing
from cryptography import x509
from support import pki

from modelkeep import client
from modelkeep.authn import certificates
from modelkeep.cli import main as cli
from modelkeep.client import channel, endpoints
from modelkeep.transport import tls
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep.v1 import artifact_service_pb2_grpc as artifact_grpc

AUTHORITY, STRANGER = pki.authority(), pki.authority("stranger")
TOKEN = "mk_not-for-everybody"


@dataclass
class Capable(artifact_grpc.ArtifactServiceServicer):
    """Answers one call, and remembers what came with it."""

    endpoint: str = ""
    port: int = 0
    metadata: list[dict[str, Any]] = field(default_factory=list)
    names: list[tuple[str, ...]] = field(default_factory=list)

    async def GetCapabilities(
        self, request: pb.GetCapabilitiesRequest, context: Any
    ) -> pb.GetCapabilitiesResponse:
        del request
        self.metadata.append(dict(context.invocation_metadata()))
        self.names.append(tls.peer_names(context))
        return pb.GetCapabilitiesResponse()


@contextlib.asynccontextmanager
async def serving(
    directory: Path, pair: pki.Pair | None = None, *, clients_required: bool = False
) -> AsyncIterator[Capable]:
    """A server over TLS with that certificate, or over plaintext."""
    servicer = Capable()
    server = grpc.aio.server()
    artifact_grpc.add_ArtifactServiceServicer_to_server(servicer, server)
    if pair is None:
        servicer.port = server.add_insecure_port("127.0.0.1:0")
    else:
        files = tls.Files(*pair.write(directory, "server"), AUTHORITY.write_ca(directory))
        credentials = tls.Renewing(files).credentials(clients_required=clients_required)
        servicer.port = server.add_secure_port("127.0.0.1:0", credentials)
    servicer.endpoint = f"127.0.0.1:{servicer.port}"
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)


@contextlib.asynccontextmanager
async def showing_anything(directory: Path, pair: pki.Pair) -> AsyncIterator[Capable]:
    """A server with a certificate that ours would refuse to show."""
    del directory
    servicer = Capable()
    server = grpc.aio.server()
    artifact_grpc.add_ArtifactServiceServicer_to_server(servicer, server)
    credentials = grpc.ssl_server_credentials([(pair.key_pem, pair.pem)])
    servicer.port = server.add_secure_port("127.0.0.1:0", credentials)
    servicer.endpoint = f"127.0.0.1:{servicer.port}"
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)


async def failure(endpoint: str, **shown: Any) -> client.RegistryError:
    credentials = client.Credentials(**shown)
    async with client.connect(endpoint, timeout_s=20, credentials=credentials) as registry:
        with pytest.raises(client.TLSFailure) as failed:
            await registry.capabilities()
    return failed.value


async def ask(endpoint: str, **shown: Any) -> None:
    credentials = client.Credentials(**shown)
    async with client.connect(endpoint, timeout_s=20, credentials=credentials) as registry:
        await registry.capabilities()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One repetition of a call is enough to see that it fails."""
    monkeypatch.setitem(channel._RETRY_POLICY, "maxAttempts", 2)


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return AUTHORITY.write_ca(tmp_path, "known")


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
async def test_a_server_that_is_vouched_for_is_spoken_to(
    tmp_path: Path, ca: Path, scheme: str
) -> None:
    async with serving(tmp_path, AUTHORITY.issue()) as server:
        await ask(f"{scheme}://localhost:{server.port}", ca_file=ca, token=TOKEN)
    assert server.metadata[0]["authorization"] == f"Bearer {TOKEN}"
    assert server.names == [()]


async def test_the_systems_authorities_count_where_none_is_named(
    tmp_path: Path, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, AUTHORITY.issue()) as server:
        found = await failure(f"https://{server.endpoint}")
        assert found.reason == "CERTIFICATE_UNKNOWN"
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        await ask(f"https://{server.endpoint}")


async def test_a_certificate_of_nobody_known_is_not_trusted(tmp_path: Path, ca: Path) -> None:
    async with serving(tmp_path, STRANGER.issue()) as server:
        found = await failure(f"https://{server.endpoint}", ca_file=ca, token=TOKEN)
    assert found.reason == "CERTIFICATE_UNKNOWN"
    assert "--ca-file" in found.message
    assert server.metadata == []


async def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path, ca: Path) -> None:
    async with serving(tmp_path, AUTHORITY.issue([x509.DNSName("elsewhere.example")])) as server:
        found = await failure(f"https://{server.endpoint}", ca_file=ca, token=TOKEN)
    assert found.reason == "CERTIFICATE_WRONG_NAME"
    assert server.metadata == []


async def test_the_common_name_is_no_name(tmp_path: Path, ca: Path) -> None:
    other = [x509.DNSName("elsewhere.example")]
    async with serving(tmp_path, AUTHORITY.issue(other, common_name="127.0.0.1")) as server:
        found = await failure(f"https://127.0.0.1:{server.port}", ca_file=ca)
    assert found.reason == "CERTIFICATE_WRONG_NAME"


async def test_an_expired_certificate_is_not_trusted(tmp_path: Path, ca: Path) -> None:
    async with showing_anything(tmp_path, AUTHORITY.issue(ends=-pki.DAY / 2)) as server:
        found = await failure(f"https://{server.endpoint}", ca_file=ca, token=TOKEN)
    assert found.reason == "CERTIFICATE_EXPIRED"
    assert server.metadata == []


async def test_a_certificate_of_tomorrow_is_not_trusted(tmp_path: Path, ca: Path) -> None:
    async with showing_anything(tmp_path, AUTHORITY.issue(starts=pki.DAY)) as server:
        found = await failure(f"https://{server.endpoint}", ca_file=ca)
    assert found.reason == "CERTIFICATE_NOT_YET_VALID"


async def test_plaintext_to_a_server_that_speaks_tls_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path, AUTHORITY.issue()) as server:
        found = await failure(server.endpoint)
    assert found.reason == "SERVER_SPEAKS_TLS"
    assert "https://" in found.message


async def test_plaintext_where_a_client_certificate_is_required_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path, AUTHORITY.issue(), clients_required=True) as server:
        assert (await failure(server.endpoint)).reason == "SERVER_SPEAKS_TLS"


async def test_tls_to_a_server_that_speaks_plaintext_is_told(tmp_path: Path, ca: Path) -> None:
    async with serving(tmp_path) as server:
        found = await failure(f"https://{server.endpoint}", ca_file=ca)
    assert found.reason == "SERVER_SPEAKS_PLAINTEXT"


async def test_nobody_there_is_no_matter_of_tls(tmp_path: Path, ca: Path) -> None:
    async with serving(tmp_path) as server:
        pass
    for endpoint in (server.endpoint, f"https://{server.endpoint}"):
        with pytest.raises(client.Unavailable):
            await ask(endpoint, **({"ca_file": ca} if "https" in endpoint else {}))


async def test_a_watch_does_not_wait_for_a_server_it_cannot_trust(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, AUTHORITY.issue()) as server,
        client.connect(server.endpoint) as registry,
    ):
        with pytest.raises(client.TLSFailure):
            await anext(registry.watch("acme"))


def pair_of(directory: Path, authority: pki.Authority, **settings: Any) -> dict[str, Path]:
    names = [x509.UniformResourceIdentifier("spiffe://prod/ci"), x509.DNSName("CI.example.com")]
    certificate, key = authority.issue(names, **settings).write(directory, "client")
    return {"certificate_file": certificate, "key_file": key}


async def test_a_client_certificate_tells_its_names(tmp_path: Path, ca: Path) -> None:
    async with serving(tmp_path, AUTHORITY.issue(), clients_required=True) as server:
        await ask(f"https://{server.endpoint}", ca_file=ca, **pair_of(tmp_path, AUTHORITY))
    assert server.names == [("URI:spiffe://prod/ci", "DNS:ci.example.com")]


async def test_a_client_certificate_that_is_missing_is_asked_for(tmp_path: Path, ca: Path) -> None:
    async with serving(tmp_path, AUTHORITY.issue(), clients_required=True) as server:
        found = await failure(f"https://{server.endpoint}", ca_file=ca)
    assert found.reason == "CLIENT_CERTIFICATE_REQUIRED"
    assert "--client-cert" in found.message


async def test_a_client_certificate_that_is_not_good_is_refused(tmp_path: Path, ca: Path) -> None:
    async with serving(tmp_path, AUTHORITY.issue(), clients_required=True) as server:
        for pair in (
            pair_of(tmp_path, STRANGER),
            pair_of(tmp_path, AUTHORITY, ends=-pki.DAY / 2),
        ):
            found = await failure(f"https://{server.endpoint}", ca_file=ca, **pair)
            assert found.reason == "CLIENT_CERTIFICATE_REFUSED"
    assert server.metadata == []


async def test_a_nul_in_a_name_cuts_nothing_off(tmp_path: Path, ca: Path) -> None:
    """`ci.example.com<NUL>.evil.example` is not `ci.example.com`."""
    names = [x509.UniformResourceIdentifier("spiffe://prod/ci\x00/evil")]
    certificate, key = AUTHORITY.issue(names).write(tmp_path, "client")
    async with serving(tmp_path, AUTHORITY.issue(), clients_required=True) as server:
        with contextlib.suppress(client.RegistryError):  # refused in the handshake is as good
            await ask(
                f"https://{server.endpoint}",
                ca_file=ca,
                certificate_file=certificate,
                key_file=key,
            )
    assert all("URI:spiffe://prod/ci" not in found for found in server.names)
    assert certificates.names_in(certificate.read_bytes()) in {
        (),
        ("URI:spiffe://prod/ci\x00/evil",),
    }


async def test_a_token_goes_to_this_machine_or_over_tls_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await ask(server.endpoint, token=TOKEN)
        assert server.metadata[0]["authorization"] == f"Bearer {TOKEN}"
    for endpoint in ("registry.example:7420", "10.0.0.7:7420", "127.0.0.1.example:1", "[::2]:1"):
        with pytest.raises(client.InvalidRequest) as refused:
            client.connect(endpoint, credentials=client.Credentials(token=TOKEN))
        assert refused.value.reason == "TOKEN_OVER_PLAINTEXT"
        assert TOKEN not in refused.value.message
        allowed = client.Credentials(token=TOKEN, is_plaintext_token_allowed=True)
        async with client.connect(endpoint, credentials=allowed):
            pass
        async with client.connect(endpoint):
            pass


async def test_a_token_in_a_file_is_read_for_each_call(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    async with serving(tmp_path) as server:
        shown = client.Credentials(token=client.token_in(path))
        async with client.connect(server.endpoint, credentials=shown) as registry:
            await registry.capabilities()
            path.write_text("two")
            await registry.capabilities()
            path.unlink()
            with pytest.raises(client.InvalidRequest, match=str(path)):
                await registry.capabilities()
    assert [came["authorization"] for came in server.metadata] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("token", ["a b", "a\nb", "\x00", "é", "x" * 12_001])
def test_what_is_no_token_is_not_sent(token: str) -> None:
    with pytest.raises(client.InvalidRequest) as refused:
        client.connect_sync(credentials=client.Credentials(token=token)).close()
    assert token not in refused.value.message


def test_secrets_are_not_shown() -> None:
    assert TOKEN not in repr(client.Credentials(token=TOKEN))


def test_credentials_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    certificate, key = AUTHORITY.issue().write(tmp_path, "client")
    for endpoint, shown in (
        ("https://h:1", {"certificate_file": certificate}),
        ("https://h:1", {"key_file": key}),
        ("h:1", {"certificate_file": certificate, "key_file": key}),
        ("https://h:1", {"ca_file": tmp_path / "missing.pem"}),
    ):
        with (
            pytest.raises(client.InvalidRequest),
            client.connect_sync(endpoint, credentials=client.Credentials(**shown)),
        ):
            pass


@pytest.mark.parametrize(
    ("text", "target", "is_secure"),
    [
        ("https://registry.example", "registry.example:443", True),
        ("https://registry.example:7420/", "registry.example:7420", True),
        ("grpcs://registry.example", "registry.example:7420", True),
        ("https://[::1]:1", "[::1]:1", True),
        ("registry.example", "registry.example:7420", False),
    ],
)
def test_an_endpoint_says_whether_tls_goes_there(text: str, target: str, is_secure: bool) -> None:
    assert endpoints.parse(text) == endpoints.Endpoint(target, is_secure)


@pytest.mark.parametrize(
    "text",
    ["https://", "https://h/path", "https://h:1/path", "https://u@h:1?x=1", "h:1/", "http://h"],
)
def test_an_endpoint_is_no_url_with_a_path(text: str) -> None:
    with pytest.raises(client.InvalidRequest):
        endpoints.parse(text)


async def test_the_command_line_takes_files_and_says_what_is_wrong(tmp_path: Path) -> None:
    def run(*arguments: str, **environ: str) -> testing.Result:
        clean = {key: None for key in os.environ if key.startswith("MODELKEEP_")}
        return testing.CliRunner().invoke(
            cli.modelkeep, [*arguments, "ls"], env={**clean, **environ}, catch_exceptions=False
        )

    async with serving(tmp_path, AUTHORITY.issue()) as server:
        for endpoint, said in (
            (server.endpoint, "https://"),
            (f"https://{server.endpoint}", "--ca-file"),
        ):
            result = await asyncio.to_thread(run, "--endpoint", endpoint)
            assert result.exit_code == 1, result.output
            assert said in result.output
    refused = await asyncio.to_thread(
        run, "--endpoint", "registry.example:1", MODELKEEP_TOKEN=TOKEN
    )
    assert refused.exit_code == 2
    assert "unencrypted" in refused.output
    assert TOKEN not in refused.output


async def test_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path) -> None:
    async with serving(tmp_path, AUTHORITY.issue()) as server:
        assert await negotiated(server.port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        assert await negotiated(server.port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await negotiated(server.port, ssl.TLSVersion.TLSv1_1)


async def negotiated(port: int, version: ssl.TLSVersion) -> str:
    """What is spoken with a client that speaks this version only."""
    context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    context.set_alpn_protocols(["h2"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found = writer.get_extra_info("ssl_object").version()
    writer.transport.abort()
    return str(found)

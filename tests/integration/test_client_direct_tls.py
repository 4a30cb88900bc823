"""Bytes straight to a store that speaks TLS: only to the one whose certificate is good."""

import dataclasses
from pathlib import Path

import pytest
from cryptography import x509
from support import pki, pushing, tls_front

from modelkeep import app, client
from modelkeep import config as configuration

SIZE = 2 << 20
AUTHORITY = pki.authority()
BAD = {
    "of nobody known": lambda: pki.authority("stranger").issue(),
    "expired": lambda: AUTHORITY.issue(ends=-pki.DAY / 2),
    "of tomorrow": lambda: AUTHORITY.issue(starts=pki.DAY),
    "of another name": lambda: AUTHORITY.issue([x509.DNSName("elsewhere.example")]),
}


@pytest.fixture(autouse=True)
def _trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's authorities, as far as this test goes."""
    monkeypatch.setenv("SSL_CERT_FILE", str(AUTHORITY.write_ca(tmp_path)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    pushing.random_file(root / "large.bin", SIZE)
    return root


def leading(config: configuration.Config, front: tls_front.Front) -> configuration.Config:
    """A server that tells clients to reach the store through that door."""
    return dataclasses.replace(
        config,
        s3_public_endpoint=configuration.HostAndPort(front.endpoint),
        s3_public_secure=True,
    )


@pytest.mark.parametrize("what", sorted(BAD))
async def test_nothing_goes_to_a_store_whose_certificate_is(
    config: configuration.Config, folder: Path, tmp_path: Path, what: str
) -> None:
    async with (
        tls_front.running(config.s3_endpoint, BAD[what](), tmp_path) as front,
        app.running(leading(config, front)) as address,
        client.connect(address) as registry,
    ):
        with pytest.raises(client.StoreOutOfReach, match=front.endpoint) as failed:
            await registry.push(folder, "acme/voice@1.0.0", via=client.Via.STORE)
        pushed = await registry.push(folder, "acme/voice@1.0.0")
        pulled = await registry.pull("acme/voice@1.0.0", tmp_path / "copy")
        with pytest.raises(client.StoreOutOfReach):
            await registry.pull("acme/voice@1.0.0", tmp_path / "other", via=client.Via.STORE)
    assert (pushed.direct_bytes, pulled.direct_bytes) == (0, 0)
    assert front.received_bytes == 0
    assert "certificate" in str(failed.value).lower()
    assert "X-Amz" not in str(failed.value)


async def test_bytes_go_to_a_store_whose_certificate_is_good(
    config: configuration.Config, folder: Path, tmp_path: Path
) -> None:
    async with (
        tls_front.running(config.s3_endpoint, AUTHORITY.issue(), tmp_path) as front,
        app.running(leading(config, front)) as address,
        client.connect(address) as registry,
    ):
        pushed = await registry.push(folder, "acme/voice@1.0.0", via=client.Via.STORE)
        pulled = await registry.pull("acme/voice@1.0.0", tmp_path / "copy", via=client.Via.STORE)
    assert pushed.direct_bytes == pulled.direct_bytes == SIZE
    assert front.received_bytes > SIZE
    assert (tmp_path / "copy" / "large.bin").read_bytes() == (folder / "large.bin").read_bytes()

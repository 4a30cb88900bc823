"""Where we may connect to, how secrets are kept, how messages are signed."""

import base64
import ipaddress
import socket
import time

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import addresses, errors, signatures, webhooks
from modelkeep.outbound import guard, sealing

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
CLOSED = [
    "0.0.0.0",  # noqa: S104 - judged, not listened on
    "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.0.1", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1",
    "2002:7f00:1::1", "3fff::1", "fc00::1", "fd00::1", "fe80::1", "fec0::1", "ff02::1",
    "::127.0.0.1",
]  # fmt: skip
OPEN = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111"]
OPEN += ["2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("text", CLOSED)
def test_special_addresses_are_closed(text: str) -> None:
    assert not addresses.is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", OPEN)
def test_public_addresses_are_open(text: str) -> None:
    assert addresses.is_public(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_however_it_is_wrapped(
    address: ipaddress.IPv4Address,
) -> None:
    public = addresses.is_public(address)
    for prefix in (0xFFFF << 32, 0x64FF9B << 96):
        wrapped = ipaddress.IPv6Address(prefix | int(address))
        assert addresses.is_public(wrapped) == public
        assert addresses.is_allowed(wrapped, LOOPBACK) == addresses.is_allowed(address, LOOPBACK)


@given(st.ip_addresses())
def test_nothing_is_open_that_python_calls_closed(address: addresses.Address) -> None:
    plain = addresses.unwrapped(address)
    if addresses.is_public(address):
        assert not plain.is_private
        assert not plain.is_loopback
        assert not plain.is_link_local
        assert not plain.is_multicast
        assert not plain.is_unspecified
        assert not plain.is_reserved


@given(st.ip_addresses())
def test_a_network_that_is_allowed_opens_what_is_in_it_only(address: addresses.Address) -> None:
    allowed = addresses.is_allowed(address, LOOPBACK)
    inside = addresses.unwrapped(address) in LOOPBACK[0]
    assert allowed == (inside or addresses.is_public(address))


@given(st.ip_addresses())
def test_the_guard_makes_sockets_for_what_is_allowed_only(address: addresses.Address) -> None:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    info = (family, socket.SOCK_STREAM, 0, "", (str(address), 443))
    if addresses.is_public(address):
        guard.Guard(()).socket_for(info).close()
    else:
        with pytest.raises(guard.Forbidden):
            guard.Guard(()).socket_for(info)


def test_an_address_with_a_scope_is_judged_without_it() -> None:
    info = (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("fe80::1%lo", 443, 0, 1))
    with pytest.raises(guard.Forbidden):
        guard.Guard(()).socket_for(info)


@given(st.text(max_size=60))
def test_a_url_is_taken_or_refused_in_our_words(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com/{text}"):
        try:
            webhooks.check_url(url)
        except errors.InvalidArgument:
            continue
        assert webhooks.host_of(url)
        assert webhooks.scheme_of(url) in ("http", "https")


@given(body=st.binary(max_size=200))
def test_an_independent_implementation_verifies_what_we_sign(body: bytes) -> None:
    secrets = [signatures.new_secret(), signatures.new_secret()]
    told = signatures.headers("msg_1", int(time.time()), b'{"a": 1}' + b" " * len(body), secrets)
    for secret in secrets:
        standardwebhooks.Webhook(secret).verify(b'{"a": 1}' + b" " * len(body), told)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(signatures.new_secret()).verify(b'{"a": 1}', told)


def test_a_sealed_secret_opens_with_its_key_and_for_its_purpose_only() -> None:
    old, new = sealing.Sealer([b"o" * 32]), sealing.Sealer([b"n" * 32, b"o" * 32])
    sealed = old.seal("hook", "whsec_x")
    assert b"whsec" not in sealed
    assert new.unseal("hook", sealed) == "whsec_x"
    assert old.seal("hook", "whsec_x") != sealed
    with pytest.raises(errors.FailedPrecondition, match="MODELKEEP_SECRET_KEY"):
        old.unseal("other", sealed)
    with pytest.raises(errors.FailedPrecondition, match="no longer has"):
        old.unseal("hook", new.seal("hook", "whsec_x"))
    with pytest.raises(errors.FailedPrecondition, match="openssl rand"):
        sealing.Sealer([]).seal("hook", "whsec_x")


def test_a_new_secret_has_256_bits() -> None:
    secret = signatures.new_secret()
    assert len(base64.b64decode(secret.removeprefix(signatures.PREFIX))) == 32

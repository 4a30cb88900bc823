"""Why no TLS connection comes about, in words that say what to do."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping

import grpc

from modelkeep.client import credentials, endpoints, errors

_PROBE_TIMEOUT_S = 3.0
_SENTENCES: Mapping[str, str] = {
    "CERTIFICATE_EXPIRED": "The server's certificate has expired; its operator has to renew it.",
    "CERTIFICATE_NOT_YET_VALID": "The server's certificate is not good yet; is the clock right?",
    "CERTIFICATE_WRONG_NAME": "The server's certificate is made out to another name; write the"
    " endpoint with a name or address that the certificate has.",
    "CERTIFICATE_UNKNOWN": "Nobody known here vouches for the server's certificate; name the file"
    " with its authority as --ca-file or MODELKEEP_TLS_CA_FILE (ca_file).",
    "SERVER_SPEAKS_PLAINTEXT": "The server does not speak TLS; if that is right, write the endpoint"
    " without https://.",
    "SERVER_SPEAKS_TLS": "The server speaks TLS; write the endpoint with https://.",
    "CLIENT_CERTIFICATE_REQUIRED": "The server lets only clients in that show a certificate; name"
    " it with --client-cert and --client-key, or MODELKEEP_TLS_CLIENT_CERT_FILE and"
    " MODELKEEP_TLS_CLIENT_KEY_FILE (certificate_file, key_file).",
    "CLIENT_CERTIFICATE_REFUSED": "The server refuses the certificate that was shown: it has"
    " expired, or its authority is not one that the server trusts.",
}
_SIGNS = (
    ("certificate has expired", "CERTIFICATE_EXPIRED"),
    ("certificate is not yet valid", "CERTIFICATE_NOT_YET_VALID"),
    ("Hostname Verification Check failed", "CERTIFICATE_WRONG_NAME"),
    ("CERTIFICATE_VERIFY_FAILED", "CERTIFICATE_UNKNOWN"),
    ("WRONG_VERSION_NUMBER", "SERVER_SPEAKS_PLAINTEXT"),
)
"""How gRPC says it, and what we call it; the first that fits counts."""
_NEVER_CONNECTED = ("failed to connect to all", "connections to all backends failing")


def read(details: str) -> errors.TLSFailure | None:
    """What gRPC's words about a failed connection mean; None if nothing about TLS."""
    if "handshake failed" not in details and "verification check failed" not in details:
        return None
    for sign, reason in _SIGNS:
        if sign in details:
            return _failure(reason)
    return None


async def probed(
    where: endpoints.Endpoint, shown: credentials.Credentials, lost: grpc.aio.AioRpcError
) -> errors.TLSFailure | None:
    """What a connection of our own finds out, if gRPC was told nothing but a closed door.

    A server closes the door on who speaks plaintext where TLS is spoken, and on who does not show
    the right certificate. Then one more connection is made, over which nothing is sent.
    """
    details = lost.details() or ""
    if "Socket closed" not in details or not details.startswith(_NEVER_CONNECTED):
        return None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            return await _connected(where, shown)
    return None


async def _connected(
    where: endpoints.Endpoint, shown: credentials.Credentials
) -> errors.TLSFailure | None:
    try:
        reader, writer = await asyncio.open_connection(
            where.host, where.port, ssl=_trusting(shown), server_hostname=where.host
        )
    except OSError:
        return None
    try:
        if not where.is_secure:
            return _failure("SERVER_SPEAKS_TLS")
        return None if await _is_welcome(reader) else _unwelcome(shown)
    finally:
        writer.transport.abort()


async def _is_welcome(reader: asyncio.StreamReader) -> bool:
    """In TLS 1.3 a client is done before the server has judged it: then HTTP/2 begins, or not."""
    try:
        return bool(await reader.read(1))
    except OSError:
        return False


def _unwelcome(shown: credentials.Credentials) -> errors.TLSFailure:
    has_shown = shown.certificate_file is not None
    return _failure("CLIENT_CERTIFICATE_REFUSED" if has_shown else "CLIENT_CERTIFICATE_REQUIRED")


def _trusting(shown: credentials.Credentials) -> ssl.SSLContext:
    """Takes any certificate: nothing is sent, and gRPC has judged it already."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if shown.certificate_file and shown.key_file:
        context.load_cert_chain(shown.certificate_file, shown.key_file)
    return context


def _failure(reason: str) -> errors.TLSFailure:
    return errors.TLSFailure(_SENTENCES[reason], reason=reason)

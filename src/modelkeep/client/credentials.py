"""What a client shows a server, and by what it knows the server."""

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from modelkeep.client import endpoints, errors

_GRPC_ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
_MAX_TOKEN_CHARS = 12_000
"""A server takes 16 KiB of metadata in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How each end of a connection proves who it is.

    Args:
        token: sent with every call as `authorization: Bearer`; a function is asked anew for each
            call, for tokens that are renewed while the program runs (see `token_in`).
        ca_file: PEM file of the authorities that may vouch for the server; None: those of the
            system, or of the file that SSL_CERT_FILE names.
        certificate_file: PEM file with this client's certificate and those between it and its
            authority.
        key_file: PEM file with the certificate's private key, unencrypted.
        is_plaintext_token_allowed: send the token to other machines without TLS, too.
    """

    token: str | Callable[[], str] = field(default="", repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    is_plaintext_token_allowed: bool = False


def token_in(path: Path) -> Callable[[], str]:
    """A function that reads the token from a file, each time anew."""

    def read() -> str:
        return _read(path, "token").decode("utf-8", "replace").strip()

    return read


def bearer(credentials: Credentials, where: endpoints.Endpoint) -> Callable[[], str] | None:
    """What gives the value of `authorization` for a call to that endpoint; None to send none.

    Raises:
        InvalidRequest: the token would cross a network unencrypted, or is none.
    """
    token = credentials.token
    if not token:
        return None
    if not (where.is_secure or where.is_loopback or credentials.is_plaintext_token_allowed):
        raise errors.InvalidRequest(
            f"The token would go to {where.target} unencrypted, for anybody on the way to read:"
            f" write https://{where.target}. If something else encrypts that way, allow it with"
            " MODELKEEP_ALLOW_PLAINTEXT_TOKEN=true (is_plaintext_token_allowed).",
            reason="TOKEN_OVER_PLAINTEXT",
        )
    if callable(token):
        return lambda: f"Bearer {_checked(token())}"
    fixed = f"Bearer {_checked(token)}"
    return lambda: fixed


def channel_credentials(
    credentials: Credentials, where: endpoints.Endpoint
) -> grpc.ChannelCredentials | None:
    """TLS for that endpoint; None for plaintext.

    Raises:
        InvalidRequest: a file cannot be read, one of a pair is missing, or TLS is not meant.
    """
    certificate, key = credentials.certificate_file, credentials.key_file
    if bool(certificate) != bool(key):
        raise errors.InvalidRequest(
            "A client certificate and its key go together: name both files or none.",
            reason="BAD_CREDENTIALS",
        )
    if not where.is_secure:
        _refuse_useless(credentials, where)
        return None
    return grpc.ssl_channel_credentials(
        root_certificates=_roots(credentials.ca_file),
        private_key=_read(key, "key") if key else None,
        certificate_chain=_read(certificate, "certificate") if certificate else None,
    )


def _refuse_useless(credentials: Credentials, where: endpoints.Endpoint) -> None:
    if credentials.certificate_file:
        raise errors.InvalidRequest(
            f"A client certificate can be shown over TLS only: write https://{where.target}.",
            reason="BAD_CREDENTIALS",
        )


def _roots(ca_file: Path | None) -> bytes | None:
    """The authorities' certificates in PEM; None for those that came with gRPC."""
    if ca_file is not None:
        return _read(ca_file, "CA")
    named = os.environ.get("SSL_CERT_FILE")
    if named:
        return _read(Path(named), "CA")
    system = ssl.get_default_verify_paths().cafile
    if _GRPC_ROOTS in os.environ or system is None:
        return None
    return _read(Path(system), "CA")


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as failure:
        raise errors.InvalidRequest(
            f"The {what} file {path} cannot be read: {failure.strerror}.", reason="BAD_CREDENTIALS"
        ) from None


def _checked(token: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise errors.InvalidRequest(
            "The token is not one: it has characters that no token has, or none at all.",
            reason="BAD_CREDENTIALS",
        )
    if len(token) > _MAX_TOKEN_CHARS:
        raise errors.InvalidRequest(
            f"The token is longer than {_MAX_TOKEN_CHARS} characters, which no server takes.",
            reason="BAD_CREDENTIALS",
        )
    return token

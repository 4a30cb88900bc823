"""TLS of the server: the certificate, who may vouch for clients, and both renewed while it runs.

gRPC asks at each handshake whether there is something new, so a renewed certificate is for the
connections made from then on; those that are open live on, for half an hour at most. It speaks
TLS 1.2 and 1.3. It cannot ask a client for a certificate without insisting on one, so servers that
take both have two doors.
"""

import asyncio
import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import grpc
import structlog

from modelkeep.authn import certificates, pem
from modelkeep.domain import addresses, errors

_MAX_FILE_BYTES = 1024 * 1024
_SOON = datetime.timedelta(days=14)
_AGAIN = datetime.timedelta(days=1)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Files:
    """Where certificate, key and the clients' authorities are, all in PEM.

    Attributes:
        certificate: the server's certificate, and those between it and its authority.
        key: the certificate's private key.
        client_ca: the authorities that may vouch for clients; None if no client is asked.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """What the files hold: whole, and good at the moment it was read."""

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    facts: pem.Facts


@dataclass(frozen=True, slots=True)
class Door:
    """An address to listen on.

    Attributes:
        listen: `host:port`; port 0 takes a free one.
        credentials: TLS; None for plaintext.
    """

    listen: str
    credentials: grpc.ServerCredentials | None = None


class Renewing:
    """What the server shows and trusts, as the files have it.

    Args:
        files: read at once, and again by each `renew`.

    Raises:
        errors.FailedPrecondition: they are not good; the message says which and why.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._refused: object = None
        self._warned_at = datetime.datetime.min.replace(tzinfo=UTC)
        self.current = _checked(files, *_read(files))
        self._look_at_end()

    @property
    def expires_at(self) -> datetime.datetime:
        """When the certificate that is shown now stops being good."""
        return self.current.facts.expires_at

    def credentials(self, *, clients_required: bool) -> grpc.ServerCredentials:
        """TLS for one door, now and after each renewal.

        Args:
            clients_required: let only clients in that show a certificate of a known authority.
        """
        offer = _Offer(self, clients_required=clients_required)
        # None is "nothing new" to gRPC, whose stubs do not say so.
        fetch: Any = offer
        return grpc.dynamic_ssl_server_credentials(
            offer.configuration, fetch, require_client_authentication=clients_required
        )

    async def renew(self) -> None:
        """Take what the files hold now; if it is not good, keep what there is and say so."""
        self._look_at_end()
        raw = None
        try:
            raw = await asyncio.to_thread(_read, self._files)
            is_new = raw != (self.current.certificate, self.current.key, self.current.client_ca)
            if is_new:
                self.current = _checked(self._files, *raw)
                _log.info("tls.renewed", **_shown(self.current.facts))
            self._refused = None
        except errors.FailedPrecondition as failure:
            self._tell_once(failure, raw)

    def _tell_once(self, failure: errors.FailedPrecondition, raw: object) -> None:
        """Be loud about each broken state of the files, but not at every look."""
        state = (failure.message, raw)
        if state != self._refused:
            self._refused = state
            _log.error("tls.not_renewed", error=failure.message, **_shown(self.current.facts))

    def _look_at_end(self) -> None:
        now = datetime.datetime.now(UTC)
        if self.expires_at - now < _SOON and now - self._warned_at > _AGAIN:
            self._warned_at = now
            _log.warning("tls.expires_soon", **_shown(self.current.facts))


class _Offer:
    """Tells gRPC at a handshake what changed since the last one of the same door."""

    def __init__(self, renewing: Renewing, *, clients_required: bool) -> None:
        self._renewing = renewing
        self._clients_required = clients_required
        self._given = renewing.current
        self.configuration = self._of(self._given)

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        current = self._renewing.current
        if current is self._given:
            return None
        self._given = current
        return self._of(current)

    def _of(self, material: Material) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(material.key, material.certificate)],
            material.client_ca if self._clients_required else None,
        )


def require_private(doors: Sequence[Door], *, plaintext_allowed: bool) -> None:
    """Raise `errors.FailedPrecondition` if others could read along at one of the doors."""
    for door in doors:
        host = door.listen.rpartition(":")[0].strip("[]")
        if door.credentials or plaintext_allowed or addresses.is_loopback(host):
            continue
        raise errors.FailedPrecondition(
            f"{door.listen} can be reached from other machines, and whoever is on the way could"
            " read tokens and models. Set MODELKEEP_TLS_CERT_FILE and MODELKEEP_TLS_KEY_FILE. If"
            " something in front of the server speaks TLS for it, or the network is closed, set"
            " MODELKEEP_ALLOW_PLAINTEXT=true. On this machine alone, listen on 127.0.0.1.",
            reason="PLAINTEXT_NOT_ALLOWED",
        )


def peer_names(context: "grpc.aio.ServicerContext[Any, Any]") -> tuple[str, ...]:
    """The names of the client's certificate, which TLS has verified; none without one."""
    shown = tuple(context.auth_context().get("x509_pem_cert") or ())
    return certificates.names_in(shown[0]) if shown else ()


def _read(files: Files) -> tuple[bytes, bytes, bytes | None]:
    ca = _content(files.client_ca) if files.client_ca else None
    return _content(files.certificate), _content(files.key), ca


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as failure:
        raise errors.FailedPrecondition(
            f"{path} cannot be read: {failure.strerror}", reason="BAD_CERTIFICATE"
        ) from None


def _checked(files: Files, certificate: bytes, key: bytes, client_ca: bytes | None) -> Material:
    try:
        facts = pem.check_pair(certificate, key)
        if client_ca is not None:
            pem.check_authorities(client_ca)
    except errors.FailedPrecondition as failure:
        named = [str(path) for path in (files.certificate, files.key, files.client_ca) if path]
        raise errors.FailedPrecondition(
            f"{failure.message} ({', '.join(named)})", reason=failure.reason
        ) from None
    return Material(certificate, key, client_ca, facts)


def _shown(facts: pem.Facts) -> dict[str, Any]:
    return {
        "subject": facts.subject,
        "names": list(facts.names),
        "expires_at": facts.expires_at.isoformat(),
    }

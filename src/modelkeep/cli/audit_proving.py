"""Verifying audit chains: by the server, or here."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Self

import click

from modelkeep import client
from modelkeep.cli import failures, session, settings

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Trust:
    """What else the user knows: keys that may sign, and checkpoints that were kept."""

    keys: tuple[bytes, ...]
    kept: tuple[client.SignedCheckpoint, ...]

    @property
    def is_stated(self) -> bool:
        """Whether there is anything."""
        return bool(self.keys or self.kept)

    @classmethod
    def read(cls, keys: Iterable[str], checkpoints: IO[bytes] | None) -> Self:
        """From the options, or click.BadParameter."""
        try:
            kept = client.read_audit_checkpoints(checkpoints or ())
        except client.InvalidRequest as error:
            raise click.BadParameter(error.message, param_hint="--checkpoints") from error
        return cls(tuple(map(_key, keys)), tuple(kept))


def by_server(chosen: settings.Settings, namespace: str | None) -> list[client.AuditVerdict]:
    """What the server says of a chain, or of all."""

    async def work(registry: client.Registry) -> list[client.AuditVerdict]:
        return [one async for one in registry.verify_audit(namespace)]

    return session.run(chosen, work)


def of_export(chosen: settings.Settings, namespace: str, trust: Trust) -> client.AuditVerdict:
    """What comes out here of a chain that the server sends."""

    async def work(registry: client.Registry) -> client.AuditVerdict:
        walking = client.AuditFileWalk(trust.keys, trust.kept)
        async for line in registry.export_audit(namespace):
            if not walking.take(line.encode()):
                break
        return walking.finish()

    return session.run(chosen, work)


def of_file(file: IO[bytes], trust: Trust, chosen: settings.Settings) -> client.AuditVerdict:
    """What comes out of an exported file."""
    try:
        return client.verify_audit_lines(file, trust.keys, trust.kept)
    except client.RegistryError as error:
        raise failures.from_error(error, chosen) from error


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise click.BadParameter(
            f"{text!r} is not a key: expected 32 bytes in base64, as `modelkeep audit keys` shows.",
            param_hint="--key",
        )
    return key

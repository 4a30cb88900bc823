"""Signatures of webhooks by the Standard Webhooks convention, version 1 (standardwebhooks.com)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A random secret of 256 bits, as receivers are told it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def headers(
    message_id: str, timestamp_s: int, body: bytes, signing: Iterable[str]
) -> dict[str, str]:
    """The three headers of a message, signed by each of these secrets.

    Args:
        message_id: the same for every attempt to deliver the message.
        timestamp_s: now, in seconds since 1970.
        body: what is posted.
        signing: secrets that `new_secret` made; during a rotation the new one and the old one.
    """
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in signing),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()

"""Opaque page tokens: signed, and bound to the query they continue."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from modelkeep.domain import errors, limits, pages

T = TypeVar("T")

_SIGNATURE_BYTES = 16
PAGE_BYTES = 1 * limits.MIB
"""A page ends early beyond this size, so that it fits any client's message limit."""


class PageTokens:
    """Makes and reads the tokens of all lists.

    Args:
        secret: the same on all replicas, so that any of them can continue a list.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def read(self, request: Any) -> pages.PageRequest:
        """The page a List request asks for, or `errors.InvalidArgument`."""
        if request.page_size < 0:
            raise errors.invalid(f"is {request.page_size}; expected 0 or more", "page_size")
        size = min(request.page_size or limits.PAGE_DEFAULT, limits.PAGE_MAX)
        return pages.PageRequest(size, self._open(request) if request.page_token else "")

    def write(
        self,
        request: Any,
        page: pages.Page[T],
        entries: Any,
        to_wire: Callable[[T], Message],
    ) -> str:
        """Fill the repeated field `entries` from the page and return the next page's token."""
        size_bytes, last = 0, ""
        for key, entry in page.entries:
            message = to_wire(entry)
            size_bytes += message.ByteSize()
            if last and size_bytes > PAGE_BYTES:
                return self._seal(request, last)
            entries.append(message)
            last = key
        return self._seal(request, page.reached or last) if page.more else ""

    def _seal(self, request: Any, key: str) -> str:
        raw = key.encode()
        return base64.urlsafe_b64encode(self._sign(request, raw) + raw).decode().rstrip("=")

    def _open(self, request: Any) -> str:
        token = request.page_token
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            raw = b""
        signature, key = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(request, key)):
            raise errors.invalid(
                "is not a token of this list with these arguments; start again without it",
                "page_token",
            )
        return key.decode()

    def _sign(self, request: Any, key: bytes) -> bytes:
        query = type(request)()
        query.CopyFrom(request)
        query.ClearField("page_token")
        query.ClearField("page_size")
        if "request_id" in query.DESCRIPTOR.fields_by_name:
            query.ClearField("request_id")  # each page of a change is a request of its own
        text = query.DESCRIPTOR.full_name.encode() + query.SerializeToString(deterministic=True)
        signed = hashlib.sha256(text).digest() + key
        return hmac.new(self._secret, signed, hashlib.sha256).digest()[:_SIGNATURE_BYTES]

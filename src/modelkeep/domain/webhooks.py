"""Webhooks: where events are sent to, and what became of each."""

import datetime
import enum
import urllib.parse
from dataclasses import dataclass, field

from modelkeep.domain import checks, errors, limits, names, subscriptions


@dataclass(frozen=True, slots=True)
class WebhookFields:
    """What a caller may say about a webhook.

    Attributes:
        url: where events are posted to.
        description: for people.
        filter: which events.
        enabled: whether they are sent.
    """

    url: str
    description: str = ""
    filter: subscriptions.EventFilter = field(default_factory=subscriptions.EventFilter)
    enabled: bool = True

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("description", self.description, limits.DESCRIPTION_CHARS, layout=True)
            with found.at("url"):
                check_url(self.url)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as it stands; its secret is never part of it.

    Attributes:
        disabled_reason: why events are not sent; '' while they are.
        failing_since: since when nothing but failure; None while the last attempt succeeded.
        last_success_at: when an event was last delivered.
    """

    name: names.WebhookName
    fields: WebhookFields
    disabled_reason: str
    failing_since: datetime.datetime | None
    last_success_at: datetime.datetime | None
    creator: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    etag: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of posting an event.

    Attributes:
        status: HTTP status; None if there was none, and `error` says why.
        error: one sentence, or ''.
        response: the beginning of the body, without control characters.
        duration_ms: how long it took.
    """

    status: int | None
    error: str
    response: str
    duration_ms: int


class DeliveryState(enum.StrEnum):
    """What has become of an event that a webhook is to get."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver: what was answered, or why nothing.

    Attributes:
        status: HTTP status; None if there was no answer, and `error` says why.
        response: the beginning of the answer's body.
    """

    number: int
    started_at: datetime.datetime
    duration_ms: int
    status: int | None
    error: str
    response: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event for a webhook.

    Attributes:
        attempts: how many were begun.
        next_attempt_at: when the next is due; None if it waits for the one before, or is finished.
        error: what went wrong last; '' once it is delivered.
    """

    name: names.DeliveryName
    action: str
    resource: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime.datetime | None
    planned_at: datetime.datetime
    finished_at: datetime.datetime | None
    error: str


def check_url(url: str) -> None:
    """Raise `errors.InvalidArgument` unless events may be posted to such a URL.

    Where its host leads is looked at when connecting, each time.
    """
    with checks.Checks() as found:
        found.text("", url, limits.WEBHOOK_URL_CHARS, least=1)
        plain = url.isascii() and " " not in url and "\\" not in url
        if found.require(plain, "", "has characters that must be percent-encoded in a URL"):
            for complaint in _complaints(url):
                found.require(False, "", complaint)


def scheme_of(url: str) -> str:
    """`https` or `http`."""
    return urllib.parse.urlsplit(url).scheme.lower()


def host_of(url: str) -> str:
    """The host of a URL that was checked: all that is said of it in logs."""
    return urllib.parse.urlsplit(url).hostname or ""


def _complaints(url: str) -> list[str]:
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return [f"{checks.shown(url)} is not a URL; write https://HOST/PATH"]
    if parts.scheme.lower() not in ("https", "http") or not host or port == 0:
        return [f"{checks.shown(url)} is not the URL of a receiver; write https://HOST/PATH"]
    found = []
    if "@" in parts.netloc:
        found.append("names a user; the signature tells the receiver who sends")
    if "#" in url:
        found.append("has a fragment, which is never sent; leave out what is behind the #")
    return found


def require_scheme(url: str, *, http_allowed: bool) -> None:
    """Raise `errors.InvalidArgument` for http where the server's configuration forbids it."""
    if scheme_of(url) != "https" and not http_allowed:
        raise errors.invalid(
            "is not https; the server would have to be started with "
            "MODELKEEP_WEBHOOK_ALLOW_HTTP=true to send events in the clear",
            "webhook.url",
        )

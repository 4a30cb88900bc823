"""Names of those who are told, and of what they are told."""

import re
from dataclasses import dataclass
from typing import Self

from modelkeep.domain import checks, limits
from modelkeep.domain.names import matching, models

_WEBHOOK = re.compile(r"namespaces/([^/]+)/webhooks/([0-9a-f]{16})")
_DELIVERY = re.compile(r"(namespaces/[^/]+/webhooks/[0-9a-f]{16})/deliveries/([0-9]{1,19})")


@dataclass(frozen=True, slots=True)
class WebhookName:
    """`namespaces/{namespace}/webhooks/{webhook}`; the id is 16 hex digits."""

    namespace: str
    webhook: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.id("", self.namespace)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        return cls(*matching.groups_of(_WEBHOOK, text, "namespaces/{namespace}/webhooks/{webhook}"))

    @property
    def parent(self) -> models.NamespaceName:
        """The namespace it is in."""
        return models.NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/webhooks/{self.webhook}"


@dataclass(frozen=True, slots=True)
class DeliveryName:
    """`namespaces/{namespace}/webhooks/{webhook}/deliveries/{sequence of the event}`."""

    parent: WebhookName
    sequence: int

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.number("", self.sequence, 1, limits.INT64_MAX)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/webhooks/{webhook}/deliveries/{sequence}"
        webhook, sequence = matching.groups_of(_DELIVERY, text, form)
        return cls(WebhookName.parse(webhook), int(sequence))

    @property
    def namespace(self) -> str:
        """Id of the namespace it is in."""
        return self.parent.namespace

    def __str__(self) -> str:
        return f"{self.parent}/deliveries/{self.sequence}"

"""Namespaces: the unit of ownership, access and deduplication."""

import datetime
from dataclasses import dataclass, field

from modelkeep.domain import checks, limits, names, pickle_policies


@dataclass(frozen=True, slots=True)
class NamespaceFields:
    """What a caller may say about a namespace."""

    description: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    pickle_policy: pickle_policies.PicklePolicy = pickle_policies.PicklePolicy.WARN

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("description", self.description, limits.DESCRIPTION_CHARS, layout=True)
            found.labels("labels", self.labels)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace as it stands."""

    name: names.NamespaceName
    fields: NamespaceFields
    creator: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    etag: str

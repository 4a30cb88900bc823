"""Namespaces: the unit of ownership, access and deduplication."""

import datetime
from dataclasses import dataclass, field

from modelkeep.domain import checks, limits, names, pickle_policies, quotas


@dataclass(frozen=True, slots=True)
class NamespaceFields:
    """What a caller may say about a namespace; a quota of 0 is no limit."""

    description: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    pickle_policy: pickle_policies.PicklePolicy = pickle_policies.PicklePolicy.WARN
    stored_bytes_quota: int = 0
    logical_bytes_quota: int = 0
    open_uploads_quota: int = 0

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("description", self.description, limits.DESCRIPTION_CHARS, layout=True)
            found.labels("labels", self.labels)
            for quota in quotas.FIELDS:
                found.number(quota, getattr(self, quota), 0, limits.INT64_MAX)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace as it stands."""

    name: names.NamespaceName
    fields: NamespaceFields
    creator: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    etag: str

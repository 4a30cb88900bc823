"""Names of bytes, stored and on their way."""

import re
from dataclasses import dataclass
from typing import Self

from modelkeep.domain import checks
from modelkeep.domain.names import matching, models

_BLOB = re.compile(r"namespaces/([^/]+)/blobs/([^/]+)")
_UPLOAD = re.compile(r"namespaces/([^/]+)/uploads/([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class BlobName:
    """`namespaces/{namespace}/blobs/{digest}`."""

    namespace: str
    digest: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.id("", self.namespace)
            found.digest("", self.digest)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        return cls(*matching.groups_of(_BLOB, text, "namespaces/{namespace}/blobs/{digest}"))

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/blobs/{self.digest}"


@dataclass(frozen=True, slots=True)
class UploadName:
    """`namespaces/{namespace}/uploads/{upload}`; the id is 32 hex digits."""

    namespace: str
    upload: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.id("", self.namespace)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        return cls(*matching.groups_of(_UPLOAD, text, "namespaces/{namespace}/uploads/{upload}"))

    @property
    def parent(self) -> models.NamespaceName:
        """The namespace it is in."""
        return models.NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/uploads/{self.upload}"

"""Names of what speaks for a version."""

import re
from dataclasses import dataclass
from typing import Self

from modelkeep.domain import checks
from modelkeep.domain.names import matching, models

_EVALUATION = re.compile(
    r"(namespaces/[^/]+/models/[^/]+/versions/[^/]+)/evaluations/([0-9a-f]{16})"
)
_SIGNATURE = re.compile(r"(namespaces/[^/]+/models/[^/]+/versions/[^/]+)/signatures/([0-9a-f]{16})")
_TRUSTED_SIGNER = re.compile(r"namespaces/([^/]+)/trustedSigners/([^/]+)")


@dataclass(frozen=True, slots=True)
class EvaluationName:
    """`namespaces/{namespace}/models/{model}/versions/{semver}/evaluations/{16 hex digits}`."""

    version: models.VersionName
    evaluation: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/models/{model}/versions/{semver}/evaluations/{evaluation}"
        version, evaluation = matching.groups_of(_EVALUATION, text, form)
        return cls(models.VersionName.parse(version), evaluation)

    @property
    def namespace(self) -> str:
        """Id of the namespace it is in."""
        return self.version.namespace

    def __str__(self) -> str:
        return f"{self.version}/evaluations/{self.evaluation}"


@dataclass(frozen=True, slots=True)
class SignatureName:
    """`namespaces/{namespace}/models/{model}/versions/{semver}/signatures/{16 hex digits}`."""

    version: models.VersionName
    signature: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/models/{model}/versions/{semver}/signatures/{signature}"
        version, signature = matching.groups_of(_SIGNATURE, text, form)
        return cls(models.VersionName.parse(version), signature)

    @property
    def namespace(self) -> str:
        """Id of the namespace it is in."""
        return self.version.namespace

    def __str__(self) -> str:
        return f"{self.version}/signatures/{self.signature}"


@dataclass(frozen=True, slots=True)
class TrustedSignerName:
    """`namespaces/{namespace}/trustedSigners/{trusted_signer}`."""

    namespace: str
    signer: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.id("", self.namespace)
            found.id("", self.signer)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/trustedSigners/{trusted_signer}"
        return cls(*matching.groups_of(_TRUSTED_SIGNER, text, form))

    @property
    def parent(self) -> models.NamespaceName:
        """The namespace it is in."""
        return models.NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/trustedSigners/{self.signer}"

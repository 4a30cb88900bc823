"""Names of what decides where a version may stand and run."""

import re
from dataclasses import dataclass
from typing import Self

from modelkeep.domain import checks
from modelkeep.domain.names import matching, models

_TRANSITION = re.compile(
    r"(namespaces/[^/]+/models/[^/]+/versions/[^/]+)/transitions/([0-9a-f]{16})"
)
_GATE_POLICY = re.compile(r"namespaces/([^/]+)(?:/models/([^/]+))?/gatePolicies/([^/]+)")
_ENVIRONMENT = re.compile(r"namespaces/([^/]+)/environments/([^/]+)")
_DEPLOYMENT = re.compile(r"(namespaces/[^/]+/models/[^/]+)/deployments/([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class TransitionName:
    """`namespaces/{namespace}/models/{model}/versions/{semver}/transitions/{16 hex digits}`."""

    version: models.VersionName
    transition: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/models/{model}/versions/{semver}/transitions/{transition}"
        version, transition = matching.groups_of(_TRANSITION, text, form)
        return cls(models.VersionName.parse(version), transition)

    @property
    def namespace(self) -> str:
        """Id of the namespace it is in."""
        return self.version.namespace

    def __str__(self) -> str:
        return f"{self.version}/transitions/{self.transition}"


@dataclass(frozen=True, slots=True)
class GatePolicyName:
    """`namespaces/{namespace}[/models/{model}]/gatePolicies/{stage}`."""

    owner: models.NamespaceName | models.ModelName
    stage: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            gated = ("staging", "production")
            found.require(
                self.stage in gated,
                "",
                f"{checks.shown(self.stage)} has no gates; staging and production have",
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/gatePolicies/{stage} or .../models/{model}/gatePolicies/..."
        namespace, model, stage = matching.groups_of(_GATE_POLICY, text, form)
        owner = models.ModelName(namespace, model) if model else models.NamespaceName(namespace)
        return cls(owner, stage)

    @property
    def namespace(self) -> str:
        """Id of the namespace it is in."""
        return self.owner.namespace

    def __str__(self) -> str:
        return f"{self.owner}/gatePolicies/{self.stage}"


@dataclass(frozen=True, slots=True)
class EnvironmentName:
    """`namespaces/{namespace}/environments/{environment}`."""

    namespace: str
    environment: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.id("", self.namespace)
            found.id("", self.environment)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        return cls(
            *matching.groups_of(
                _ENVIRONMENT, text, "namespaces/{namespace}/environments/{environment}"
            )
        )

    @property
    def parent(self) -> models.NamespaceName:
        """The namespace it is in."""
        return models.NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/environments/{self.environment}"


@dataclass(frozen=True, slots=True)
class DeploymentName:
    """`namespaces/{namespace}/models/{model}/deployments/{16 hex digits}`."""

    parent: models.ModelName
    deployment: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/models/{model}/deployments/{deployment}"
        model, deployment = matching.groups_of(_DEPLOYMENT, text, form)
        return cls(models.ModelName.parse(model), deployment)

    @property
    def namespace(self) -> str:
        """Id of the namespace it is in."""
        return self.parent.namespace

    @property
    def model(self) -> str:
        """Id of the model it is of."""
        return self.parent.model

    def __str__(self) -> str:
        return f"{self.parent}/deployments/{self.deployment}"

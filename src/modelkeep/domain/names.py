"""Resource names: what they are made of, and their one spelling."""

import re
from dataclasses import dataclass
from typing import Self

from modelkeep.domain import checks, errors, limits, paths, semver

_NAMESPACE = re.compile(r"namespaces/([^/]+)")
_MODEL = re.compile(r"namespaces/([^/]+)/models/([^/]+)")
_VERSION = re.compile(r"namespaces/([^/]+)/models/([^/]+)/versions/([^/]+)")
_ALIAS = re.compile(r"namespaces/([^/]+)/models/([^/]+)/aliases/([^/]+)")
_FILE = re.compile(r"(namespaces/[^/]+/models/[^/]+/versions/[^/]+)/files/(.+)", re.DOTALL)
_BLOB = re.compile(r"namespaces/([^/]+)/blobs/([^/]+)")
_WEBHOOK = re.compile(r"namespaces/([^/]+)/webhooks/([0-9a-f]{16})")
_DELIVERY = re.compile(r"(namespaces/[^/]+/webhooks/[0-9a-f]{16})/deliveries/([0-9]{1,19})")
_EVALUATION = re.compile(
    r"(namespaces/[^/]+/models/[^/]+/versions/[^/]+)/evaluations/([0-9a-f]{16})"
)
_TRANSITION = re.compile(
    r"(namespaces/[^/]+/models/[^/]+/versions/[^/]+)/transitions/([0-9a-f]{16})"
)
_GATE_POLICY = re.compile(r"namespaces/([^/]+)(?:/models/([^/]+))?/gatePolicies/([^/]+)")
_ENVIRONMENT = re.compile(r"namespaces/([^/]+)/environments/([^/]+)")
_DEPLOYMENT = re.compile(r"(namespaces/[^/]+/models/[^/]+)/deployments/([0-9a-f]{16})")
_SIGNATURE = re.compile(r"(namespaces/[^/]+/models/[^/]+/versions/[^/]+)/signatures/([0-9a-f]{16})")
_TRUSTED_SIGNER = re.compile(r"namespaces/([^/]+)/trustedSigners/([^/]+)")
_UPLOAD = re.compile(r"namespaces/([^/]+)/uploads/([0-9a-f]{32})")

RESERVED_ALIASES = frozenset({"latest", "development", "staging", "production", "archived"})


def _match(pattern: re.Pattern[str], text: str, form: str) -> tuple[str, ...]:
    longest = 4 * limits.ID_CHARS + limits.PATH_BYTES
    found = pattern.fullmatch(text) if len(text) <= longest else None
    if found is None:
        shown = checks.shown(text)
        raise errors.invalid(f"{shown} does not match {form}")
    return found.groups()


@dataclass(frozen=True, slots=True)
class NamespaceName:
    """`namespaces/{namespace}`."""

    namespace: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.id("", self.namespace)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        return cls(*_match(_NAMESPACE, text, "namespaces/{namespace}"))

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}"


@dataclass(frozen=True, slots=True)
class ModelName:
    """`namespaces/{namespace}/models/{model}`."""

    namespace: str
    model: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.id("", self.namespace)
            found.id("", self.model)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        return cls(*_match(_MODEL, text, "namespaces/{namespace}/models/{model}"))

    @property
    def parent(self) -> NamespaceName:
        """The namespace it is in."""
        return NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/models/{self.model}"


@dataclass(frozen=True, slots=True)
class VersionName:
    """`namespaces/{namespace}/models/{model}/versions/{semver}`."""

    namespace: str
    model: str
    version: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.id("", self.namespace)
            found.id("", self.model)
            with found.at(""):
                semver.parse(self.version)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/models/{model}/versions/{semver}"
        return cls(*_match(_VERSION, text, form))

    @property
    def parent(self) -> ModelName:
        """The model it is a version of."""
        return ModelName(self.namespace, self.model)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/models/{self.model}/versions/{self.version}"


@dataclass(frozen=True, slots=True)
class AliasName:
    """`namespaces/{namespace}/models/{model}/aliases/{alias}`."""

    namespace: str
    model: str
    alias: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.id("", self.namespace)
            found.id("", self.model)
            found.id("", self.alias)
            found.require(
                self.alias not in RESERVED_ALIASES,
                "",
                f"{self.alias!r} is reserved; choose another alias",
            )
            found.require(
                not semver.is_selector(self.alias),
                "",
                f"{checks.shown(self.alias)} looks like a version or a range; choose another alias",
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/models/{model}/aliases/{alias}"
        return cls(*_match(_ALIAS, text, form))

    @property
    def parent(self) -> ModelName:
        """The model it is an alias in."""
        return ModelName(self.namespace, self.model)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/models/{self.model}/aliases/{self.alias}"


@dataclass(frozen=True, slots=True)
class FileName:
    """`namespaces/{namespace}/models/{model}/versions/{semver}/files/{path=**}`."""

    version: VersionName
    path: str

    def __post_init__(self) -> None:
        with checks.Checks() as found, found.at(""):
            paths.check(self.path)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/models/{model}/versions/{semver}/files/{path}"
        version, path = _match(_FILE, text, form)
        return cls(VersionName.parse(version), path)

    @property
    def namespace(self) -> str:
        """Id of the namespace it is in."""
        return self.version.namespace

    def __str__(self) -> str:
        return f"{self.version}/files/{self.path}"


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
        return cls(*_match(_BLOB, text, "namespaces/{namespace}/blobs/{digest}"))

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
        return cls(*_match(_UPLOAD, text, "namespaces/{namespace}/uploads/{upload}"))

    @property
    def parent(self) -> NamespaceName:
        """The namespace it is in."""
        return NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/uploads/{self.upload}"


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
        return cls(*_match(_WEBHOOK, text, "namespaces/{namespace}/webhooks/{webhook}"))

    @property
    def parent(self) -> NamespaceName:
        """The namespace it is in."""
        return NamespaceName(self.namespace)

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
        webhook, sequence = _match(_DELIVERY, text, form)
        return cls(WebhookName.parse(webhook), int(sequence))

    @property
    def namespace(self) -> str:
        """Id of the namespace it is in."""
        return self.parent.namespace

    def __str__(self) -> str:
        return f"{self.parent}/deliveries/{self.sequence}"


@dataclass(frozen=True, slots=True)
class EvaluationName:
    """`namespaces/{namespace}/models/{model}/versions/{semver}/evaluations/{16 hex digits}`."""

    version: VersionName
    evaluation: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/models/{model}/versions/{semver}/evaluations/{evaluation}"
        version, evaluation = _match(_EVALUATION, text, form)
        return cls(VersionName.parse(version), evaluation)

    @property
    def namespace(self) -> str:
        """Id of the namespace it is in."""
        return self.version.namespace

    def __str__(self) -> str:
        return f"{self.version}/evaluations/{self.evaluation}"


@dataclass(frozen=True, slots=True)
class TransitionName:
    """`namespaces/{namespace}/models/{model}/versions/{semver}/transitions/{16 hex digits}`."""

    version: VersionName
    transition: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/models/{model}/versions/{semver}/transitions/{transition}"
        version, transition = _match(_TRANSITION, text, form)
        return cls(VersionName.parse(version), transition)

    @property
    def namespace(self) -> str:
        """Id of the namespace it is in."""
        return self.version.namespace

    def __str__(self) -> str:
        return f"{self.version}/transitions/{self.transition}"


@dataclass(frozen=True, slots=True)
class GatePolicyName:
    """`namespaces/{namespace}[/models/{model}]/gatePolicies/{stage}`."""

    owner: NamespaceName | ModelName
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
        namespace, model, stage = _match(_GATE_POLICY, text, form)
        owner = ModelName(namespace, model) if model else NamespaceName(namespace)
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
        return cls(*_match(_ENVIRONMENT, text, "namespaces/{namespace}/environments/{environment}"))

    @property
    def parent(self) -> NamespaceName:
        """The namespace it is in."""
        return NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/environments/{self.environment}"


@dataclass(frozen=True, slots=True)
class DeploymentName:
    """`namespaces/{namespace}/models/{model}/deployments/{16 hex digits}`."""

    parent: ModelName
    deployment: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/models/{model}/deployments/{deployment}"
        model, deployment = _match(_DEPLOYMENT, text, form)
        return cls(ModelName.parse(model), deployment)

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


@dataclass(frozen=True, slots=True)
class SignatureName:
    """`namespaces/{namespace}/models/{model}/versions/{semver}/signatures/{16 hex digits}`."""

    version: VersionName
    signature: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, or raise `errors.InvalidArgument`."""
        form = "namespaces/{namespace}/models/{model}/versions/{semver}/signatures/{signature}"
        version, signature = _match(_SIGNATURE, text, form)
        return cls(VersionName.parse(version), signature)

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
        return cls(*_match(_TRUSTED_SIGNER, text, form))

    @property
    def parent(self) -> NamespaceName:
        """The namespace it is in."""
        return NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/trustedSigners/{self.signer}"


Resource = (
    NamespaceName
    | ModelName
    | VersionName
    | AliasName
    | FileName
    | BlobName
    | UploadName
    | WebhookName
    | DeliveryName
    | EvaluationName
    | SignatureName
    | TrustedSignerName
    | TransitionName
    | GatePolicyName
    | EnvironmentName
    | DeploymentName
)
"""Whatever a caller may do something to."""

"""Names of models, their versions, and what leads to them."""

import re
from dataclasses import dataclass
from typing import Self

from modelkeep.domain import checks, paths, semver
from modelkeep.domain.names import matching

_NAMESPACE = re.compile(r"namespaces/([^/]+)")
_MODEL = re.compile(r"namespaces/([^/]+)/models/([^/]+)")
_VERSION = re.compile(r"namespaces/([^/]+)/models/([^/]+)/versions/([^/]+)")
_ALIAS = re.compile(r"namespaces/([^/]+)/models/([^/]+)/aliases/([^/]+)")
_FILE = re.compile(r"(namespaces/[^/]+/models/[^/]+/versions/[^/]+)/files/(.+)", re.DOTALL)

RESERVED_ALIASES = frozenset({"latest", "development", "staging", "production", "archived"})


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
        return cls(*matching.groups_of(_NAMESPACE, text, "namespaces/{namespace}"))

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
        return cls(*matching.groups_of(_MODEL, text, "namespaces/{namespace}/models/{model}"))

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
        return cls(*matching.groups_of(_VERSION, text, form))

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
        return cls(*matching.groups_of(_ALIAS, text, form))

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
        version, path = matching.groups_of(_FILE, text, form)
        return cls(VersionName.parse(version), path)

    @property
    def namespace(self) -> str:
        """Id of the namespace it is in."""
        return self.version.namespace

    def __str__(self) -> str:
        return f"{self.version}/files/{self.path}"

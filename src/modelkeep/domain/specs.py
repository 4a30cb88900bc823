"""What a version is and how it was made: the part of it that is sealed."""

import enum
import math
import re
from dataclasses import dataclass, field

from modelkeep.domain import checks, limits

Scalar = bool | int | float | str
"""A typed parameter value."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,127})\s*\}\}")
PROMPT_ROLES = ("system", "developer", "user", "assistant", "tool")
PROMPT_FILE = "prompt.json"
"""The file that the canonical JSON of a prompt spec becomes."""


class BaseRelation(enum.StrEnum):
    """How a version relates to its base."""

    UNSPECIFIED = "unspecified"
    ADAPTER = "adapter"
    FINE_TUNE = "fine_tune"
    QUANTIZATION = "quantization"
    MERGE = "merge"
    DISTILLATION = "distillation"


class DatasetRole(enum.StrEnum):
    """What a dataset was used for."""

    UNSPECIFIED = "unspecified"
    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One named input or output."""

    name: str
    dtype: str = ""
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("name", self.name, limits.NAME_CHARS, least=1)
            found.text("dtype", self.dtype, limits.TOKEN_CHARS)
            found.size("shape", self.shape, limits.DIMENSIONS)
            for n, size in enumerate(self.shape):
                found.require(size >= -1, f"shape[{n}]", f"is {size}; expected -1 or more")


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something the model needs in order to run."""

    ecosystem: str
    name: str
    version: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("ecosystem", self.ecosystem, limits.TOKEN_CHARS, least=1)
            found.text("name", self.name, limits.NAME_CHARS, least=1)
            found.text("version", self.version, limits.REVISION_CHARS)
            found.digest("digest", self.digest, optional=True)


@dataclass(frozen=True, slots=True)
class BaseModel:
    """What a version was made from: a version of this registry, or a URI."""

    version: str = ""
    uri: str = ""
    relation: BaseRelation = BaseRelation.UNSPECIFIED

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.require(
                bool(self.version) != bool(self.uri), "", "needs either a version or a uri"
            )
            found.uri("uri", self.uri)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Trained weights, an adapter or a pipeline."""

    framework: str = ""
    framework_version: str = ""
    task: str = ""
    architecture: str = ""
    parameters: dict[str, Scalar] = field(default_factory=dict)
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    base: BaseModel | None = None

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("framework", self.framework, limits.TOKEN_CHARS)
            found.text("framework_version", self.framework_version, limits.REVISION_CHARS)
            found.text("task", self.task, limits.TASK_CHARS)
            found.text("architecture", self.architecture, limits.TASK_CHARS)
            found.size("parameters", self.parameters, limits.PARAMETERS)
            for name, value in self.parameters.items():
                _check_parameter(found, name, value)
            found.size("inputs", self.inputs, limits.TENSORS)
            found.size("outputs", self.outputs, limits.TENSORS)
            found.size("dependencies", self.dependencies, limits.DEPENDENCIES)


def _check_parameter(found: checks.Checks, name: str, value: Scalar) -> None:
    at = f"parameters[{checks.shown(name)}]"
    found.text(at, name, limits.NAME_CHARS, least=1)
    if isinstance(value, str):
        found.text(at, value, limits.SCALAR_CHARS, layout=True)
    else:
        found.require(math.isfinite(value), at, f"is {value}; expected a finite number")


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt."""

    role: str
    content: str

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            roles = ", ".join(PROMPT_ROLES)
            found.require(
                self.role in PROMPT_ROLES,
                "role",
                f"{checks.shown(self.role)} is not a role; there are {roles}",
            )
            found.text("content", self.content, limits.PROMPT_CHARS, layout=True)


@dataclass(frozen=True, slots=True)
class PromptTool:
    """A tool that the hosted model may call."""

    name: str
    description: str = ""
    parameters_schema: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("name", self.name, limits.TOOL_NAME_CHARS, least=1)
            found.text("description", self.description, limits.TOOL_DESCRIPTION_CHARS, layout=True)
            found.json("parameters_schema", self.parameters_schema, limits.SCHEMA_CHARS)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the hosted model is sampled; None leaves the provider's default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.number("temperature", self.temperature or 0, 0, 100)
            found.number("top_p", self.top_p or 0, 0, 1)
            found.number(
                "max_tokens",
                1 if self.max_tokens is None else self.max_tokens,
                1,
                limits.JSON_INT_MAX,
            )
            found.number("seed", self.seed or 0, -limits.JSON_INT_MAX, limits.JSON_INT_MAX)
            found.size("stop", self.stop, limits.STOP_STRINGS)
            for n, text in enumerate(self.stop):
                found.text(f"stop[{n}]", text, limits.STOP_CHARS, least=1, layout=True)


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """A prompt/LLM configuration."""

    provider: str
    hosted_model: str
    messages: tuple[PromptMessage, ...]
    variables: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    tools: tuple[PromptTool, ...] = ()
    response_schema: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("provider", self.provider, limits.TOKEN_CHARS, least=1)
            found.text("hosted_model", self.hosted_model, limits.NAME_CHARS, least=1)
            found.size("messages", self.messages, limits.PROMPT_MESSAGES, least=1)
            found.size("tools", self.tools, limits.PROMPT_TOOLS)
            found.json("response_schema", self.response_schema, limits.SCHEMA_CHARS)
            self._check_variables(found)

    def _check_variables(self, found: checks.Checks) -> None:
        found.size("variables", self.variables, limits.PROMPT_VARIABLES)
        for n, name in enumerate(self.variables):
            shown = checks.shown(name)
            at = f"variables[{n}]"
            found.require(_VARIABLE.fullmatch(name) is not None, at, f"{shown} is not a name")
            found.require(name not in self.variables[:n], at, f"{shown} is listed twice")
        used = set().union(*(_PLACEHOLDER.findall(m.content) for m in self.messages))
        for name in sorted(used - set(self.variables)):
            found.require(False, "variables", f"lacks {name!r}, which a message uses")
        for name in sorted(set(self.variables) - used):
            found.require(False, "variables", f"{checks.shown(name)} is used by no message")


Spec = ModelSpec | PromptSpec


@dataclass(frozen=True, slots=True)
class DatasetReference:
    """One revision of a dataset that a version was made with."""

    name: str
    revision: str
    digest: str = ""
    uri: str = ""
    role: DatasetRole = DatasetRole.UNSPECIFIED

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("name", self.name, limits.NAME_CHARS, least=1)
            found.text("revision", self.revision, limits.REVISION_CHARS, least=1)
            found.digest("digest", self.digest, optional=True)
            found.uri("uri", self.uri)


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that the version's maker reports."""

    name: str
    value: float

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("name", self.name, limits.NAME_CHARS, least=1)
            found.require(
                math.isfinite(self.value), "value", f"is {self.value}; expected a finite number"
            )


@dataclass(frozen=True, slots=True)
class Source:
    """The code that made a version."""

    repository: str = ""
    commit: str = ""
    run: str = ""

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.text("repository", self.repository, limits.URI_CHARS)
            found.text("commit", self.commit, limits.REVISION_CHARS)
            found.text("run", self.run, limits.URI_CHARS)


@dataclass(frozen=True, slots=True)
class Content:
    """Everything about a version that sealing freezes, except its files."""

    spec: Spec | None = None
    datasets: tuple[DatasetReference, ...] = ()
    metrics: tuple[Metric, ...] = ()
    source: Source = Source()

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.size("datasets", self.datasets, limits.DATASETS)
            found.size("metrics", self.metrics, limits.METRICS)
            seen: set[str] = set()
            for n, metric in enumerate(self.metrics):
                found.require(metric.name not in seen, f"metrics[{n}].name", "is there twice")
                seen.add(metric.name)

    @property
    def base_version(self) -> str:
        """Name of the version of this registry it was made from, or ''."""
        base = self.spec.base if isinstance(self.spec, ModelSpec) else None
        return base.version if base else ""

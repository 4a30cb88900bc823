"""What a version is and how it was made, as its maker states it."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

Scalar = bool | int | float | str
"""One typed value of a parameter."""


class BaseRelation(enum.StrEnum):
    """What was done to a base model."""

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
    """One named tensor that a model takes or gives; -1 in `shape` stands for what varies."""

    name: str
    dtype: str
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something the model needs in order to run."""

    ecosystem: str
    name: str
    version: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """What a version was made from: `version` (a reference or name in this registry) or `uri`."""

    version: str = ""
    uri: str = ""
    relation: BaseRelation = BaseRelation.UNSPECIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """The description of trained weights, an adapter or a pipeline."""

    framework: str = ""
    framework_version: str = ""
    task: str = ""
    architecture: str = ""
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    base: BaseModel | None = None


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt; `{{name}}` in `content` stands for a template variable."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class PromptTool:
    """A tool the hosted model may call; `parameters_schema` is JSON Schema as text."""

    name: str
    description: str = ""
    parameters_schema: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the hosted model is sampled; None leaves the provider's default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSpec:
    """A prompt/LLM configuration; `response_schema` is JSON Schema as text."""

    provider: str
    hosted_model: str
    messages: tuple[PromptMessage, ...]
    variables: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    tools: tuple[PromptTool, ...] = ()
    response_schema: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One revision of a dataset that a version was made with."""

    name: str
    revision: str
    digest: str = ""
    uri: str = ""
    role: DatasetRole = DatasetRole.UNSPECIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The code that made a version."""

    repository: str = ""
    commit: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """All that a maker says about a new version, apart from its files."""

    spec: ModelSpec | PromptSpec = field(default_factory=ModelSpec)
    datasets: tuple[Dataset, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    source: Source = field(default_factory=Source)
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    card: str = ""

"""What the server found inside files."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class PicklePolicy(enum.StrEnum):
    """What becomes of a namespace's versions with pickles."""

    UNSPECIFIED = "unspecified"
    ALLOW = "allow"
    WARN = "warn"
    QUARANTINE = "quarantine"


class PickleVerdict(enum.StrEnum):
    """What a file's pickles would do when they are loaded, the worst of them."""

    UNSPECIFIED = "unspecified"
    NONE = "none"
    PLAIN = "plain"
    IMPORTS = "imports"
    DANGEROUS = "dangerous"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PickleFacts:
    """The pickles of a file, read without loading them; `problem` is why not to their end."""

    verdict: PickleVerdict
    imports: tuple[str, ...]
    dangerous_imports: tuple[str, ...]
    opcodes: Mapping[str, int]
    streams: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What is inside a file; None and '' mean that the format does not say."""

    format: str
    problem: str
    tensor_count: int | None
    parameter_count: int | None
    dtypes: tuple[str, ...]
    architecture: str
    quantisation: str
    opset: int | None
    external_tensors: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    metadata: Mapping[str, str]
    pickle: PickleFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionWarning:
    """Something about a version's files; `paths` are the first of `file_count`."""

    reason: str
    description: str
    paths: tuple[str, ...]
    file_count: int

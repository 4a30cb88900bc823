"""What can be said about the inside of a file."""

import collections
import enum
from dataclasses import dataclass, field

RULES = 1
"""Number of the rules that find facts; raise it when they get better, and blobs are read again."""

SHOWN_IMPORTS = 64
"""Most imports of a file's pickles that are told, the dangerous first."""
OTHER = "other"
"""The format of a file we know nothing about."""


class PickleVerdict(enum.StrEnum):
    """What a file's pickles do when they are loaded, the worst of them."""

    NONE = "none"
    """There is no pickle in it."""
    PLAIN = "plain"
    """It makes values and imports nothing."""
    IMPORTS = "imports"
    """It imports and calls things, none of which is known to be dangerous."""
    DANGEROUS = "dangerous"
    """It imports something that runs commands, reads files, or reaches whatever it likes."""
    UNKNOWN = "unknown"
    """It could not be read to its end; treat it as a pickle that does anything."""


@dataclass(frozen=True, slots=True)
class PickleFacts:
    """What the pickles of a file would do.

    Attributes:
        verdict: the worst of them.
        imports: what they import, as `module.name`, each once, in order; some at most.
        dangerous: those of the imports that are known to be dangerous.
        opcodes: how often each opcode occurs.
        streams: how many pickles were found.
        problem: why they could not be read to their end, or ''.
    """

    verdict: PickleVerdict = PickleVerdict.NONE
    imports: tuple[str, ...] = ()
    dangerous: tuple[str, ...] = ()
    opcodes: dict[str, int] = field(default_factory=dict)
    streams: int = 0
    problem: str = ""

    @property
    def found(self) -> bool:
        """Whether the file has a pickle, or may have one."""
        return self.verdict is not PickleVerdict.NONE

    def joined(self, other: "PickleFacts") -> "PickleFacts":
        """What both together would do."""
        counts = collections.Counter(self.opcodes) + collections.Counter(other.opcodes)
        return PickleFacts(
            verdict=max(self.verdict, other.verdict, key=_BADNESS.index),
            imports=_some(self.dangerous + other.dangerous + self.imports + other.imports),
            dangerous=_some(self.dangerous + other.dangerous),
            opcodes=dict(sorted(counts.items())),
            streams=self.streams + other.streams,
            problem=self.problem or other.problem,
        )


_BADNESS = list(PickleVerdict)
_BADNESS.sort(key=lambda verdict: verdict is PickleVerdict.DANGEROUS)


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))[:SHOWN_IMPORTS]


def unreadable(why: str) -> PickleFacts:
    """Of bytes that may hold a pickle and cannot be looked into."""
    return PickleFacts(verdict=PickleVerdict.UNKNOWN, problem=why)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is inside a file; None and '' mean that the format does not say.

    Attributes:
        format: `safetensors`, `gguf`, `onnx`, `pickle`, `torch`, ... or `other`.
        problem: why not all could be read, or how the file is broken; '' if neither.
        tensor_count: how many tensors it has.
        parameter_count: their elements, summed.
        dtypes: their element types in the format's own words, sorted.
        architecture: what the file calls the model's architecture.
        quantisation: how its weights are quantised.
        opset: version of the default ONNX operator set.
        external: whether tensors are kept in other files.
        inputs: names of what the graph takes.
        outputs: names of what the graph gives.
        metadata: what else the file says of itself, some entries at most, cut short.
        pickle: what its pickles would do.
    """

    format: str = OTHER
    problem: str = ""
    tensor_count: int | None = None
    parameter_count: int | None = None
    dtypes: tuple[str, ...] = ()
    architecture: str = ""
    quantisation: str = ""
    opset: int | None = None
    external: bool = False
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    pickle: PickleFacts = field(default_factory=PickleFacts)

"""Files with what is inside them, and how many of them are looked into."""

from dataclasses import dataclass

from modelkeep.domain import manifests
from modelkeep.domain.formats import facts

FILES_AT_A_SEAL = 200
"""Most files looked into when a version is sealed; in a namespace that quarantines pickles, all."""
SECONDS_AT_A_SEAL = 20.0
"""After so long no further file is begun; in a namespace that quarantines pickles, all are."""

_WORTH_MORE = (
    ".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".npz", ".jit",
    ".safetensors", ".onnx", ".gguf", ".zip", ".gz",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class InspectedFile:
    """A file of a version, and what is inside; None if nobody looked."""

    file: manifests.File
    facts: facts.Facts | None


def urgency(file: manifests.File) -> tuple[bool, int]:
    """Sorts the files first that models are made of, then the large ones."""
    return not file.path.lower().endswith(_WORTH_MORE), -file.size_bytes

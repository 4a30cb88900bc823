"""The files of a version, and the digest that stands for all of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.domain import checks, errors, limits, paths, specs

_HEADER = "modelkeep-manifest-v1"


@dataclass(frozen=True, slots=True)
class File:
    """One file: where it is, what it holds."""

    path: str
    digest: str
    size_bytes: int
    media_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            with found.at("path"):
                paths.check(self.path)
            found.digest("digest", self.digest)
            found.number("size_bytes", self.size_bytes, 0, limits.MAX_BLOB_BYTES)
            found.text("media_type", self.media_type, limits.MEDIA_TYPE_CHARS, least=1)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All files of a version, sorted by the bytes of their path."""

    files: tuple[File, ...]

    @classmethod
    def of(cls, files: Sequence[File]) -> "Manifest":
        """Sort the files; raise `errors.InvalidArgument` if two share a place or are too many."""
        with checks.Checks() as found:
            found.size("files", files, limits.FILES_PER_VERSION)
            with found.at("files"):
                paths.check_all(file.path for file in files)
        return cls(tuple(sorted(files, key=lambda file: file.path.encode())))

    @property
    def digest(self) -> str:
        """`sha256:` over one header line and a line `{hex}  {size}  {path}` for each file."""
        text = hashlib.sha256(f"{_HEADER}\n".encode())
        for file in self.files:
            line = f"{file.digest.removeprefix('sha256:')}  {file.size_bytes}  {file.path}\n"
            text.update(line.encode())
        return f"sha256:{text.hexdigest()}"

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes."""
        return sum(file.size_bytes for file in self.files)


def require_content(manifest: Manifest, spec: specs.Spec | None) -> None:
    """Raise `errors.InvalidArgument` for a version without content or with a reserved path."""
    is_prompt = isinstance(spec, specs.PromptSpec)
    if not manifest.files and not is_prompt:
        raise errors.invalid("must not be empty", "files")
    if is_prompt and any(file.path.casefold() == specs.PROMPT_FILE for file in manifest.files):
        why = f"{specs.PROMPT_FILE} is reserved: the server writes it from the prompt spec"
        raise errors.invalid(why, "files")

"""What a re-reading of stored bytes finds."""

import enum
from dataclasses import dataclass

from modelkeep.domain import manifests


class Verdict(enum.StrEnum):
    """Whether stored bytes are the ones that were pushed."""

    OK = "ok"
    CORRUPT = "corrupt"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class FileResult:
    """What was found of one file; `detail` says what is wrong with it, '' if nothing is."""

    file: manifests.File
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class Rereading:
    """How far the re-reading of a version is, in bytes, and a result if there is a new one."""

    checked_bytes: int
    total_bytes: int
    total_files: int
    result: FileResult | None = None

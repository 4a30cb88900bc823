"""The file that a prompt spec becomes: canonical JSON, so that equal prompts have equal digests."""

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any

import google_crc32c
import rfc8785

from modelkeep.domain import manifests, specs


@dataclass(frozen=True, slots=True)
class PromptFile:
    """`prompt.json` with its bytes and their CRC32C."""

    file: manifests.File
    body: bytes
    crc32c: int


def render(spec: specs.PromptSpec) -> PromptFile:
    """RFC 8785 JSON of a prompt spec; fields that say nothing are left out."""
    body = rfc8785.dumps(_without_empty(dataclasses.asdict(spec)))
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    file = manifests.File(specs.PROMPT_FILE, digest, len(body), "application/json")
    return PromptFile(file, body, google_crc32c.value(body))


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_empty(entry) for key, entry in value.items()}
        return {key: entry for key, entry in kept.items() if entry not in (None, "", [], {})}
    if isinstance(value, (list, tuple)):
        return [_without_empty(entry) for entry in value]
    return value

"""What a repository's own files say about it: front matter of README.md, config.json."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from modelkeep.client import specs
from modelkeep.client.exchange import facts

MAX_CARD_CHARS = 256 * 1024
MAX_READ_BYTES = 4 * MAX_CARD_CHARS
"""Of a card or a configuration; nobody's is larger."""
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_LABELS = {
    "license": "license",
    "pipeline_tag": "task",
    "library_name": "library",
    "language": "language",
    "datasets": "datasets",
}
"""The label of each field of the front matter that becomes one. Datasets have no revision there."""
_MAX_FIELD_CHARS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card's text without its front matter, and what that says."""

    text: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    task: str = ""
    library: str = ""
    fault: str = ""


def read_card(raw: bytes) -> Card:
    """The card; `fault` says why its front matter could not be read, if so."""
    whole = raw.decode("utf-8", errors="replace")
    found = _FRONT.match(whole)
    text = facts.laid_out((whole[found.end() :] if found else whole).strip("\r\n"), MAX_CARD_CHARS)
    if found is None:
        return Card(text=text)
    try:
        said = yaml.safe_load(found[1])
    except (yaml.YAMLError, ValueError, RecursionError) as bad:
        return Card(text=text, fault=f"its front matter is not YAML: {type(bad).__name__}")
    if not isinstance(said, dict):
        return Card(text=text, fault="its front matter is not a mapping")
    return Card(
        text=text,
        labels=_labels(said),
        task=_word(said.get("pipeline_tag")),
        library=_word(said.get("library_name")),
    )


def _labels(said: Mapping[Any, Any]) -> dict[str, str]:
    found = {label: ", ".join(_words(said.get(key))) for key, label in _LABELS.items()}
    return {key: facts.cut(value, facts.MAX_LABEL_CHARS) for key, value in found.items() if value}


def _words(value: object) -> list[str]:
    """A text, or the texts of a list."""
    listed = value if isinstance(value, list) else [value]
    return [one for one in map(_word, listed) if one]


def _word(value: object) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return facts.cut(str(value), _MAX_FIELD_CHARS)
    return ""


def read_config(raw: bytes) -> tuple[str, dict[str, specs.Scalar]]:
    """Architecture and kind of model that a config.json names; nothing if it is not readable."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return "", {}
    if not isinstance(said, dict):
        return "", {}
    kind = _word(said.get("model_type"))
    named = _words(said.get("architectures"))
    return (named[0] if named else kind), {"model_type": kind} if kind else {}

"""The fields of a version, and of its model, that a search knows."""

import difflib
import enum
from dataclasses import dataclass

from modelkeep.domain import models, risks, stages, versions


class Type(enum.Enum):
    """What a field is compared with; the value says it to people."""

    TEXT = 'text such as "a b"'
    NUMBER = "a number such as 0.9"
    WHOLE = "a whole number such as 17"
    SCALAR = 'a number, true, false or "text"'
    INSTANT = 'a time such as "2026-01-31T12:00:00Z"'
    VERSION = "a semantic version such as 1.2.0"
    CHOICE = "one of"
    NAME = 'a version such as "acme/voice@1.2.0"'


@dataclass(frozen=True, slots=True)
class Field:
    """One field, or a family of fields told apart by a key.

    Attributes:
        name: what it is called.
        type: what it is compared with.
        keyed: whether a key follows: `labels.team`.
        many: whether a version may have several.
        choices: all values there are, of a `Type.CHOICE`.
    """

    name: str
    type: Type
    keyed: bool = False
    many: bool = False
    choices: tuple[str, ...] = ()


_PICKLE_VERDICTS = ("none", "plain", "imports", "dangerous", "unknown")
_ALL = (
    Field("name", Type.NAME),
    Field("model", Type.TEXT),
    Field("version", Type.VERSION),
    Field("ordinal", Type.WHOLE),
    Field("state", Type.CHOICE, choices=tuple(versions.VersionState)),
    Field("stage", Type.CHOICE, choices=stages.STAGES),
    Field("aliases", Type.TEXT, many=True),
    Field("kind", Type.CHOICE, choices=tuple(models.ModelKind)),
    Field("framework", Type.TEXT),
    Field("task", Type.TEXT),
    Field("architecture", Type.TEXT),
    Field("provider", Type.TEXT),
    Field("hosted_model", Type.TEXT),
    Field("creator", Type.TEXT),
    Field("owner", Type.TEXT),
    Field("risk_tier", Type.CHOICE, choices=risks.STATED),
    Field("description", Type.TEXT),
    Field("card", Type.TEXT),
    Field("create_time", Type.INSTANT),
    Field("update_time", Type.INSTANT),
    Field("finalize_time", Type.INSTANT),
    Field("size", Type.WHOLE),
    Field("file_count", Type.WHOLE),
    Field("labels", Type.TEXT, keyed=True),
    Field("model.labels", Type.TEXT, keyed=True),
    Field("params", Type.SCALAR, keyed=True),
    Field("metrics", Type.NUMBER, keyed=True),
    Field("metric", Type.NUMBER, many=True),
    Field("datasets", Type.TEXT, many=True),
    Field("source.repository", Type.TEXT),
    Field("source.commit", Type.TEXT),
    Field("base", Type.NAME),
    Field("base.uri", Type.TEXT),
    Field("files.path", Type.TEXT, many=True),
    Field("files.format", Type.TEXT, many=True),
    Field("files.architecture", Type.TEXT, many=True),
    Field("files.quantisation", Type.TEXT, many=True),
    Field("files.dtype", Type.TEXT, many=True),
    Field("files.pickle", Type.CHOICE, many=True, choices=_PICKLE_VERDICTS),
    Field("files.tensor_count", Type.WHOLE, many=True),
    Field("files.parameter_count", Type.WHOLE, many=True),
    Field("files.opset", Type.WHOLE, many=True),
)
FIELDS = {field.name: field for field in _ALL}
_OTHER_NAMES = {
    "alias": "aliases",
    "dataset": "datasets",
    "parameters": "params",
    "total_bytes": "size",
    "size_bytes": "size",
    "base_model": "base",
    "files.quantization": "files.quantisation",
}
ORDERS = ("create_time", "update_time", "finalize_time", "size", "version", "ordinal", "metrics")
"""What answers can be ordered by."""
ORDERS_IN_MODEL = ("version", "ordinal")
"""Those that mean something within a model only."""


def find(path: str) -> tuple[Field, str] | None:
    """The field a path means, and the key behind it (or ''); None if there is none such."""
    exact = FIELDS.get(_OTHER_NAMES.get(path, path))
    if exact is not None and exact.name != "metric":
        return exact, ""
    for family in ("model.labels", "labels", "params", "parameters", "metrics"):
        if path.startswith(f"{family}.") and len(path) > len(family) + 1:
            return FIELDS[_OTHER_NAMES.get(family, family)], path[len(family) + 1 :]
    return None


def suggestion(path: str) -> str:
    """What to say about a field that is not there: the nearest that are."""
    head = path.partition(".")[0]
    names = [_shown(field) for field in _ALL if field.name != "metric"]
    near = difflib.get_close_matches(path[:64], names, 3, 0.5)
    near += difflib.get_close_matches(head[:64], [n.partition(".")[0] for n in names], 1, 0.6)
    if near:
        heads = [name for name in near if not any(o.startswith(f"{name}.") for o in near)]
        return f"did you mean {' or '.join(dict.fromkeys(heads))}?"
    return f"there are {', '.join(names)}"


def _shown(field: Field) -> str:
    return f"{field.name}.{{key}}" if field.keyed else field.name

"""What lies between two versions, as the SDK shows it."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from modelkeep.client import refs, spec_convert, specs
from modelkeep.v1 import diff_pb2 as pb

_T = TypeVar("_T")


class FileChangeKind(enum.StrEnum):
    """How a file differs."""

    UNSPECIFIED = "unspecified"
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffSide:
    """One of the two versions."""

    name: str
    manifest_digest: str
    file_count: int
    total_bytes: int

    @property
    def ref(self) -> str:
        """`acme/voice@1.2.0`."""
        return refs.from_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that differs; what is on one side only has no digest and size on the other."""

    kind: FileChangeKind
    path: str
    before_path: str
    before_digest: str
    after_digest: str
    before_size_bytes: int | None
    after_size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCounts:
    """How many files differ, and how many do not."""

    added: int
    removed: int
    changed: int
    renamed: int
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[_T]):
    """Something by a name that differs; None where it is not there."""

    name: str
    before: _T | None
    after: _T | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """A figure that differs; `delta` is what it grew by, if it is on both sides."""

    name: str
    before: float | None
    after: float | None
    delta: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChange:
    """A text that differs, as a unified diff without the lines that name files."""

    name: str
    unified_diff: str
    added_lines: int
    removed_lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDiff:
    """All that differs between two versions; `truncated` names fields that are not complete."""

    before: DiffSide
    after: DiffSide
    identical: bool
    file_counts: FileCounts
    files: tuple[FileChange, ...]
    fields: tuple[Change[str], ...]
    parameters: tuple[Change[specs.Scalar], ...]
    dependencies: tuple[Change[specs.Dependency], ...]
    datasets: tuple[Change[specs.Dataset], ...]
    inputs: tuple[Change[specs.TensorSpec], ...]
    outputs: tuple[Change[specs.TensorSpec], ...]
    metrics: tuple[MetricChange, ...]
    labels: tuple[Change[str], ...]
    tools: tuple[Change[specs.PromptTool], ...]
    texts: tuple[TextChange, ...]
    truncated: tuple[str, ...]


def diff_from_wire(wire: pb.VersionDiff) -> VersionDiff:
    """A difference as the server sent it."""
    tensors = {
        side: [one for one in wire.tensors if one.side == side]
        for side in (pb.TENSOR_SIDE_INPUT, pb.TENSOR_SIDE_OUTPUT)
    }
    counts = {name: getattr(wire.file_counts, name) for name in FileCounts.__dataclass_fields__}
    return VersionDiff(
        before=_side(wire.before),
        after=_side(wire.after),
        identical=wire.identical,
        file_counts=FileCounts(**counts),
        files=tuple(map(_file, wire.files)),
        fields=tuple(Change(name=c.name, before=c.before, after=c.after) for c in wire.fields),
        parameters=tuple(
            _change(c, spec_convert.scalar_from_wire, c.name) for c in wire.parameters
        ),
        dependencies=tuple(
            _change(c, spec_convert.dependency_from_wire) for c in wire.dependencies
        ),
        datasets=tuple(_change(c, spec_convert.dataset_from_wire) for c in wire.datasets),
        inputs=tuple(
            _change(c, spec_convert.tensor_from_wire) for c in tensors[pb.TENSOR_SIDE_INPUT]
        ),
        outputs=tuple(
            _change(c, spec_convert.tensor_from_wire) for c in tensors[pb.TENSOR_SIDE_OUTPUT]
        ),
        metrics=tuple(map(_metric, wire.metrics)),
        labels=tuple(
            Change(name=c.key, before=_stated(c, "before"), after=_stated(c, "after"))
            for c in wire.labels
        ),
        tools=tuple(_change(c, spec_convert.tool_from_wire) for c in wire.tools),
        texts=tuple(map(_text, wire.texts)),
        truncated=tuple(wire.truncated),
    )


def _side(wire: pb.DiffSide) -> DiffSide:
    return DiffSide(
        name=wire.version,
        manifest_digest=wire.manifest_digest,
        file_count=wire.file_count,
        total_bytes=wire.total_bytes,
    )


def _file(wire: pb.FileChange) -> FileChange:
    kinds = dict(enumerate(FileChangeKind))
    return FileChange(
        kind=kinds.get(wire.kind, FileChangeKind.UNSPECIFIED),
        path=wire.path,
        before_path=wire.before_path,
        before_digest=wire.before_digest,
        after_digest=wire.after_digest,
        before_size_bytes=_stated(wire, "before_size_bytes"),
        after_size_bytes=_stated(wire, "after_size_bytes"),
    )


def _metric(wire: pb.MetricChange) -> MetricChange:
    return MetricChange(
        name=wire.name,
        before=_stated(wire, "before"),
        after=_stated(wire, "after"),
        delta=_stated(wire, "delta"),
    )


def _text(wire: pb.TextChange) -> TextChange:
    return TextChange(
        name=wire.name,
        unified_diff=wire.unified_diff,
        added_lines=wire.added_lines,
        removed_lines=wire.removed_lines,
    )


def _change(wire: Any, from_wire: Callable[[Any], _T], name: str = "") -> Change[_T]:
    before, after = (
        from_wire(getattr(wire, side)) if wire.HasField(side) else None
        for side in ("before", "after")
    )
    return Change(name=name or getattr(after or before, "name", ""), before=before, after=after)


def _stated(wire: Any, field: str) -> Any:
    return getattr(wire, field) if wire.HasField(field) else None

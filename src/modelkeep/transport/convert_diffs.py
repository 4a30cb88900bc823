"""Crossing of differences: as much as fits into a message, and what did not fit by name."""

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from google.protobuf import message

from modelkeep.domain import diffs, limits, specs, text_diffs
from modelkeep.transport import convert, convert_specs
from modelkeep.v1 import diff_pb2 as pb

T = TypeVar("T")

_KINDS: dict[int, diffs.FileChangeKind] = {
    pb.FILE_CHANGE_KIND_ADDED: diffs.FileChangeKind.ADDED,
    pb.FILE_CHANGE_KIND_REMOVED: diffs.FileChangeKind.REMOVED,
    pb.FILE_CHANGE_KIND_CHANGED: diffs.FileChangeKind.CHANGED,
    pb.FILE_CHANGE_KIND_RENAMED: diffs.FileChangeKind.RENAMED,
}
_TEXTS_BYTES = 1 * limits.MIB
_FILES_BYTES = 1 * limits.MIB
_REST_BYTES = limits.DIFF_BYTES - _TEXTS_BYTES - _FILES_BYTES - 64 * limits.KIB


def diff_to_wire(diff: diffs.VersionDiff, max_files: int) -> pb.VersionDiff:
    """A difference for the wire, of at most `limits.DIFF_BYTES`, with so many files listed."""
    wire = pb.VersionDiff(identical=diff.is_empty)
    wire.before.CopyFrom(_side(diff.before))
    wire.after.CopyFrom(_side(diff.after))
    wire.file_counts.CopyFrom(_counts(diff.files))
    _Filling(wire, _REST_BYTES).fill_facts(diff)
    _Filling(wire, _FILES_BYTES).fill("files", diff.files.changes, _file, most=max_files)
    _fill_texts(wire, diff.texts)
    return wire


class _Filling:
    """Fills repeated fields until their share of the message is used up."""

    def __init__(self, wire: pb.VersionDiff, most_bytes: int) -> None:
        self._wire = wire
        self._left_bytes = most_bytes

    def fill(
        self,
        field: str,
        entries: Iterable[T],
        to_wire: Callable[[T], message.Message],
        most: int = limits.FILES_PER_VERSION,
    ) -> None:
        """Append what fits, and note the field if that is not all."""
        target: Any = getattr(self._wire, field)
        for entry in entries:
            made = to_wire(entry)
            self._left_bytes -= made.ByteSize() + 8
            if self._left_bytes < 0 or len(target) >= most:
                if field not in self._wire.truncated:
                    self._wire.truncated.append(field)
                return
            target.append(made)

    def fill_facts(self, diff: diffs.VersionDiff) -> None:
        """Everything but files and texts, what is read most first."""
        self.fill("fields", diff.fields, _field)
        self.fill("metrics", diff.metrics, _metric)
        self.fill("labels", diff.labels, _label)
        self.fill("datasets", diff.datasets, _dataset)
        self.fill("dependencies", diff.dependencies, _dependency)
        self.fill("tensors", diff.inputs, _input)
        self.fill("tensors", diff.outputs, _output)
        self.fill("parameters", diff.parameters, _parameter)
        self.fill("tools", diff.tools, _tool)


def _fill_texts(wire: pb.VersionDiff, texts: Iterable[text_diffs.TextDiff]) -> None:
    left_bytes = _TEXTS_BYTES
    for text in texts:
        shown = _beginning(text.unified, left_bytes)
        left_bytes -= len(shown.encode())
        if shown != text.unified and "texts" not in wire.truncated:
            wire.truncated.append("texts")
        wire.texts.add(
            name=text.name, unified_diff=shown, added_lines=text.added, removed_lines=text.removed
        )


def _beginning(text: str, most_bytes: int) -> str:
    """As many whole lines as fit."""
    raw = text.encode()
    if len(raw) <= most_bytes:
        return text
    return raw[: raw.rfind(b"\n", 0, most_bytes) + 1].decode()


def _side(version: Any) -> pb.DiffSide:
    return pb.DiffSide(
        version=str(version.name),
        manifest_digest=version.manifest_digest,
        file_count=version.file_count,
        total_bytes=version.total_bytes,
        creator=version.creator,
        create_time=convert.timestamp_to_wire(version.created_at),
    )


def _counts(files: diffs.FilesDiff) -> pb.FileCounts:
    return pb.FileCounts(
        added=files.count(diffs.FileChangeKind.ADDED),
        removed=files.count(diffs.FileChangeKind.REMOVED),
        changed=files.count(diffs.FileChangeKind.CHANGED),
        renamed=files.count(diffs.FileChangeKind.RENAMED),
        unchanged=files.unchanged,
    )


def _file(change: diffs.FileChange) -> pb.FileChange:
    before, after = change.before, change.after
    is_renamed = change.kind is diffs.FileChangeKind.RENAMED
    return pb.FileChange(
        kind=convert.enum_to_wire(change.kind, _KINDS),  # type: ignore[arg-type]
        path=change.path,
        before_path=before.path if before and is_renamed else "",
        before_digest=before.digest if before else "",
        after_digest=after.digest if after else "",
        before_size_bytes=before.size_bytes if before else None,
        after_size_bytes=after.size_bytes if after else None,
    )


def _field(change: diffs.Change[str]) -> pb.FieldChange:
    return pb.FieldChange(name=change.name, before=change.before or "", after=change.after or "")


def _label(change: diffs.Change[str]) -> pb.LabelChange:
    return pb.LabelChange(key=change.name, before=change.before, after=change.after)


def _metric(change: diffs.Change[float]) -> pb.MetricChange:
    delta = None
    if change.before is not None and change.after is not None:
        delta = change.after - change.before
    finite = delta is not None and math.isfinite(delta)
    return pb.MetricChange(
        name=change.name,
        before=change.before,
        after=change.after,
        delta=delta if finite else None,
    )


def _parameter(change: diffs.Change[specs.Scalar]) -> pb.ParameterChange:
    wire = pb.ParameterChange(name=change.name)
    for side, value in (("before", change.before), ("after", change.after)):
        if value is not None:
            getattr(wire, side).CopyFrom(convert_specs.scalar_to_wire(value))
    return wire


def _dependency(change: diffs.Change[specs.Dependency]) -> pb.DependencyChange:
    to_wire = convert_specs.dependency_to_wire
    return pb.DependencyChange(**_sides(change, to_wire))


def _dataset(change: diffs.Change[specs.DatasetReference]) -> pb.DatasetChange:
    return pb.DatasetChange(**_sides(change, convert_specs.dataset_to_wire))


def _input(change: diffs.Change[specs.TensorSpec]) -> pb.TensorChange:
    sides = _sides(change, convert_specs.tensor_to_wire)
    return pb.TensorChange(side=pb.TENSOR_SIDE_INPUT, **sides)


def _output(change: diffs.Change[specs.TensorSpec]) -> pb.TensorChange:
    sides = _sides(change, convert_specs.tensor_to_wire)
    return pb.TensorChange(side=pb.TENSOR_SIDE_OUTPUT, **sides)


def _tool(change: diffs.Change[specs.PromptTool]) -> pb.ToolChange:
    return pb.ToolChange(**_sides(change, convert_specs.tool_to_wire))


def _sides(change: diffs.Change[T], to_wire: Callable[[T], message.Message]) -> dict[str, Any]:
    """Those sides that are there, by their field."""
    sides = {"before": change.before, "after": change.after}
    return {side: to_wire(value) for side, value in sides.items() if value is not None}

"""What lies between two versions: pure comparisons, sorted by name."""

import collections
import dataclasses
import enum
import itertools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from modelkeep.domain import manifests, specs, text_diffs, versions

T = TypeVar("T")


class FileChangeKind(enum.StrEnum):
    """How a file differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that differs: what it was and what it is, each None on one side only."""

    kind: FileChangeKind
    before: manifests.File | None
    after: manifests.File | None

    @property
    def path(self) -> str:
        """Where it is, or where it was if it is gone."""
        present = self.after or self.before
        return present.path if present else ""


@dataclass(frozen=True, slots=True)
class FilesDiff:
    """The files that differ, by path, and how many are the same."""

    changes: tuple[FileChange, ...]
    unchanged: int

    def count(self, kind: FileChangeKind) -> int:
        """How many differ in that way."""
        return sum(change.kind is kind for change in self.changes)


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """Something by a name that differs; None where it is not there."""

    name: str
    before: T | None
    after: T | None


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """All that differs between two versions.

    `inputs` and `outputs` are by tensor name, `fields` are facts of one line.
    """

    before: versions.Version
    after: versions.Version
    files: FilesDiff
    fields: tuple[Change[str], ...]
    parameters: tuple[Change[specs.Scalar], ...]
    dependencies: tuple[Change[specs.Dependency], ...]
    datasets: tuple[Change[specs.DatasetReference], ...]
    inputs: tuple[Change[specs.TensorSpec], ...]
    outputs: tuple[Change[specs.TensorSpec], ...]
    metrics: tuple[Change[float], ...]
    labels: tuple[Change[str], ...]
    tools: tuple[Change[specs.PromptTool], ...]
    texts: tuple[text_diffs.TextDiff, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        compared = (field.name for field in dataclasses.fields(self))
        parts = (getattr(self, name) for name in compared if name not in _NOT_COMPARED)
        return not (self.files.changes or any(parts))


_NOT_COMPARED = frozenset({"before", "after", "files"})
_NO_MODEL = specs.ModelSpec()


def between(
    before: versions.Version,
    after: versions.Version,
    files: tuple[Sequence[manifests.File], Sequence[manifests.File]],
    *,
    unchanged: int = 0,
) -> VersionDiff:
    """Compare two versions.

    Args:
        before: the version to start from.
        after: the version to lead to.
        files: their files, those of `before` first; files that are the same may be left out.
        unchanged: how many were.
    """
    old, new = before.content, after.content
    old_model, new_model = _model(old.spec), _model(new.spec)
    return VersionDiff(
        before=before,
        after=after,
        files=of_files(*files, unchanged=unchanged),
        fields=_of_mappings(_facts(old), _facts(new)),
        parameters=_of_mappings(old_model.parameters, new_model.parameters),
        dependencies=_of_entries(
            old_model.dependencies, new_model.dependencies, lambda d: (d.ecosystem, d.name)
        ),
        datasets=_of_entries(old.datasets, new.datasets, lambda d: (d.name,)),
        inputs=_of_entries(old_model.inputs, new_model.inputs, lambda t: (t.name,)),
        outputs=_of_entries(old_model.outputs, new_model.outputs, lambda t: (t.name,)),
        metrics=_of_mappings(_figures(old), _figures(new)),
        labels=_of_mappings(before.notes.labels, after.notes.labels),
        tools=_of_entries(_tools(old.spec), _tools(new.spec), lambda t: (t.name,)),
        texts=_of_texts(before, after),
    )


def of_files(
    before: Sequence[manifests.File], after: Sequence[manifests.File], *, unchanged: int = 0
) -> FilesDiff:
    """Compare files by path and digest; a file that is elsewhere with its content was renamed."""
    old = {file.path: file for file in before}
    new = {file.path: file for file in after}
    both = old.keys() & new.keys()
    changed = [path for path in both if old[path].digest != new[path].digest]
    removed = [old[path] for path in sorted(old.keys() - both)]
    added = [new[path] for path in sorted(new.keys() - both)]
    moved = _renamed(removed, added)
    gone = {file.path for file, _ in moved}
    come = {file.path for _, file in moved}
    changes = [
        *(FileChange(FileChangeKind.CHANGED, old[path], new[path]) for path in changed),
        *(FileChange(FileChangeKind.RENAMED, *pair) for pair in moved),
        *(FileChange(FileChangeKind.REMOVED, f, None) for f in removed if f.path not in gone),
        *(FileChange(FileChangeKind.ADDED, None, f) for f in added if f.path not in come),
    ]
    ordered = sorted(changes, key=lambda change: change.path.encode())
    return FilesDiff(tuple(ordered), unchanged + len(both) - len(changed))


def _renamed(
    removed: Iterable[manifests.File], added: Sequence[manifests.File]
) -> list[tuple[manifests.File, manifests.File]]:
    """Pairs of equal content: first those that keep their last name, then in order of path."""
    pairs: list[tuple[manifests.File, manifests.File]] = []
    left = list(removed)
    for key in (_digest_and_name, _digest):
        waiting: dict[Hashable, collections.deque[manifests.File]] = {}
        taken = {file.path for _, file in pairs}
        for file in added:
            if file.path not in taken:
                waiting.setdefault(key(file), collections.deque()).append(file)
        found = [(file, waiting[key(file)].popleft()) for file in left if waiting.get(key(file))]
        pairs += found
        gone = {file.path for file, _ in found}
        left = [file for file in left if file.path not in gone]
    return pairs


def _digest(file: manifests.File) -> Hashable:
    return file.digest


def _digest_and_name(file: manifests.File) -> Hashable:
    return file.digest, file.path.rpartition("/")[2]


def _of_mappings(before: Mapping[str, T], after: Mapping[str, T]) -> tuple[Change[T], ...]:
    """What differs by key, in value or in type: 1, 1.0 and true are three values."""
    return tuple(
        Change(key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if _typed(before.get(key)) != _typed(after.get(key))
    )


def _typed(value: object) -> tuple[type, object]:
    return type(value), value


def _of_entries(
    before: Sequence[T], after: Sequence[T], key: Callable[[T], tuple[str, ...]]
) -> tuple[Change[T], ...]:
    """What differs by key, of which there may be several: equal ones first, the rest in order."""
    old, new = _by_key(before, key), _by_key(after, key)
    changes: list[Change[T]] = []
    for name in sorted(old.keys() | new.keys()):
        was, now = _without_equal(old.get(name, []), new.get(name, []))
        changes += [Change("/".join(name), *pair) for pair in itertools.zip_longest(was, now)]
    return tuple(changes)


def _by_key(
    entries: Iterable[T], key: Callable[[T], tuple[str, ...]]
) -> dict[tuple[str, ...], list[T]]:
    found: dict[tuple[str, ...], list[T]] = {}
    for entry in entries:
        found.setdefault(key(entry), []).append(entry)
    return found


def _without_equal(left: list[T], right: list[T]) -> tuple[list[T], list[T]]:
    """Both lists without the entries that are in both, as often as they are."""
    common = collections.Counter(left) & collections.Counter(right)
    return _less(left, common), _less(right, common)


def _less(entries: list[T], counts: "collections.Counter[T]") -> list[T]:
    spare = collections.Counter(counts)
    kept = []
    for entry in entries:
        if spare[entry]:
            spare[entry] -= 1
        else:
            kept.append(entry)
    return kept


def _model(spec: specs.Spec | None) -> specs.ModelSpec:
    return spec if isinstance(spec, specs.ModelSpec) else _NO_MODEL


def _tools(spec: specs.Spec | None) -> tuple[specs.PromptTool, ...]:
    return spec.tools if isinstance(spec, specs.PromptSpec) else ()


def _figures(content: specs.Content) -> dict[str, float]:
    return {metric.name: metric.value for metric in content.metrics}


def _facts(content: specs.Content) -> dict[str, str]:
    """Facts of one line, by name; those that are not stated are left out."""
    source = content.source
    stated = {
        "source.repository": source.repository,
        "source.commit": source.commit,
        "source.run": source.run,
        **_facts_of(content.spec),
    }
    return {name: value for name, value in stated.items() if value}


def _facts_of(spec: specs.Spec | None) -> dict[str, str]:
    match spec:
        case specs.ModelSpec():
            base = spec.base
            return {
                "framework": spec.framework,
                "framework_version": spec.framework_version,
                "task": spec.task,
                "architecture": spec.architecture,
                "base": (base.version or base.uri) if base else "",
                "base.relation": base.relation.value if base else "",
            }
        case specs.PromptSpec():
            return {
                "provider": spec.provider,
                "hosted_model": spec.hosted_model,
                "variables": ", ".join(sorted(spec.variables)),
                **_sampling(spec.sampling),
            }
        case None:
            return {}


def _sampling(sampling: specs.Sampling) -> dict[str, str]:
    numbers = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
    }
    stated = {
        f"sampling.{name}": repr(value) for name, value in numbers.items() if value is not None
    }
    return stated | ({"sampling.stop": repr(list(sampling.stop))} if sampling.stop else {})


def _of_texts(before: versions.Version, after: versions.Version) -> tuple[text_diffs.TextDiff, ...]:
    old, new = _texts(before), _texts(after)
    compared = (text_diffs.between(name, old[name], new[name]) for name in old)
    return tuple(diff for diff in compared if diff is not None)


def _texts(version: versions.Version) -> dict[str, str]:
    spec = version.content.spec
    prompt = spec if isinstance(spec, specs.PromptSpec) else None
    return {
        "prompt.messages": _conversation(prompt.messages) if prompt else "",
        "prompt.response_schema": text_diffs.pretty_json(prompt.response_schema) if prompt else "",
        "description": version.notes.description,
        "card": version.notes.card,
    }


def _conversation(messages: Iterable[specs.PromptMessage]) -> str:
    """All messages as one text: a line with the role before each, an empty one between them."""
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in messages)

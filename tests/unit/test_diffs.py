"""What lies between two versions."""

import dataclasses
import datetime

from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import diffs, manifests, names, specs, versions

KIND = diffs.FileChangeKind
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def file(path: str, content: int, size_bytes: int = 1) -> manifests.File:
    return manifests.File(path, f"sha256:{content:064x}", size_bytes)


def version(spec: specs.Spec | None = None, **parts: object) -> versions.Version:
    notes = versions.Notes(**{k: v for k, v in parts.items() if k in versions.OPEN_FIELDS})  # type: ignore[arg-type]
    rest = {k: v for k, v in parts.items() if k not in versions.OPEN_FIELDS}
    return versions.Version(
        name=names.VersionName("a", "b", "1.0.0"),
        ordinal=1,
        state=versions.VersionState.READY,
        stage="development",
        manifest_digest="",
        file_count=0,
        total_bytes=0,
        content=specs.Content(spec, **rest),  # type: ignore[arg-type]
        notes=notes,
        aliases=(),
        creator="x",
        create_client="x",
        created_at=NOW,
        updated_at=NOW,
        finalized_at=NOW,
        deleted_at=None,
        etag="1",
    )


def between(before: versions.Version, after: versions.Version) -> diffs.VersionDiff:
    return diffs.between(before, after, ((), ()))


def test_files_are_added_removed_changed_and_renamed() -> None:
    before = [file("same", 1), file("gone", 2), file("other", 3), file("old/name", 4)]
    after = [file("same", 1), file("come", 5), file("other", 6), file("new/name", 4)]
    found = diffs.of_files(before, after)
    assert [(c.kind, c.path) for c in found.changes] == [
        (KIND.ADDED, "come"),
        (KIND.REMOVED, "gone"),
        (KIND.RENAMED, "new/name"),
        (KIND.CHANGED, "other"),
    ]
    renamed = found.changes[2]
    assert renamed.before
    assert renamed.before.path == "old/name"
    assert found.unchanged == 1


def test_a_rename_keeps_the_last_name_if_it_can() -> None:
    before = [file("a/one", 1), file("a/two", 1)]
    after = [file("b/two", 1), file("b/one", 1)]
    pairs = [(c.before, c.after) for c in diffs.of_files(before, after).changes]
    assert [(b.path, a.path) for b, a in pairs if a and b] == [
        ("a/one", "b/one"),
        ("a/two", "b/two"),
    ]


def test_a_copy_is_an_addition_and_a_merged_twin_a_removal() -> None:
    assert diffs.of_files([file("a", 1)], [file("a", 1), file("b", 1)]).count(KIND.ADDED) == 1
    assert diffs.of_files([file("a", 1), file("b", 1)], [file("b", 1)]).count(KIND.REMOVED) == 1
    two_to_one = diffs.of_files([file("a", 1), file("b", 1)], [file("c", 1)])
    assert (two_to_one.count(KIND.RENAMED), two_to_one.count(KIND.REMOVED)) == (1, 1)


trees = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 4)).map(
    lambda tree: [file(path, content) for path, content in tree.items()]
)


@given(trees, trees)
def test_the_changes_lead_from_one_tree_to_the_other(
    before: list[manifests.File], after: list[manifests.File]
) -> None:
    found = diffs.of_files(before, after)
    tree = {one.path: one.digest for one in before}
    for change in found.changes:
        if change.before:
            del tree[change.before.path]
    for change in found.changes:
        if change.after:
            assert change.after.path not in tree
            tree[change.after.path] = change.after.digest
    assert tree == {one.path: one.digest for one in after}
    assert sum(found.count(kind) for kind in KIND) == len(found.changes)
    if {one.path: one.digest for one in before} == tree:
        assert not found.changes


def test_ten_thousand_files_on_each_side_are_no_trouble() -> None:
    before = [file(f"d/{n}", n % 50) for n in range(10_000)]
    after = [file(f"e/{n}", (n + 25) % 50) for n in range(10_000)]
    assert diffs.of_files(before, after).count(KIND.RENAMED) == 10_000


def test_parameters_differ_in_type_too() -> None:
    before = specs.ModelSpec(parameters={"a": 1, "b": 1, "c": True, "same": 0.5, "gone": "x"})
    after = specs.ModelSpec(parameters={"a": 1.0, "b": "1", "c": 1, "same": 0.5, "come": "y"})
    found = between(version(before), version(after)).parameters
    assert [(c.name, c.before, c.after) for c in found] == [
        ("a", 1, 1.0),
        ("b", 1, "1"),
        ("c", True, 1),
        ("come", None, "y"),
        ("gone", "x", None),
    ]


def test_a_dependency_that_is_there_several_times_is_compared_as_often() -> None:
    def pip(*numbers: str) -> specs.ModelSpec:
        return specs.ModelSpec(
            dependencies=tuple(specs.Dependency("pypi", "numpy", n) for n in numbers)
        )

    assert between(version(pip("1", "2")), version(pip("2", "1"))).dependencies == ()
    (change,) = between(version(pip("1", "2", "2")), version(pip("2", "1", "3"))).dependencies
    assert change.name == "pypi/numpy"
    assert change.before
    assert change.after
    assert (change.before.version, change.after.version) == ("2", "3")


def test_everything_else_is_compared_by_name() -> None:
    found = between(
        version(
            specs.ModelSpec(framework="onnx", inputs=(specs.TensorSpec("x", "f4", (1,)),)),
            datasets=(specs.DatasetReference("calls", "1"),),
            metrics=(specs.Metric("auc", 0.5), specs.Metric("gone", 1)),
            source=specs.Source(commit="a"),
            labels={"team": "x"},
            description="d",
            card="# Card\n",
        ),
        version(
            specs.ModelSpec(framework="onnx", inputs=(specs.TensorSpec("x", "f4", (2,)),)),
            datasets=(specs.DatasetReference("calls", "2"),),
            metrics=(specs.Metric("auc", 0.75),),
            source=specs.Source(commit="b"),
            labels={"team": "y"},
            card="# Other\n",
        ),
    )
    assert found.fields == (diffs.Change("source.commit", "a", "b"),)
    assert found.metrics == (diffs.Change("auc", 0.5, 0.75), diffs.Change("gone", 1, None))
    assert found.labels == (diffs.Change("team", "x", "y"),)
    assert [(c.before, c.after) for c in found.datasets if c.before and c.after] == [
        (specs.DatasetReference("calls", "1"), specs.DatasetReference("calls", "2"))
    ]
    assert [c.name for c in found.inputs] == ["x"]
    assert [t.name for t in found.texts] == ["description", "card"]


def test_prompts_are_compared_as_a_conversation() -> None:
    prompt = specs.PromptSpec(
        provider="p",
        hosted_model="m-1",
        messages=(specs.PromptMessage("system", "Be brief."), specs.PromptMessage("user", "Hi")),
        sampling=specs.Sampling(temperature=0.2),
        tools=(specs.PromptTool("look"),),
    )
    changed = dataclasses.replace(
        prompt,
        hosted_model="m-2",
        messages=(specs.PromptMessage("system", "Be kind."), specs.PromptMessage("user", "Hi")),
        sampling=specs.Sampling(temperature=0.2, stop=("END",)),
        tools=(),
    )
    found = between(version(prompt), version(changed))
    assert [(c.name, c.before, c.after) for c in found.fields] == [
        ("hosted_model", "m-1", "m-2"),
        ("sampling.stop", None, "['END']"),
    ]
    assert [t.unified for t in found.texts] == [
        "@@ -1,5 +1,5 @@\n [system]\n-Be brief.\n+Be kind.\n \n [user]\n Hi\n"
    ]
    assert [c.name for c in found.tools] == ["look"]


def test_a_version_differs_in_nothing_from_itself() -> None:
    one = version(specs.ModelSpec(parameters={"a": 1}), card="x")
    assert between(one, one).is_empty
    assert not between(one, version()).is_empty

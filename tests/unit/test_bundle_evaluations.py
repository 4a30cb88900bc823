"""The evaluations of a bundle: read as they were written, ordered, matched, and what is refused."""

import dataclasses
import itertools
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies
from support import bundling

from modelkeep import client
from modelkeep.client.exchange import (
    bundle_evaluations,
    bundle_file,
    bundle_index,
    bundle_records,
    facts,
    left_behind,
    measured,
)

VERSION = "namespaces/acme/models/voice/versions/1.0.0-rc.1"
TEXT = strategies.text(strategies.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
FIGURE = strategies.floats(-1e100, 1e100)
MOMENT = strategies.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 - gets it below
    datetime(2100, 1, 1),  # noqa: DTZ001 - gets it below
    timezones=strategies.just(UTC),
)
DIRECTION = strategies.sampled_from([client.MetricDirection.HIGHER, client.MetricDirection.LOWER])
METRIC = strategies.builds(
    client.EvaluationMetric,
    name=TEXT,
    value=FIGURE,
    direction=DIRECTION,
    slice=strategies.one_of(strategies.just(""), TEXT),
    unit=strategies.one_of(strategies.just(""), TEXT),
    sample_count=strategies.one_of(strategies.none(), strategies.integers(1, 2**63 - 1)),
    standard_error=strategies.one_of(strategies.none(), strategies.floats(0, 1e100)),
    examples_digest=strategies.sampled_from(["", f"sha256:{'0' * 64}"]),
    proportion=strategies.booleans(),
)
WITH_INTERVAL = strategies.builds(
    dataclasses.replace,
    METRIC,
    ci_low=FIGURE,
    ci_high=FIGURE,
    ci_level=strategies.floats(0.5, 1, exclude_min=True, exclude_max=True),
)
METRICS = strategies.lists(
    strategies.one_of(METRIC, WITH_INTERVAL),
    min_size=1,
    max_size=4,
    unique_by=lambda one: (one.name, one.slice),
).map(tuple)


def name(number: int) -> str:
    return f"{VERSION}/evaluations/{number:016x}"


def evaluation(number: int = 1, **changed: Any) -> client.Evaluation:
    told = client.Evaluation(
        name=name(number),
        dataset=client.EvaluationDataset("calls", "2026-03", f"sha256:{'1' * 64}"),
        suite="quality",
        evaluator="judge@1.4",
        run_at=bundling.MOMENT,
        metrics=(
            client.EvaluationMetric(
                name="auc", value=0.1 + 0.2, direction=client.MetricDirection.HIGHER
            ),
        ),
        metric_count=1,
        note="",
        actor="user:ann",
        created_at=bundling.MOMENT + timedelta(seconds=number),
        supersedes="",
        superseded_by="",
    )
    return dataclasses.replace(told, **changed)


EVALUATION = strategies.builds(
    evaluation,
    dataset=strategies.builds(client.EvaluationDataset, TEXT, TEXT),
    suite=TEXT,
    evaluator=TEXT,
    run_at=MOMENT,
    metrics=METRICS,
    note=strategies.text(strategies.characters(exclude_categories=("Cs",)), max_size=30),
    actor=TEXT,
    created_at=MOMENT,
)


@hypothesis.given(told=strategies.lists(EVALUATION, max_size=5), data=strategies.data())
def test_evaluations_are_read_as_they_were_written(
    told: list[client.Evaluation], data: strategies.DataObject
) -> None:
    numbered = [dataclasses.replace(one, name=name(n)) for n, one in enumerate(told)]
    for n, one in enumerate(numbered[1:], start=1):
        if data.draw(strategies.booleans()):  # it corrects the one before
            numbered[n] = dataclasses.replace(one, supersedes=name(n - 1))
    whole = measured.linked(numbered)
    raw = bundle_evaluations.encode(whole)
    part = bundle_evaluations.part_of(raw)
    if part is None:
        assert not whole
        return
    index = bundle_index.encode(bundling.one_version(), part)
    bundle, read_part = bundle_index.decode(index)
    assert read_part == part
    read = bundle_evaluations.decode(raw, part, bundle)
    assert read == whole
    assert bundle_evaluations.encode(read) == raw


def saved(raw: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "b.tar"
    path.write_bytes(raw)
    return path


def test_a_bundle_with_evaluations_is_read_as_it_was_written(tmp_path: Path) -> None:
    told = dataclasses.replace(
        bundling.one_version(), evaluations=(evaluation(1), evaluation(2, suite="cost"))
    )
    found = bundle_file.read(saved(bundling.written(told), tmp_path))
    assert found.bundle == told
    assert list(found.blobs) == list(told.blobs)


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The part with one evaluation that was changed, under its right digest."""
    document = json.loads(bundle_evaluations.encode([evaluation()]))
    change(document)
    return f"{json.dumps(document)}\n".encode()


def put(path: str, value: object) -> Callable[[dict[str, Any]], object]:
    *owners, last = path.split(".")

    def change(document: dict[str, Any]) -> None:
        at: Any = document
        for owner in owners:
            at = at[int(owner)] if owner.isdigit() else at[owner]
        at[last] = value

    return change


TWICE = bundle_evaluations.encode([evaluation(1), evaluation(1, suite="other")])
BACKWARDS = bundle_evaluations.encode([evaluation(1, supersedes=name(2)), evaluation(2)])
FORKED = bundle_evaluations.encode(
    [evaluation(1), evaluation(2, supersedes=name(1)), evaluation(3, supersedes=name(1))]
)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (changed(put("metrics.0.value", float("nan"))), "evaluation 1: metrics[0]: value is nan"),
        (changed(put("metrics.0.value", "NaN")), "has nan as metrics[0].value"),
        (changed(put("metrics.0.value", float("inf"))), "metrics[0]: value is inf"),
        (changed(put("metrics.0.value", 1e101)), "has 1e+101 as metrics[0].value"),
        (changed(put("metrics.0.standard_error", float("nan"))), "standard_error is nan"),
        (changed(put("metrics.0.ci_low", "-Infinity")), "has -inf as metrics[0].ci_low"),
        (changed(put("metrics.0.direction", 7)), "metrics[0].direction which way"),
        (changed(put("metrics.0.direction", "SIDEWAYS")), "not what one may say"),
        (changed(put("metrics.0.surprise", 1)), 'no field named "surprise"'),
        (changed(put("surprise", 1)), 'no field named "surprise"'),
        (changed(put("suite", "")), "says nothing in suite"),
        (changed(put("suite", 5)), "not what one may say"),
        (changed(put("suite", "\ud800")), "not what one may say"),
        (changed(put("dataset", {"name": "calls"})), "says nothing in dataset.revision"),
        (changed(put("metrics", [])), "has no metrics"),
        (changed(put("metrics", [{"name": "a"}] * 1001)), "more than 1000 entries"),
        (changed(lambda one: one["metrics"].extend(one["metrics"])), "metrics[1].name twice"),
        (changed(lambda one: one.pop("run_time")), "says nothing in run_time"),
        (changed(put("run_time", "yesterday")), "not what one may say"),
        (changed(put("superseded_by", name(2))), "superseded_by is not to be said"),
        (changed(put("name", "../../etc/passwd")), "no name of an evaluation"),
        (changed(put("name", name(1).replace("1.0.0-rc.1", "9.0.0"))), "not in the bundle"),
        (changed(put("supersedes", name(1))), "corrects one that is not before it"),
        (TWICE, "evaluation 2 is there twice"),
        (BACKWARDS, "corrects one that is not before it"),
        (FORKED, "evaluation 3 corrects one that another corrects already"),
        (b"not json\n", "is not JSON"),
        (b"[]\n", "not a JSON object"),
        (b"[" * 100_000 + b"\n", "is not JSON"),
        (b"{}", "has 0 lines"),
    ],
)
def test_what_no_evaluation_says_is_refused(raw: bytes, named: str, tmp_path: Path) -> None:
    part = bundle_evaluations.part_of(raw)
    assert part is not None
    part = dataclasses.replace(part, count=max(part.count, 1))
    path = saved(bundling.written(bundling.one_version(), measured=raw, part=part), tmp_path)
    with pytest.raises(client.BadSource, match=re.escape(named)):
        bundle_file.read(path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"digest": f"sha256:{'0' * 64}"}, "damaged: modelkeep-evaluations.jsonl has other bytes"),
        ({"digest": "md5:0"}, "is not sha256:"),
        ({"count": 2}, "tells of 2 evaluations, and modelkeep-evaluations.jsonl has 1 lines"),
        ({"count": 0}, "count is 0"),
        ({"count": 1_000_000}, "count is 1000000; 1 to 100000 evaluations are read"),
        ({"size_bytes": 7}, "bytes instead of 7"),
        ({"size_bytes": 2**40}, "at most 134217728 bytes are read"),
    ],
)
def test_a_part_that_is_not_as_the_index_says_is_refused(
    changes: dict[str, Any], named: str, tmp_path: Path
) -> None:
    raw = bundle_evaluations.encode([evaluation()])
    part = bundle_evaluations.part_of(raw)
    assert part is not None
    wrong = dataclasses.replace(part, **changes)
    path = saved(bundling.written(bundling.one_version(), measured=raw, part=wrong), tmp_path)
    with pytest.raises(client.BadSource, match=re.escape(named)):
        bundle_file.read(path)


def test_a_million_lines_are_counted_and_not_read(tmp_path: Path) -> None:
    raw = b"{}\n" * 1_000_000
    part = bundle_evaluations.part_of(raw)
    assert part is not None
    honest = bundling.written(bundling.one_version(), measured=raw, part=part)
    with pytest.raises(client.BadSource, match="100000 evaluations are read"):
        bundle_file.read(saved(honest, tmp_path))
    lying = dataclasses.replace(part, count=1)
    with pytest.raises(client.BadSource, match="has 1000000 lines"):
        bundle_file.read(
            saved(bundling.written(bundling.one_version(), measured=raw, part=lying), tmp_path)
        )


def test_more_than_a_bundle_holds_is_not_written() -> None:
    many = itertools.repeat(evaluation(), bundle_records.MAX_EVALUATIONS + 1)
    with pytest.raises(client.LimitReached, match="export the versions one by one"):
        bundle_evaluations.encode(many)


@hypothesis.given(at=strategies.integers(0, 600), byte=strategies.binary(min_size=1, max_size=3))
def test_a_changed_byte_of_the_part_is_found(
    at: int, byte: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = bundle_evaluations.encode([evaluation(note="n" * 200)])
    tar = bundling.written(bundling.one_version(), measured=raw)
    begin = tar.index(raw) + at % (len(raw) - len(byte))
    spoilt = tar[:begin] + byte + tar[begin + len(byte) :]
    hypothesis.assume(spoilt != tar)
    path = tmp_path_factory.getbasetemp() / "spoilt.tar"
    path.write_bytes(spoilt)
    with pytest.raises(client.BadSource, match="damaged"):
        bundle_file.read(path)


def as_old(index: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(index)
    for key in ("links", "left_behind"):
        del document[key]
    document["format_version"] = 1
    return document


def test_a_bundle_of_the_first_format_is_still_read() -> None:
    told = bundling.one_version()
    bundle, part = bundle_index.decode(json.dumps(as_old(bundle_index.encode(told))).encode())
    assert bundle == dataclasses.replace(told, format_version=1)
    assert part is None


LINK = {
    "source": {"kind": "dataset", "name": "calls", "revision": "2026-03"},
    "target": {"kind": "version", "name": "acme/voice@1.0.0-rc.1", "revision": ""},
    "relation": "training",
    "actor": "ann",
    "reason": "",
    "added_at": "",
}


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("links", [{}], "source is not an object"),
        ("links", {}, "links is not a list"),
        ("links", [LINK | {"source": {"kind": "x", "name": "y"}}], "not a kind of node"),
        ("links", [LINK | {"source": {"kind": "version", "name": "y"}}], "not the name of a versi"),
        ("links", [LINK | {"target": LINK["source"]}], "has one of no version in the bundle"),
        ("links", [LINK] * 100_001, "at most 100000 are read"),
        ("left_behind", {"gates": -1}, "not a whole number"),
        ("left_behind", {"\x1b[2J": 1}, "not a few words"),
    ],
)
def test_links_and_counts_that_are_none_are_refused(key: str, value: object, named: str) -> None:
    document = json.loads(bundle_index.encode(bundling.one_version()))
    document[key] = value
    with pytest.raises(client.BadSource, match=re.escape(named)):
        bundle_index.decode(json.dumps(document).encode())


def test_links_and_counts_are_read_as_they_were_written() -> None:
    node, kind = client.LineageNode, client.LineageKind
    link = client.LineageLink(
        source=node(kind.CODE, "https://git.example.com/a@b", "release/1"),
        target=node(kind.VERSION, "acme/voice@1.0.0-rc.1"),
        relation="code",
        reason="said\nso",
        actor="user:ann",
        created_at=bundling.MOMENT,
    )
    told = dataclasses.replace(
        bundling.one_version(), links=(link,), left_behind={"deployments": 3, "transitions": 1}
    )
    assert bundle_index.decode(bundle_index.encode(told)) == (told, None)
    assert "3 deployments, 1 transitions" in left_behind.told(told.left_behind)[0]


def test_evaluations_of_versions_come_in_the_order_in_which_they_were_recorded() -> None:
    at = bundling.MOMENT

    def one(number: int, seconds: int) -> client.Evaluation:
        return evaluation(number, created_at=at + timedelta(seconds=seconds))

    # Clocks may step back: a version's own order holds all the same.
    ordered = measured.in_order([[one(1, 10), one(2, 5), one(3, 30)], [one(4, 1), one(5, 20)]])
    assert [int(told.name[-16:], 16) for told in ordered] == [4, 1, 2, 5, 3]


def imported(told: client.Evaluation, number: int) -> client.Evaluation:
    note = facts.note(told.ref, actor=told.actor, at=told.created_at, why=told.note)
    return dataclasses.replace(told, name=name(number), note=note, actor="user:bob")


def test_the_same_runs_are_told_by_origin_and_then_by_content() -> None:
    first, second, third = (evaluation(n, note="why\nso") for n in (1, 2, 3))
    other = evaluation(4, suite="other")
    present = [imported(second, 12), evaluation(13), imported(first, 11)]
    found = measured.matched([first, second, third, other], present)
    assert {key: one.name for key, one in found.items()} == {
        first.name: name(11),
        second.name: name(12),
        third.name: name(13),  # the same run, recorded by hand
    }
    at_home = measured.matched(present, [first, second])
    assert at_home == {name(11): first, name(12): second}


def test_the_first_origin_is_told_whatever_was_noted() -> None:
    told = evaluation(1, note="why: it was wrong, twice")
    assert measured.origin(told) == told.ref == "acme/voice@1.0.0-rc.1/0000000000000001"
    assert measured.origin(imported(told, 9)) == told.ref
    assert imported(told, 9).note.endswith(f"by user:ann at {facts.instant(told.created_at)}: why:"
        " it was wrong, twice")  # fmt: skip
    assert measured.origin(evaluation(note=f"{facts.REASON_MARK}somewhere")) == ""
    assert len(facts.note("o", why="\n" * 2000)) == facts.MAX_REASON_CHARS

"""What was measured goes to another registry: each once, corrections as such, and compared."""

import asyncio
import dataclasses
import json
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from support import bundling, services

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.client.exchange import bundle_records, facts, measured, recording
from modelkeep.local import postgres as embedded

MODEL = "acme/voice"
REF = f"{MODEL}@1.0.0"
CALLS = client.EvaluationDataset("calls", "2026-03", f"sha256:{'a' * 64}")
HIGHER, LOWER = client.MetricDirection.HIGHER, client.MetricDirection.LOWER
RUN_AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
METRICS = (
    client.EvaluationMetric(
        name="auc", value=0.1 + 0.2, direction=HIGHER, sample_count=400, standard_error=0.019
    ),
    client.EvaluationMetric(
        name="auc", value=1e-300, direction=HIGHER, slice="lang=de", standard_error=0.0
    ),
    client.EvaluationMetric(
        name="cost", value=812.0, direction=LOWER, unit="ms", ci_low=790, ci_high=834, ci_level=0.9
    ),
    client.EvaluationMetric(
        name="solved", value=0.61, direction=HIGHER, sample_count=400, proportion=True
    ),
)


@pytest.fixture
async def two(
    config: configuration.Config, postgres: embedded.Postgres, s3: services.S3, _template: str
) -> AsyncIterator[bundling.Two]:
    async with bundling.two_registries(config, postgres, s3, _template) as both:
        yield both


def report(suite: str = "quality", **changed: Any) -> client.EvaluationReport:
    told = client.EvaluationReport(
        dataset=CALLS, suite=suite, evaluator="judge@1.4", metrics=METRICS, run_at=RUN_AT
    )
    return dataclasses.replace(told, **changed)


def one_metric(direction: client.MetricDirection, value: float = 0.5) -> dict[str, Any]:
    return {"metrics": (client.EvaluationMetric(name="m", value=value, direction=direction),)}


@pytest.fixture
async def bundle(two: bundling.Two, tmp_path: Path) -> Path:
    """Two versions; of the first, a correction of a correction, and a run recorded twice."""
    (tmp_path / "weights.bin").write_bytes(b"weights")
    for number in (1, 2):
        await two.source.push(tmp_path / "weights.bin", f"{MODEL}@{number}.0.0")
    first = await two.source.record_evaluation(REF, report(note="first\ntry"))
    second = await two.source.record_evaluation(REF, report(note="n"), supersedes=first.ref)
    await two.source.record_evaluation(REF, report(), supersedes=second.ref)
    for _ in range(2):
        await two.source.record_evaluation(REF, report("cost", evaluator="meter@2"))
    await two.source.record_evaluation(f"{MODEL}@2.0.0", report(run_at=None))
    exported = await two.source.export_bundle(MODEL, tmp_path / "b.tar")
    assert exported.is_ok
    assert client.Count("evaluations", 6, 6) in exported.counts
    return tmp_path / "b.tar"


def counted(told: client.ImportReport) -> Mapping[str, tuple[int, int]]:
    return {count.what: (count.source, count.target) for count in told.counts}


async def test_evaluations_go_over_with_their_order_corrections_and_origins(
    two: bundling.Two, bundle: Path
) -> None:
    told = await two.target.import_bundle(bundle)
    assert told.is_ok, told.differences
    counts = counted(told)
    assert (counts["evaluations"], counts["superseded"]) == ((6, 6), (2, 2))
    assert counts["figures"] == (24, 24)
    there = await measured.of_version(two.source, REF)
    here = await measured.of_version(two.target, REF)
    assert list(map(measured.content, here)) == list(map(measured.content, there))
    names = {new.name: old.name for old, new in zip(there, here, strict=True)}
    for old, new in zip(there, here, strict=True):
        assert names.get(new.supersedes, "") == old.supersedes
        assert names.get(new.superseded_by, "") == old.superseded_by
        assert new.note == facts.note(old.ref, actor=old.actor, at=old.created_at, why=old.note)
        assert (new.dataset, new.run_at) == (old.dataset, old.run_at)
    assert here[0].note.endswith(": first\ntry")
    assert [one.ref async for one in two.target.search('metric("auc", "calls@2026-03") > 0.2')]


async def test_importing_twice_into_anything_records_nothing_twice(
    two: bundling.Two, bundle: Path, tmp_path: Path
) -> None:
    await two.target.import_bundle(bundle)
    before = await measured.of_version(two.target, REF)
    events = [entry async for entry in two.target.history(MODEL)]
    for registry in (two.target, two.source):  # and at home, where they were recorded first
        assert (await registry.import_bundle(bundle)).is_ok
    assert await measured.of_version(two.target, REF) == before
    assert [entry async for entry in two.target.history(MODEL)] == events
    assert len(await measured.of_version(two.source, REF)) == 5
    # From the copy of a copy back to where all of it began: the first origin is known.
    await two.target.import_bundle(bundle, into="copies")
    await two.target.export_bundle("copies/voice", tmp_path / "back.tar")
    back = await two.source.import_bundle(tmp_path / "back.tar", into="acme")
    assert (back.is_ok, back.differences) == (True, ())
    assert len(await measured.of_version(two.source, REF)) == 5


async def test_what_was_recorded_since_comes_with_the_next_bundle(
    two: bundling.Two, bundle: Path, tmp_path: Path
) -> None:
    await two.target.import_bundle(bundle)
    latest = (await measured.of_version(two.source, REF))[-1]
    fixed = report("cost", evaluator="meter@3")
    await two.source.record_evaluation(REF, fixed, supersedes=latest.ref)
    await two.source.export_bundle(MODEL, tmp_path / "next.tar")
    foreseen = await two.target.import_bundle(tmp_path / "next.tar", is_dry_run=True)
    assert "Evaluations that would be recorded: 1." in foreseen.notes
    told = await two.target.import_bundle(tmp_path / "next.tar")
    assert told.is_ok
    here = await measured.of_version(two.target, REF)
    assert len(here) == 6
    assert (here[-1].supersedes, here[-2].superseded_by) == (here[-2].name, here[-1].name)


async def test_what_somebody_corrected_here_stays_and_is_told(
    two: bundling.Two, bundle: Path, tmp_path: Path
) -> None:
    await two.target.import_bundle(bundle)
    theirs = (await measured.of_version(two.source, REF))[-1]
    ours = (await measured.of_version(two.target, REF))[-1]
    again = await two.source.record_evaluation(REF, report("cost"), supersedes=theirs.ref)
    await two.source.record_evaluation(REF, report("cost"), supersedes=again.ref)
    mine = report("cost", evaluator="ours@1")
    own = await two.target.record_evaluation(REF, mine, supersedes=ours.ref)
    await two.source.export_bundle(MODEL, tmp_path / "next.tar")
    for _ in range(2):
        told = await two.target.import_bundle(tmp_path / "next.tar")
        assert not told.is_ok
        assert counted(told)["evaluations"] == (8, 5)
        here = await measured.of_version(two.target, REF)
        assert [one.name for one in here if not one.superseded_by][-1] == own.name


@pytest.mark.usefixtures("bundle")
async def test_a_gate_finds_what_was_measured_before_the_version_is_moved(
    two: bundling.Two, tmp_path: Path
) -> None:
    await two.source.set_stage(REF, "staging", reason="good")
    await two.source.export_bundle(MODEL, tmp_path / "staged.tar")
    threshold = {"dataset": "calls", "metric": "auc", "op": ">=", "value": 0.2}
    gates = ({"metric_threshold": threshold},)
    await two.target.create_namespace("acme")
    await two.target.set_gate_policy(client.GatePolicy(owner="acme", stage="staging", gates=gates))
    told = await two.target.import_bundle(tmp_path / "staged.tar")
    assert (told.is_ok, told.notes) == (True, ())
    assert (await two.target.get_version(REF)).stage == "staging"


@pytest.mark.usefixtures("bundle")
async def test_figures_that_turned_come_in_the_order_in_which_they_were_recorded(
    two: bundling.Two, tmp_path: Path
) -> None:
    late = f"{MODEL}@2.0.0"
    wrong = await two.source.record_evaluation(late, report("turn", **one_metric(HIGHER)))
    right = report("turn", **one_metric(LOWER))
    await two.source.record_evaluation(late, right, supersedes=wrong.ref)
    await two.source.record_evaluation(REF, right)
    await two.source.export_bundle(MODEL, tmp_path / "turned.tar")
    told = await two.target.import_bundle(tmp_path / "turned.tar")
    assert (told.is_ok, told.differences) == (True, ())


async def test_what_does_not_fit_what_is_here_is_told_and_the_rest_comes(
    two: bundling.Two, bundle: Path, tmp_path: Path
) -> None:
    await two.target.push(tmp_path / "weights.bin", f"{MODEL}@9.0.0")
    turned = dataclasses.replace(METRICS[0], direction=LOWER)
    await two.target.record_evaluation(f"{MODEL}@9.0.0", report(metrics=(turned,)))
    told = await two.target.import_bundle(bundle)
    assert counted(told)["evaluations"] == (6, 2)
    assert len([note for note in told.notes if "was not recorded" in note]) == 4
    assert (await two.target.get_version(REF)).state is client.VersionState.READY


async def test_a_version_with_other_content_gets_no_figures(
    two: bundling.Two, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.bin").write_bytes(b"other")
    await two.target.push(tmp_path / "other.bin", REF)
    told = await two.target.import_bundle(bundle)
    assert counted(told)["evaluations"] == (6, 1)
    assert await measured.of_version(two.target, REF) == ()


@pytest.mark.usefixtures("bundle")
async def test_scores_and_rules_that_stay_behind_are_told(
    two: bundling.Two, tmp_path: Path
) -> None:
    scores = {f"e{number}": float(number % 2) for number in range(9)}
    sets = (client.ScoreSet(metric="hits", direction=HIGHER, scores=scores),)
    await two.source.record_evaluation(REF, report("hits", metrics=(), score_sets=sets))
    await two.source.protect_aliases(MODEL, "champion", reason="r")
    await two.source.update_model(MODEL, risk_tier=client.RiskTier.HIGH)
    exported = await two.source.export_bundle(MODEL, tmp_path / "all.tar")
    told = await two.target.import_bundle(tmp_path / "all.tar")
    assert told.is_ok
    for notes in (exported.notes, told.notes):
        assert any("1 alias protections, 1 risk settings" in note for note in notes), notes
        assert any("scores of single examples behind 1 metrics" in note for note in notes), notes
    (figure,) = (await measured.of_version(two.target, REF))[-1].metrics
    assert (figure.sample_count, figure.proportion, figure.examples_digest) == (9, True, "")


@pytest.mark.usefixtures("bundle")
async def test_links_go_over_with_who_added_them(two: bundling.Two, tmp_path: Path) -> None:
    node, kind = client.LineageNode, client.LineageKind
    own = node(kind.VERSION, REF)
    data = node(kind.DATASET, "calls", "release/3")
    await two.source.push(tmp_path / "weights.bin", "acme/elsewhere@1.0.0")
    for source, target in (
        (data, own),
        (own, node(kind.OTHER, "https://example.com/app")),
        (own, node(kind.VERSION, f"{MODEL}@2.0.0")),
        (node(kind.VERSION, "acme/elsewhere@1.0.0"), own),
    ):
        link = client.LineageLink(source=source, target=target, relation="used")
        await two.source.add_lineage(link, reason="known since")
    exported = await two.source.export_bundle(MODEL, tmp_path / "linked.tar")
    assert client.Count("links", 4, 4) in exported.counts
    foreseen = await two.target.import_bundle(tmp_path / "linked.tar", is_dry_run=True)
    assert "Links that would be added: 4." in foreseen.notes
    for _ in range(2):
        told = await two.target.import_bundle(tmp_path / "linked.tar", into="copies")
        assert told.is_ok, told.differences
        assert counted(told)["links"] == (4, 4)
    assert any("acme/elsewhere@1.0.0 is not ready here" in note for note in told.notes)
    here = (await two.target.lineage("copies/voice@1.0.0", depth=1)).links
    assert {(str(link.source), str(link.target)) for link in here} == {
        ("dataset:calls@release/3", "copies/voice@1.0.0"),
        ("copies/voice@1.0.0", "other:https://example.com/app"),
        ("copies/voice@1.0.0", "copies/voice@2.0.0"),
        ("other:modelkeep:acme/elsewhere@1.0.0", "copies/voice@1.0.0"),
    }
    assert all(link.reason.startswith(f"Imported from bundle of {MODEL}, set") for link in here)
    assert all(link.reason.endswith(": known since") for link in here)


@pytest.mark.usefixtures("bundle")
async def test_a_link_that_cannot_be_here_is_told(two: bundling.Two, tmp_path: Path) -> None:
    nodes = [client.parse_lineage_node(f"{MODEL}@{number}.0.0") for number in (1, 2)]
    link = client.LineageLink(source=nodes[0], target=nodes[1], relation="used")
    await two.source.add_lineage(link)
    await two.source.export_bundle(MODEL, tmp_path / "linked.tar")
    for number in (1, 2):
        await two.target.push(tmp_path / "weights.bin", f"{MODEL}@{number}.0.0")
    back = client.LineageLink(source=nodes[1], target=nodes[0], relation="used")
    await two.target.add_lineage(back)
    told = await two.target.import_bundle(tmp_path / "linked.tar")
    assert counted(told)["links"] == (1, 0)
    assert any("was not added" in note and "itself made from" in note for note in told.notes)


def rewritten(bundle: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The bundle as the first format had it, with another index."""
    other = bundle.with_name("old.tar")
    with tarfile.open(bundle) as read, tarfile.open(other, "w", format=tarfile.GNU_FORMAT) as out:
        for member in read:
            content = read.extractfile(member)
            assert content is not None
            text = content.read()
            if member.name == bundle_records.EVALUATIONS_NAME:
                continue
            if member.name == bundle_records.INDEX_NAME:
                index = json.loads(text)
                change(index)
                text = json.dumps(index).encode()
                member.size = len(text)
            out.addfile(member, BytesIO(text))
    return other


def age(index: dict[str, Any]) -> None:
    for key in ("evaluations", "links", "left_behind"):
        index.pop(key)
    index["format_version"] = 1


async def test_a_bundle_of_the_first_format_is_imported_and_said_to_be_one(
    two: bundling.Two, bundle: Path
) -> None:
    told = await two.target.import_bundle(rewritten(bundle, age))
    assert told.is_ok
    assert "evaluations" not in counted(told)
    assert any("format 1" in note for note in told.notes)


async def test_two_who_import_at_once_record_each_evaluation_once(
    two: bundling.Two, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.target.import_bundle(rewritten(bundle, age))
    await two.target.grant_role("service:other", client.RoleGrant(client.Role.ADMIN))
    token = (await two.target.create_token("service:other")).text
    both_looked, look = asyncio.Barrier(2), recording.Recording._found

    async def look_together(*asked: Any) -> Any:
        found = await look(*asked)
        await both_looked.wait()  # neither sees what the other is about to record
        return found

    monkeypatch.setattr(recording.Recording, "_found", look_together)
    credentials = client.Credentials(token=token)
    async with client.connect(two.target_endpoint, credentials=credentials) as other:
        imports = (who.import_bundle(bundle) for who in (two.target, other))
        assert [told.is_ok for told in await asyncio.gather(*imports)] == [True, True]
    assert len(await measured.of_version(two.target, REF)) == 5
    assert len(await measured.of_version(two.target, f"{MODEL}@2.0.0")) == 1


async def test_a_bundle_without_the_part_it_names_is_refused_whole(
    two: bundling.Two, bundle: Path
) -> None:
    broken = rewritten(bundle, lambda _: None)
    with pytest.raises(client.BadSource, match="where modelkeep-evaluations"):
        await two.target.import_bundle(broken)
    assert [one async for one in two.target.list_namespaces()] == []

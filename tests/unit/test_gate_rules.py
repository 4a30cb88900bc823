"""Gates by facts: what each kind says, and what policies say together."""

import datetime
from typing import Any

import pytest

from modelkeep.domain import (
    comparison,
    errors,
    evaluations,
    gate_facts,
    gate_policies,
    gate_rules,
    gates,
    names,
    specs,
    versions,
)
from modelkeep.domain.formats import facts as formats

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
NAME = names.VersionName("acme", "voice", "1.3.0")
LIVE = names.VersionName("acme", "voice", "1.2.0")
UP, DOWN = evaluations.Direction.HIGHER, evaluations.Direction.LOWER


def version(**fields: Any) -> versions.Version:
    stated: dict[str, Any] = {
        "name": NAME,
        "ordinal": 3,
        "state": versions.VersionState.READY,
        "stage": "staging",
        "manifest_digest": "sha256:" + "0" * 64,
        "file_count": 1,
        "total_bytes": 1,
        "content": specs.Content(),
        "notes": versions.Notes(),
        "aliases": (),
        "creator": "ann",
        "create_client": "test",
        "created_at": NOW,
        "updated_at": NOW,
        "finalized_at": NOW,
        "deleted_at": None,
        "etag": "1",
    }
    return versions.Version(**(stated | fields))


def run(
    value: float = 0.83,
    of: names.VersionName = NAME,
    *,
    days: float = 1,
    revision: str = "1",
    suite: str = "quality",
    evaluator: str = "judge@1",
    key: str = "a",
    **fields: Any,
) -> comparison.Run:
    stated: dict[str, Any] = {"name": "score", "direction": UP} | fields
    metric = evaluations.Metric(value=value, **stated)
    evaluation = evaluations.Evaluation(
        name=names.EvaluationName(of, key * 16),
        dataset=evaluations.Dataset("dialogs", revision),
        suite=suite,
        evaluator=evaluator,
        run_at=NOW - days * DAY,
        metrics=(metric,),
        metric_count=1,
        note="",
        actor="ann",
        created_at=NOW,
    )
    figures = {(metric.name, metric.slice): evaluations.Scored(metric)}
    return comparison.Run(of, evaluation, figures)


def known(**fields: Any) -> gate_facts.Facts:
    stated: dict[str, Any] = {"now": NOW, "version": version(), "staged_at": NOW - 3 * DAY}
    return gate_facts.Facts(**(stated | fields))


def judged(gate: gates.Gate, **fields: Any) -> tuple[bool, str]:
    verdict = gate_rules.judge(gate, known(**fields), "policy")
    assert (verdict.gate, verdict.policy) == (gate, "policy")
    return verdict.passed, verdict.sentence


def measured(**fields: Any) -> gates.Measured:
    return gates.Measured(**({"dataset": "dialogs", "metric": "score"} | fields))


def at_least(value: float, op: gates.Op = gates.Op.AT_LEAST, **fields: Any) -> gates.Gate:
    return gates.MetricThreshold(measured(**fields), op, value)


@pytest.mark.parametrize(
    ("gate", "passed", "sentence"),
    [
        (at_least(0.8), True, "score on dialogs@1 is 0.83 (n 400); >= 0.8 is wanted"),
        (at_least(0.83), True, "score on dialogs@1 is 0.83 (n 400); >= 0.83 is wanted"),
        (at_least(0.83, gates.Op.ABOVE), False, "score on dialogs@1 is 0.83 (n 400); > 0.83"),
        (at_least(0.9), False, "is 0.83"),
        (at_least(0.8, min_samples=500), False, ", of 400 examples; 500 are wanted"),
        (at_least(0.8, gates.Op.AT_MOST), False, "gets better the other way (higher)"),
        (at_least(0.8, revision="2"), False, "no evaluation has score on dialogs@2"),
        (at_least(0.8, suite="speed"), False, "no evaluation has score on dialogs by speed"),
        (at_least(0.8, slice="lang=de"), False, "no evaluation has score of lang=de on dialogs"),
        (at_least(0.8, metric="recall"), False, "no evaluation has recall on dialogs"),
        (at_least(0.8, dataset="other"), False, "no evaluation has score on other; there is dialo"),
    ],
)
def test_a_threshold_is_held_against_the_last_run(
    gate: gates.Gate, passed: bool, sentence: str
) -> None:
    runs = (run(0.99, days=5, key="b"), run(0.83, sample_count=400))
    ok, told = judged(gate, runs=runs)
    assert (ok, sentence in told) == (passed, True), told


def test_a_later_run_of_another_suite_does_not_hide_the_metric() -> None:
    runs = (run(0.9, days=5), run(20, days=1, name="latency", direction=DOWN, suite="speed"))
    assert judged(at_least(0.8), runs=runs)[0]


def kept(**fields: Any) -> gates.Gate:
    return gates.NonRegression(measured(), **fields)


def against(before: comparison.Run, after: comparison.Run, **fields: Any) -> tuple[bool, str]:
    return judged(kept(**fields), runs=(after,), production=LIVE, production_runs=(before,))


@pytest.mark.parametrize(
    ("before", "after", "fields", "passed", "sentence"),
    [
        (0.85, 0.86, {}, True, "is 0.86, 0.01 better than 0.85 of 1.2.0"),
        (0.85, 0.85, {}, True, "the same as 0.85 of 1.2.0"),
        (0.85, 0.83, {}, False, "0.02 worse than 0.85 of 1.2.0; nothing worse is allowed"),
        # 0.85 - 0.83 is 0.020000000000000018 to a machine
        (0.85, 0.83, {"absolute": 0.02}, True, "up to 0.02 worse is allowed"),
        (0.85, 0.83, {"absolute": 0.019}, False, "up to 0.019 worse is allowed"),
        (0.8, 0.76, {"relative": 0.05}, True, "up to 0.04 worse is allowed"),
        (0.8, 0.75, {"relative": 0.05, "absolute": 0.01}, False, "up to 0.04 worse is allowed"),
    ],
)
def test_a_figure_may_be_worse_than_productions_by_the_tolerance(
    before: float, after: float, fields: dict[str, Any], passed: bool, sentence: str
) -> None:
    ok, told = against(run(before, LIVE), run(after), **fields)
    assert (ok, sentence in told) == (passed, True), told


def test_lower_is_better_where_it_is() -> None:
    slow: dict[str, Any] = {"name": "latency", "direction": DOWN, "unit": "ms"}
    gate = gates.NonRegression(measured(metric="latency"), absolute=5)
    for value, passed in ((118.0, True), (124.0, True), (126.0, False)):
        ok, told = judged(
            gate,
            runs=(run(value, **slow),),
            production=LIVE,
            production_runs=(run(120, LIVE, **slow),),
        )
        assert ok is passed, told


def proportion(value: float, count: int, of: names.VersionName = NAME) -> comparison.Run:
    return run(value, of, is_proportion=True, sample_count=count)


def test_what_is_no_real_difference_passes_if_the_gate_asks_for_a_test() -> None:
    before, after = proportion(0.85, 400, LIVE), proportion(0.83, 400)
    assert not against(before, after)[0]
    ok, told = against(before, after, significance=0.05)
    assert ok
    # z = -0.02 / sqrt(0.84 * 0.16 * 2 / 400) = -0.7715
    assert "no real difference (two-proportion z, p = 0.44)" in told
    many = proportion(0.85, 40_000, LIVE), proportion(0.83, 40_000)
    ok, told = against(*many, significance=0.05)
    assert not ok
    assert "a real difference (two-proportion z, p < 0.0001)" in told
    ok, told = against(run(0.85, LIVE), run(0.83), significance=0.05)
    assert not ok
    assert "nothing tells whether it is chance: neither states an error" in told


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"revision": "2"}, "dataset revision is 2, the baseline's 1"),
        ({"evaluator": "judge@2"}, "evaluator is judge@2, the baseline's judge@1"),
        ({"suite": "other"}, "no evaluation on dialogs by suite 'quality'; it has other"),
        ({"direction": DOWN}, "direction is 'lower', the baseline's 'higher'"),
        ({"unit": "%"}, "unit is '%', the baseline's ''"),
    ],
)
def test_what_was_measured_otherwise_is_not_comparable(
    fields: dict[str, Any], sentence: str
) -> None:
    ok, told = against(run(0.85, LIVE), run(0.9, **fields))
    assert not ok
    assert told == f"not comparable with production: {sentence}"


def test_without_production_there_is_nothing_to_regress_from() -> None:
    assert judged(kept())[0]
    assert judged(kept(), production=NAME)[0]
    ok, told = judged(kept(), runs=(run(),), production=LIVE)
    assert (ok, told) == (False, "of 1.2.0 in production no evaluation has score on dialogs")


@pytest.mark.parametrize(
    ("gate", "passed", "sentence"),
    [
        (gates.EvaluationAge("dialogs", 2), True, "is 1.00 days old, of 2026-11-23 12:00Z"),
        (gates.EvaluationAge("dialogs", 0.5), False, "at most 0.5 are allowed"),
        (gates.EvaluationAge("dialogs", 9, "7"), False, "no evaluation on dialogs@7"),
        (gates.EvaluationAge("dialogs", 9, "", "x"), False, "no evaluation on dialogs by x"),
        (gates.Evaluated(("dialogs", "dialogs@1")), True, "evaluated on dialogs, dialogs@1"),
        (gates.Evaluated(("dialogs", "b", "c")), False, "no evaluation on b, c"),
        (gates.TimeInStage(3), True, "in staging for 3.00 days"),
        (gates.TimeInStage(3.1), False, "3.1 are wanted"),
        (gates.TimeInStage(1, "development"), False, "it is in staging, not in development"),
        (gates.Signed(), False, "there is no signature"),
        (gates.RequiredFields(("card",)), False, "nothing in card"),
    ],
)
def test_other_gates_say_what_they_found(gate: gates.Gate, passed: bool, sentence: str) -> None:
    ok, told = judged(gate, runs=(run(),))
    assert (ok, sentence in told) == (passed, True), told


def test_a_clock_that_is_ahead_makes_no_evaluation_younger_than_now() -> None:
    ok, told = judged(gates.EvaluationAge("dialogs", 1), runs=(run(days=-0.003),))
    assert ok
    assert "is 0.00 days old" in told
    assert not judged(gates.TimeInStage(1), staged_at=NOW + DAY)[0]


FILLED = {
    "card": "# Limitations\nFew.",
    "description": "x",
    "labels": {"license": "mit", "empty": " "},
}
SPEC = specs.ModelSpec(framework="torch", task="asr", dependencies=(specs.Dependency("pypi", "x"),))


@pytest.mark.parametrize(
    ("field", "filled"),
    [
        ("card", True),
        ("card.limitations", True),
        ("card.risks", False),
        ("labels.license", True),
        ("labels.empty", False),
        ("labels.none", False),
        ("description", True),
        ("owner", True),
        ("spec.framework", True),
        ("spec.dependencies", True),
        ("spec.inputs", False),
        ("spec.base", False),
        ("source.commit", True),
        ("source.run", False),
        ("datasets", False),
        ("metrics", True),
    ],
)
def test_a_required_field_is_looked_for(field: str, filled: bool) -> None:
    content = specs.Content(
        spec=SPEC, source=specs.Source(commit="abc"), metrics=(specs.Metric("a", 1),)
    )
    given = version(notes=versions.Notes(**FILLED), content=content)  # type: ignore[arg-type]
    ok, told = judged(gates.RequiredFields((field,)), version=given, owner="team")
    assert ok is filled, told


def test_every_field_that_can_be_required_can_be_looked_for() -> None:
    ok, told = judged(gates.RequiredFields(gates.FIELDS))
    assert not ok
    assert told == "nothing in card, description, owner, datasets, metrics and 11 more"


V = formats.PickleVerdict


@pytest.mark.parametrize(
    ("found", "worst", "sentence"),
    [
        ([V.NONE], V.NONE, ""),
        ([V.NONE, V.PLAIN], V.PLAIN, ""),
        ([V.PLAIN], V.NONE, "of the files are 2 plain, p0 for one; none is allowed at worst"),
        ([V.NONE, V.IMPORTS], V.PLAIN, "2 imports, p1"),
        ([V.IMPORTS, V.DANGEROUS, V.UNKNOWN], V.IMPORTS, "2 dangerous, 2 unknown, p2"),
        ([V.NONE, None], V.IMPORTS, "2 not looked into, p1"),
    ],
)
def test_files_are_as_safe_as_the_worst(
    found: list[formats.PickleVerdict | None], worst: formats.PickleVerdict, sentence: str
) -> None:
    pickles = tuple(gate_facts.Pickles(one, 2, f"p{n}") for n, one in enumerate(found))
    ok, told = judged(gates.FileSafety(worst), pickles=pickles)
    assert (ok, sentence in told) == (not sentence, True), told


def test_approvals_count_by_the_role_that_people_have_now() -> None:
    approvers = (
        gate_facts.Approver("bob", frozenset({"approver"})),
        gate_facts.Approver("cyd", frozenset({"admin", "approver"})),
        gate_facts.Approver("dan", frozenset()),
    )
    for gate, passed in (
        (gates.Approvals(2), True),
        (gates.Approvals(3), False),
        (gates.Approvals(2, "approver"), True),
        (gates.Approvals(1, "admin"), True),
        (gates.Approvals(2, "admin"), False),
    ):
        ok, told = judged(gate, approvers=approvers)
        assert ok is passed, told
    assert judged(gates.Approvals(3), approvers=approvers)[1] == (
        "2 approved (bob, cyd); 3 by somebody else are wanted; "
        "dan approved, and does not have the role now"
    )


def policy(owner: str, **rules: Any) -> gate_policies.Policy:
    name = names.GatePolicyName.parse(f"{owner}/gatePolicies/production")
    return gate_policies.Policy(name, gate_policies.Rules(**rules), "ann", NOW, NOW, "1")


NAMESPACE, MODEL = "namespaces/acme", "namespaces/acme/models/voice"
REPLACE = gate_policies.Inheritance.REPLACE
SIGNED, TWO = gates.Signed(), gates.Approvals(2)


def test_a_models_policy_asks_for_more_unless_it_replaces() -> None:
    above = policy(NAMESPACE, gates=(SIGNED,), four_eyes=True, lifetime_days=3)
    below = policy(MODEL, gates=(TWO,), four_eyes=False, lifetime_days=9)
    both = gate_policies.effective(above, below)
    assert [gate for gate, _ in both.gates] == [SIGNED, TWO]
    assert [name for _, name in both.gates] == [str(above.name), str(below.name)]
    assert both.four_eyes
    assert both.lifetime == 3 * DAY
    alone = gate_policies.effective(
        above, policy(MODEL, gates=(TWO,), inheritance=REPLACE, four_eyes=False)
    )
    assert ([gate for gate, _ in alone.gates], alone.four_eyes) == ([TWO], False)
    assert alone.lifetime == gate_policies.LIFETIME


def test_without_a_policy_a_transition_needs_one_approval() -> None:
    nothing = gate_policies.effective(None, None)
    assert nothing.gates == ()
    assert gate_policies.for_transition(nothing).gates == ((gates.Approvals(1), ""),)
    asked = gate_policies.effective(policy(NAMESPACE, gates=(TWO,)), None)
    assert gate_policies.for_transition(asked) == asked
    waived = gate_policies.effective(policy(NAMESPACE, four_eyes=False), None)
    assert gate_policies.for_transition(waived).gates == ()


@pytest.mark.parametrize(
    ("origin", "target", "gated"),
    [
        ("development", "staging", True),
        ("archived", "staging", True),
        ("staging", "production", True),
        ("production", "staging", False),
        ("production", "archived", False),
        ("staging", "development", False),
        ("archived", "development", False),
    ],
)
def test_only_moves_up_meet_gates(origin: str, target: str, gated: bool) -> None:
    assert gate_policies.is_gated(origin, target) is gated


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: at_least(NAN), "value"),
        (lambda: at_least(INF), "value"),
        (lambda: at_least(1e101), "value"),
        (lambda: measured(dataset=""), "dataset"),
        (lambda: measured(metric=""), "metric"),
        (lambda: measured(min_samples=-1), "min_samples"),
        (lambda: kept(absolute=-0.1), "absolute"),
        (lambda: kept(absolute=NAN), "absolute"),
        (lambda: kept(relative=1.1), "relative"),
        (lambda: kept(relative=NAN), "relative"),
        (lambda: kept(significance=0.5), "significance"),
        (lambda: kept(significance=NAN), "significance"),
        (lambda: gates.EvaluationAge("d", 0), "max_days"),
        (lambda: gates.EvaluationAge("d", INF), "max_days"),
        (lambda: gates.EvaluationAge("d", NAN), "max_days"),
        (lambda: gates.Evaluated(()), "datasets"),
        (lambda: gates.Evaluated(("d@",)), "datasets[0]"),
        (lambda: gates.Evaluated(("d",) * 65), "datasets"),
        (lambda: gates.RequiredFields(("weights",)), "fields[0]"),
        (lambda: gates.RequiredFields(("card.",)), "fields[0]"),
        (lambda: gates.FileSafety(V.DANGEROUS), "worst"),
        (lambda: gates.TimeInStage(NAN), "min_days"),
        (lambda: gates.TimeInStage(1, "live"), "stage"),
        (lambda: gates.Approvals(0), "count"),
        (lambda: gates.Approvals(21), "count"),
        (lambda: gates.FrozenWindows("UTC", ()), "windows"),
        (lambda: gate_policies.Rules(gates=(SIGNED,) * 65), "gates"),
        (lambda: gate_policies.Rules(lifetime_days=NAN), "lifetime_days"),
        (lambda: gate_policies.Rules(lifetime_days=366), "lifetime_days"),
    ],
)
def test_what_no_gate_can_be_is_refused_by_field(make: Any, field: str) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        make()
    assert field in [violation.field for violation in refused.value.violations]

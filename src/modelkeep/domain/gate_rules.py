"""The rules of gates: facts in, verdicts out. `gate_metrics.py` has those about figures."""

import dataclasses
import datetime
from collections.abc import Callable, Iterable
from typing import Any

from modelkeep.domain import cards, freezes, gate_facts, gate_metrics, gates, specs
from modelkeep.domain.formats import facts as formats

_NAMED = 5
_DAY = datetime.timedelta(days=1)
Facts = gate_facts.Facts


def judge(gate: gates.Gate, facts: Facts, policy: str) -> gates.Verdict:
    """What becomes of one gate of a policy."""
    verdict = _RULES[type(gate)](gate, facts)
    return dataclasses.replace(verdict, policy=policy)


def _evaluated(gate: gates.Evaluated, facts: Facts) -> gates.Verdict:
    missing, evidence = [], ""
    for dataset in gate.datasets:
        runs = gate_facts.find_runs(facts.runs, *gate_metrics.split(dataset), gate.suite)
        if not runs:
            missing.append(dataset)
        elif not evidence:
            evidence = str(runs[0].evaluation.name)
    by = f" by {gate.suite}" if gate.suite else ""
    if missing:
        return gates.Verdict(gate, False, f"no evaluation on {_listed(missing)}{by}")
    return gates.Verdict(gate, True, f"evaluated on {_listed(list(gate.datasets))}{by}", evidence)


def _listed(words: list[str]) -> str:
    more = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
    return ", ".join(words[:_NAMED]) + more


def _required_fields(gate: gates.RequiredFields, facts: Facts) -> gates.Verdict:
    missing = [field for field in gate.fields if not _is_filled(field, facts)]
    sentence = f"nothing in {_listed(missing)}" if missing else f"{_listed(list(gate.fields))} said"
    return gates.Verdict(gate, not missing, sentence, str(facts.version.name))


def _is_filled(field: str, facts: Facts) -> bool:
    first, _, rest = field.partition(".")
    return bool(_FILLED[first](facts, rest))


def _is_specified(spec: specs.Spec | None, field: str) -> bool:
    """Whether a model states it; a prompt has none of these fields."""
    return isinstance(spec, specs.ModelSpec) and bool(getattr(spec, field))


_FILLED: dict[str, Callable[[Facts, str], object]] = {
    "card": lambda facts, word: (
        cards.find_part(facts.version.notes.card, word)
        if word
        else facts.version.notes.card.strip()
    ),
    "labels": lambda facts, key: facts.version.notes.labels.get(key, "").strip(),
    "description": lambda facts, _: facts.version.notes.description.strip(),
    "owner": lambda facts, _: facts.owner.strip(),
    "datasets": lambda facts, _: facts.version.content.datasets,
    "metrics": lambda facts, _: facts.version.content.metrics,
    "spec": lambda facts, field: _is_specified(facts.version.content.spec, field),
    "source": lambda facts, field: getattr(facts.version.content.source, field),
}
_SEVERITY = list(formats.PickleVerdict)


def _file_safety(gate: gates.FileSafety, facts: Facts) -> gates.Verdict:
    bad = [one for one in facts.pickles if one.verdict is None or _is_worse(one.verdict, gate)]
    if not bad:
        count = sum(one.file_count for one in facts.pickles)
        there = f"there {'is' if count == 1 else 'are'} {count:,}"
        sentence = f"no file is worse than {gate.worst}; {there}"
        return gates.Verdict(gate, True, sentence, str(facts.version.name))
    worst = max(bad, key=lambda one: -1 if one.verdict is None else _SEVERITY.index(one.verdict))
    told = ", ".join(
        f"{one.file_count:,} {one.verdict.value if one.verdict else 'not looked into'}"
        for one in bad
    )
    sentence = f"of the files are {told}, {worst.path} for one; {gate.worst} is allowed at worst"
    return gates.Verdict(gate, False, sentence, f"{facts.version.name}/files/{worst.path}")


def _is_worse(verdict: formats.PickleVerdict, gate: gates.FileSafety) -> bool:
    return _SEVERITY.index(verdict) > _SEVERITY.index(gate.worst)


def _signed(gate: gates.Signed, facts: Facts) -> gates.Verdict:
    found = facts.signature
    if found is None:
        return gates.Verdict(gate, False, "there is no signature")
    return gates.Verdict(gate, found.is_trusted, found.sentence, found.evidence)


def _time_in_stage(gate: gates.TimeInStage, facts: Facts) -> gates.Verdict:
    evidence = str(facts.version.name)
    if facts.version.stage != gate.stage or facts.staged_at is None:
        sentence = f"it is in {facts.version.stage}, not in {gate.stage}"
        return gates.Verdict(gate, False, sentence, evidence)
    days = max(datetime.timedelta(), facts.now - facts.staged_at) / _DAY
    since = gate_metrics.instant(facts.staged_at)
    sentence = f"in {gate.stage} for {days:.2f} days, since {since}; {gate.min_days:g} are wanted"
    return gates.Verdict(gate, days >= gate.min_days, sentence, evidence)


def counted(
    gate: gates.Approvals, given: Iterable[gate_facts.Approver]
) -> list[gate_facts.Approver]:
    """Those who approved and have the role that the gate asks for, or any that is enough."""
    return [one for one in given if (gate.role in one.roles if gate.role else one.roles)]


def _approvals(gate: gates.Approvals, facts: Facts) -> gates.Verdict:
    who = f"somebody with role {gate.role}" if gate.role else "somebody else"
    wanted = f"{gate.count} by {who} {'is' if gate.count == 1 else 'are'} wanted"
    given = facts.approvers
    who_counts = counted(gate, given)
    names = _listed([one.principal for one in who_counts])
    passed = len(who_counts) >= gate.count
    sentence = f"{len(who_counts)} approved{f' ({names})' if names else ''}; {wanted}"
    lost = sorted({one.principal for one in given} - {one.principal for one in who_counts})
    if lost and not passed:
        sentence += f"; {_listed(lost)} approved, and does not have the role now"
    evidence = str(facts.transition or "")
    return gates.Verdict(gate, passed, sentence, evidence)


def _frozen_windows(gate: gates.FrozenWindows, facts: Facts) -> gates.Verdict:
    found = freezes.find_frozen(gate.time_zone, gate.windows, facts.now)
    if found is None:
        return gates.Verdict(gate, True, "it is in no frozen window")
    window, ends_at = found
    why = f": {gate.reason}" if gate.reason else ""
    until = gate_metrics.instant(ends_at)
    sentence = f"frozen until {until} ({window} {gate.time_zone}){why}"
    return gates.Verdict(gate, False, sentence)


_RULES: dict[type[gates.Gate], Callable[[Any, Facts], gates.Verdict]] = {
    gates.MetricThreshold: gate_metrics.metric_threshold,
    gates.NonRegression: gate_metrics.non_regression,
    gates.EvaluationAge: gate_metrics.evaluation_age,
    gates.Evaluated: _evaluated,
    gates.RequiredFields: _required_fields,
    gates.FileSafety: _file_safety,
    gates.Signed: _signed,
    gates.TimeInStage: _time_in_stage,
    gates.Approvals: _approvals,
    gates.FrozenWindows: _frozen_windows,
}

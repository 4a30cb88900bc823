"""Crossings of gates, of gate policies, and of what became of gates."""

import datetime
from collections.abc import Callable
from functools import partial
from typing import Any

from modelkeep.domain import (
    checks,
    errors,
    evaluations,
    freezes,
    gate_policies,
    gates,
    limits,
    names,
    stages,
)
from modelkeep.domain.formats import facts
from modelkeep.transport import convert
from modelkeep.v1 import gate_pb2 as pb

INHERITANCES: dict[int, gate_policies.Inheritance] = {
    pb.GATE_INHERITANCE_UNSPECIFIED: gate_policies.Inheritance.EXTEND,
    pb.GATE_INHERITANCE_EXTEND: gate_policies.Inheritance.EXTEND,
    pb.GATE_INHERITANCE_REPLACE: gate_policies.Inheritance.REPLACE,
}
DISPLACED: dict[int, gate_policies.Displaced] = {
    pb.DISPLACED_VERSION_ARCHIVE: gate_policies.Displaced.ARCHIVE,
    pb.DISPLACED_VERSION_STAGE: gate_policies.Displaced.STAGE,
    pb.DISPLACED_VERSION_REFUSE: gate_policies.Displaced.REFUSE,
}


def rules_from_wire(
    name: names.GatePolicyName | None, policy: pb.GatePolicy
) -> gate_policies.Rules:
    """What a policy says, or `errors.InvalidArgument`."""
    found = checks.Checks()
    found.size("gates", policy.gates, limits.GATES)
    made = found.make_each("gates", (partial(_gate, one) for one in policy.gates[: limits.GATES]))
    enum = partial(convert.enum_from_wire, policy.inheritance, INHERITANCES)
    inheritance = found.make("inheritance", enum)
    displaced = None
    if policy.displaced:
        displaced = found.make(
            "displaced", partial(convert.enum_from_wire, policy.displaced, DISPLACED)
        )
    if name is not None:
        _check_place(found, name, inheritance, displaced)
    return found.finish(
        lambda: gate_policies.Rules(
            gates=made,
            inheritance=inheritance,
            four_eyes=policy.four_eyes if policy.HasField("four_eyes") else None,
            displaced=displaced,
            lifetime_days=policy.lifetime_days,
            description=policy.description,
        )
    )


def _check_place(
    found: checks.Checks,
    name: names.GatePolicyName,
    inheritance: gate_policies.Inheritance,
    displaced: gate_policies.Displaced | None,
) -> None:
    of_model = isinstance(name.owner, names.ModelName)
    replaces = inheritance is gate_policies.Inheritance.REPLACE
    found.require(of_model or not replaces, "inheritance", "only a model's policy replaces another")
    found.require(
        name.stage == stages.PRODUCTION or displaced is None,
        "displaced",
        "goes with a policy for production; no other stage makes a version leave",
    )


def _gate(wire: pb.Gate) -> gates.Gate:
    kind = wire.WhichOneof("kind")
    if kind is None:
        raise errors.invalid("has no kind that this server knows")
    with checks.Checks() as found:
        return found.make(kind, partial(_FROM_WIRE[kind], getattr(wire, kind)))


def _dataset(found: checks.Checks, text: str) -> tuple[str, str]:
    made: tuple[str, str] | None = found.make("dataset", partial(evaluations.dataset_of, text))
    # Something well-formed in its place, so that what else is wrong is found, too.
    return made or ("refused", "")


def _measured(found: checks.Checks, wire: Any) -> gates.Measured:
    name, revision = _dataset(found, wire.dataset)
    measured = partial(
        gates.Measured,
        dataset=name,
        metric=wire.metric,
        revision=revision,
        suite=wire.suite,
        slice=wire.slice,
        min_samples=wire.min_samples,
    )
    return found.make("", measured)


def _metric_threshold(wire: pb.MetricThresholdGate) -> gates.Gate:
    found = checks.Checks()
    measured = _measured(found, wire)
    found.require(wire.HasField("value"), "value", "must be set")
    known = {op.value: op for op in gates.Op}
    op = known.get(wire.op, gates.Op.AT_LEAST)
    wanted = f"{checks.shown(wire.op)} is none; there are {', '.join(known)}"
    found.require(wire.op in known, "op", wanted)
    return found.finish(lambda: gates.MetricThreshold(measured, op, wire.value))


def _non_regression(wire: pb.NonRegressionGate) -> gates.Gate:
    found = checks.Checks()
    measured = _measured(found, wire)
    return found.finish(
        lambda: gates.NonRegression(measured, wire.absolute, wire.relative, wire.significance)
    )


def _evaluation_age(wire: pb.EvaluationAgeGate) -> gates.Gate:
    found = checks.Checks()
    name, revision = _dataset(found, wire.dataset)
    return found.finish(lambda: gates.EvaluationAge(name, wire.max_days, revision, wire.suite))


def _file_safety(wire: pb.FileSafetyGate) -> gates.Gate:
    known = {verdict.value: verdict for verdict in gates.WORST}
    worst = wire.worst or facts.PickleVerdict.PLAIN.value
    if worst not in known:
        shown = f"{checks.shown(worst)} is none; there are {', '.join(known)}"
        raise errors.invalid(shown, "worst")
    return gates.FileSafety(known[worst])


def _frozen_windows(wire: pb.FrozenWindowsGate) -> gates.Gate:
    found = checks.Checks()
    taken = wire.windows[: limits.GATE_ENTRIES]
    found.size("windows", wire.windows, limits.GATE_ENTRIES, least=1)
    windows = found.make_each("windows", (partial(_window, one) for one in taken))
    if len(windows) < len(taken) or not windows:
        freezes.check_zone(found, "time_zone", wire.time_zone)
        with found:
            pass
    return found.finish(lambda: gates.FrozenWindows(wire.time_zone, windows, wire.reason))


def _window(wire: pb.FrozenWindow) -> freezes.Window:
    return _weekly(wire) if wire.days or wire.begin or wire.until else _period(wire)


def _period(wire: pb.FrozenWindow) -> freezes.Window:
    found = checks.Checks()
    start = found.make("start", partial(freezes.moment_of, wire.start))
    end = found.make("end", partial(freezes.moment_of, wire.end))
    with found:
        pass
    return freezes.Period(start, end)


def _weekly(wire: pb.FrozenWindow) -> freezes.Window:
    found = checks.Checks()
    for field in ("start", "end"):
        found.require(not getattr(wire, field), field, "goes with a window that is once")
    begin = found.make("begin", partial(freezes.minute_of, wire.begin))
    until = found.make("until", partial(freezes.minute_of, wire.until))
    with found:
        pass
    return freezes.Weekly(tuple(wire.days), begin, until)


_FROM_WIRE: dict[str, Callable[[Any], gates.Gate]] = {
    "metric_threshold": _metric_threshold,
    "non_regression": _non_regression,
    "evaluation_age": _evaluation_age,
    "evaluated": lambda wire: gates.Evaluated(tuple(wire.datasets), wire.suite),
    "required_fields": lambda wire: gates.RequiredFields(tuple(wire.fields)),
    "file_safety": _file_safety,
    "signed": lambda _: gates.Signed(),
    "time_in_stage": lambda wire: gates.TimeInStage(wire.min_days, wire.stage or stages.STAGING),
    "approvals": lambda wire: gates.Approvals(wire.count, wire.role),
    "frozen_windows": _frozen_windows,
}


def policy_to_wire(policy: gate_policies.Policy) -> pb.GatePolicy:
    """A policy, for the wire."""
    rules = policy.rules
    displaced: Any = convert.enum_to_wire(rules.displaced, DISPLACED) if rules.displaced else 0
    wire = pb.GatePolicy(
        name=str(policy.name),
        gates=map(gate_to_wire, rules.gates),
        displaced=displaced,
        lifetime_days=rules.lifetime_days,
        description=rules.description,
        actor=policy.actor,
        create_time=convert.timestamp_to_wire(policy.created_at),
        update_time=convert.timestamp_to_wire(policy.updated_at),
        etag=policy.etag,
    )
    if isinstance(policy.name.owner, names.ModelName):
        replaces = rules.inheritance is gate_policies.Inheritance.REPLACE
        wire.inheritance = pb.GATE_INHERITANCE_REPLACE if replaces else pb.GATE_INHERITANCE_EXTEND
    if rules.four_eyes is not None:
        wire.four_eyes = rules.four_eyes
    return wire


def gate_to_wire(gate: gates.Gate) -> pb.Gate:
    """A gate, for the wire."""
    return pb.Gate(**{gate.kind: _TO_WIRE[gate.kind](gate)})


def _named(name: str, revision: str) -> str:
    return f"{name}@{revision}" if revision else name


def _measured_to_wire(measured: gates.Measured) -> dict[str, Any]:
    return {
        "dataset": _named(measured.dataset, measured.revision),
        "metric": measured.metric,
        "suite": measured.suite,
        "slice": measured.slice,
        "min_samples": measured.min_samples,
    }


def _moment(at: datetime.datetime) -> str:
    return at.isoformat(timespec="auto" if at.second or at.microsecond else "minutes")


def _window_to_wire(window: freezes.Window) -> pb.FrozenWindow:
    if isinstance(window, freezes.Period):
        start, end = (_moment(at) for at in (window.start, window.end))
        return pb.FrozenWindow(start=start, end=end)
    begin, until = freezes.clock(window.begin), freezes.clock(window.end)
    return pb.FrozenWindow(days=window.days, begin=begin, until=until)


_TO_WIRE: dict[str, Callable[[Any], Any]] = {
    "metric_threshold": lambda gate: pb.MetricThresholdGate(
        **_measured_to_wire(gate.measured), op=gate.op.value, value=gate.value
    ),
    "non_regression": lambda gate: pb.NonRegressionGate(
        **_measured_to_wire(gate.measured),
        absolute=gate.absolute,
        relative=gate.relative,
        significance=gate.significance,
    ),
    "evaluation_age": lambda gate: pb.EvaluationAgeGate(
        dataset=_named(gate.dataset, gate.revision), suite=gate.suite, max_days=gate.max_days
    ),
    "evaluated": lambda gate: pb.EvaluatedGate(datasets=gate.datasets, suite=gate.suite),
    "required_fields": lambda gate: pb.RequiredFieldsGate(fields=gate.fields),
    "file_safety": lambda gate: pb.FileSafetyGate(worst=gate.worst.value),
    "signed": lambda _: pb.SignedGate(),
    "time_in_stage": lambda gate: pb.TimeInStageGate(stage=gate.stage, min_days=gate.min_days),
    "approvals": lambda gate: pb.ApprovalsGate(count=gate.count, role=gate.role),
    "frozen_windows": lambda gate: pb.FrozenWindowsGate(
        time_zone=gate.time_zone, windows=map(_window_to_wire, gate.windows), reason=gate.reason
    ),
}


def report_to_wire(version: names.VersionName, report: gates.Report) -> pb.GateReport:
    """What became of gates, for the wire."""
    return pb.GateReport(
        version=str(version),
        stage=report.stage,
        passed=report.passed,
        verdicts=map(_verdict_to_wire, report.verdicts),
        judge_time=convert.timestamp_to_wire(report.judged_at),
    )


def _verdict_to_wire(verdict: gates.Verdict) -> pb.GateVerdict:
    return pb.GateVerdict(
        gate=gate_to_wire(verdict.gate),
        passed=verdict.passed,
        pending=verdict.is_pending,
        sentence=verdict.sentence,
        evidence=verdict.evidence,
        policy=verdict.policy,
    )

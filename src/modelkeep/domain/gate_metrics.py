"""The rules of gates about figures and evaluations."""

import datetime

from modelkeep.domain import comparison, evaluations, gate_facts, gates, matching, phrases

_NAMED = 5
_DAY = datetime.timedelta(days=1)
_ROUNDING = 1e-9
"""0.85 less 0.83 is a little more than 0.02 to a machine."""
Facts = gate_facts.Facts


def split(dataset: str) -> tuple[str, str]:
    """Name and revision of a dataset as a gate names it."""
    return evaluations.dataset_of(dataset)


def shown(value: float) -> str:
    """A figure as people read it."""
    return f"{value:.6g}"


def instant(at: datetime.datetime) -> str:
    """An instant as people read it, in UTC."""
    return f"{at.astimezone(datetime.UTC):%Y-%m-%d %H:%M}Z"


def metric_threshold(gate: gates.MetricThreshold, facts: Facts) -> gates.Verdict:
    """The figure of the last run that has it meets the bound."""
    run = _last_with(facts.runs, gate.measured)
    if run is None:
        return gates.Verdict(gate, False, _no_figure(facts.runs, gate.measured))
    evidence = str(run.evaluation.name)
    metric = _figure(run, gate.measured).metric
    if metric.direction is not gate.op.direction:
        sentence = (
            f"{metric.name} gets better the other way ({metric.direction}) than the gate's "
            f"{gate.op.value} is for; set the policy right"
        )
        return gates.Verdict(gate, False, sentence, evidence)
    sentence = f"{_told(gate.measured, run)}; {gate.op.value} {shown(gate.value)} is wanted"
    few = _too_few(metric, gate.measured)
    passed = gate.op.holds(metric.value, gate.value) and not few
    return gates.Verdict(gate, passed, sentence + few, evidence)


def _last_with(runs: tuple[comparison.Run, ...], measured: gates.Measured) -> comparison.Run | None:
    fitting = gate_facts.find_runs(runs, measured.dataset, measured.revision, measured.suite)
    key = (measured.metric, measured.slice)
    return next((run for run in fitting if key in run.figures), None)


def _figure(run: comparison.Run, measured: gates.Measured) -> evaluations.Scored:
    return run.figures[measured.metric, measured.slice]


def _told(measured: gates.Measured, run: comparison.Run) -> str:
    """What was measured of which examples: `score of lang=de on dialogs@1 is 0.8 (n 400)`."""
    metric = _figure(run, measured).metric
    part = f" of {measured.slice}" if measured.slice else ""
    count = f" (n {metric.sample_count:,})" if metric.sample_count is not None else ""
    unit = f" {metric.unit}" if metric.unit else ""
    return f"{metric.name}{part} on {run.evaluation.dataset} is {shown(metric.value)}{unit}{count}"


def _too_few(metric: evaluations.Metric, measured: gates.Measured) -> str:
    if (metric.sample_count or 0) >= measured.min_samples:
        return ""
    count = "an unknown number of" if metric.sample_count is None else f"{metric.sample_count:,}"
    return f", of {count} examples; {measured.min_samples:,} are wanted"


def _no_figure(runs: tuple[comparison.Run, ...], measured: gates.Measured) -> str:
    fitting = gate_facts.find_runs(runs, measured.dataset, measured.revision, measured.suite)
    if fitting:
        last = fitting[0].evaluation
        return f"no evaluation has {measured}; the last on {last.dataset} is by {last.suite}"
    others = sorted({str(run.evaluation.dataset) for run in runs})[:_NAMED]
    return f"no evaluation has {measured}" + (f"; there is {', '.join(others)}" if others else "")


def evaluation_age(gate: gates.EvaluationAge, facts: Facts) -> gates.Verdict:
    """The last run is not too old."""
    runs = gate_facts.find_runs(facts.runs, gate.dataset, gate.revision, gate.suite)
    on = f"{gate.dataset}@{gate.revision}" if gate.revision else gate.dataset
    by = f" by {gate.suite}" if gate.suite else ""
    if not runs:
        return gates.Verdict(gate, False, f"no evaluation on {on}{by}")
    last = runs[0].evaluation
    days = max(datetime.timedelta(), facts.now - last.run_at) / _DAY
    sentence = (
        f"the last evaluation on {last.dataset}{by} is {days:.2f} days old, of "
        f"{instant(last.run_at)}; at most {gate.max_days:g} are allowed"
    )
    return gates.Verdict(gate, days <= gate.max_days, sentence, str(last.name))


def non_regression(gate: gates.NonRegression, facts: Facts) -> gates.Verdict:
    """The figure is not worse than production's, measured the same way."""
    if facts.production is None:
        return gates.Verdict(gate, True, "nothing is in production that it could be worse than")
    if facts.production == facts.version.name:
        return gates.Verdict(gate, True, "it is in production itself", str(facts.version.name))
    before = _last_with(facts.production_runs, gate.measured)
    if before is None:
        why = _no_figure(facts.production_runs, gate.measured)
        return gates.Verdict(gate, False, f"of {facts.production.version} in production {why}")
    key = (gate.measured.metric, gate.measured.slice)
    having = {run.evaluation.name: run for run in facts.runs if key in run.figures}
    others = [
        run.evaluation
        for run in having.values()
        if run.evaluation.dataset.name == gate.measured.dataset
    ]
    found, reason = matching.match(others, before.evaluation)
    if found is None:
        evidence = str(before.evaluation.name)
        return gates.Verdict(gate, False, f"not comparable with production: {reason}", evidence)
    return _against(gate, facts, before, having[found.name])


def _against(
    gate: gates.NonRegression, facts: Facts, before: comparison.Run, after: comparison.Run
) -> gates.Verdict:
    old, new = _figure(before, gate.measured), _figure(after, gate.measured)
    level = gate.significance or comparison.SIGNIFICANCE
    compared = comparison.judge(facts.version.name, old, new, level)
    evidence = str(after.evaluation.name)
    if compared.verdict is comparison.Verdict.NOT_COMPARABLE:
        why = f"not comparable with production: {compared.reason}"
        return gates.Verdict(gate, False, why, evidence)
    few = _too_few(new.metric, gate.measured)
    difference = f"{_difference(old.metric, new.metric)} {before.version.version}"
    passed, why = _is_near(gate, old.metric, new.metric, compared)
    sentence = f"{_told(gate.measured, after)}, {difference}{why}{few}"
    return gates.Verdict(gate, passed and not few, sentence, evidence)


def _worse_by(old: evaluations.Metric, new: evaluations.Metric) -> float:
    is_up = old.direction is evaluations.Direction.HIGHER
    return old.value - new.value if is_up else new.value - old.value


def _difference(old: evaluations.Metric, new: evaluations.Metric) -> str:
    worse = _worse_by(old, new)
    if worse == 0:
        return f"the same as {shown(old.value)} of"
    kind = "worse" if worse > 0 else "better"
    return f"{shown(abs(worse))} {kind} than {shown(old.value)} of"


def _is_near(
    gate: gates.NonRegression,
    old: evaluations.Metric,
    new: evaluations.Metric,
    compared: comparison.Candidate,
) -> tuple[bool, str]:
    """Whether it is not too much worse, and why."""
    worse = _worse_by(old, new)
    allowed = max(gate.absolute, gate.relative * abs(old.value))
    slack = _ROUNDING * max(abs(old.value), abs(new.value))
    told = f"; {f'up to {shown(allowed)}' if allowed else 'nothing'} worse is allowed"
    if worse <= 0 or worse <= allowed + slack:
        return True, told if worse > 0 else ""
    if not gate.significance:
        return False, told
    if compared.outcome is None:
        return False, f"{told}, and nothing tells whether it is chance: {compared.reason}"
    is_chance = compared.outcome.p_value >= gate.significance
    what = "no real difference" if is_chance else "a real difference"
    return is_chance, f"{told}; {what} ({phrases.evidence(compared.outcome, None)})"

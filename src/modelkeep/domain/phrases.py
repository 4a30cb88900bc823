"""Figures and tests in words: the parts that sentences about evaluations are made of."""

from modelkeep.domain import evaluations, names, significance

_T = significance.Test
_TESTS = {
    _T.PAIRED_T: "paired t",
    _T.SIGN_EXACT: "sign test, exact",
    _T.MCNEMAR_EXACT: "McNemar, exact",
    _T.TWO_PROPORTION_Z: "two-proportion z",
    _T.FISHER_EXACT: "Fisher, exact",
    _T.WELCH_T: "Welch's t",
    _T.INTERVAL_Z: "z of intervals",
}
_SMALLEST_P = 0.0001


def number(value: float) -> str:
    """Four digits that matter."""
    return f"{value:.4g}"


def amount(value: float, unit: str) -> str:
    """A figure with its unit, if it has one."""
    return f"{number(value)} {unit}".rstrip()


def metric(name: str, part: str) -> str:
    """A metric and of which examples it is: `score` or `score of lang=de`."""
    return f"{name} of {part}" if part else name


def figure(one: evaluations.Metric) -> str:
    """A metric's value with its unit."""
    return amount(one.value, one.unit)


def probability(value: float) -> str:
    """`p = 0.031`, or `p < 0.0001`."""
    return f"p < {_SMALLEST_P}" if value < _SMALLEST_P else f"p = {value:.2g}"


def evidence(outcome: significance.Outcome, adjusted_p_value: float | None) -> str:
    """Which test decided with which probability: `Welch's t, p = 0.0094`."""
    shown = f"{_TESTS[outcome.test]}, {probability(outcome.p_value)}"
    if adjusted_p_value is not None and adjusted_p_value != outcome.p_value:
        shown += f", adjusted {probability(adjusted_p_value)}"
    return shown


def short(version: names.VersionName) -> str:
    """The version's number."""
    return version.version

"""Tests of significance: whether two figures differ by more than chance would have them differ."""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.domain import distributions

_FEW = 5.0
"""Expected counts below this are too few for the normal approximation."""
_FISHER_TERMS = 10_000
_ROUNDING = 1e-12
"""A spread this much smaller than the mean is that of rounding."""
_SAME = 1e-7
"""Tables this little less probable than the one that was seen count as equally probable."""


class Test(enum.StrEnum):
    """How it was decided whether a difference is real."""

    PAIRED_T = "paired_t"
    SIGN_EXACT = "sign_exact"
    MCNEMAR_EXACT = "mcnemar_exact"
    TWO_PROPORTION_Z = "two_proportion_z"
    FISHER_EXACT = "fisher_exact"
    WELCH_T = "welch_t"
    INTERVAL_Z = "interval_z"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test found.

    Attributes:
        test: which test.
        p_value: how probable a difference at least so large is if there is none; 0 to 1.
        statistic: z or t; None for exact tests.
        freedom: degrees of freedom of t; None for others.
        standard_error: of the difference; None where the test has none.
    """

    test: Test
    p_value: float
    statistic: float | None = None
    freedom: float | None = None
    standard_error: float | None = None


def two_proportions(first: float, n_first: int, second: float, n_second: int) -> Outcome:
    """Whether two independent proportions differ: z test, or Fisher's where counts are small.

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.3: the pooled proportion p and
    z = (p2 - p1) / sqrt(p (1 - p) (1/n1 + 1/n2)), unless an expected count is below 5.
    """
    pooled = (first * n_first + second * n_second) / (n_first + n_second)
    rarer = min(pooled, 1 - pooled)
    is_small = rarer * min(n_first, n_second) < _FEW
    if is_small and min(n_first, n_second, rarer * (n_first + n_second)) < _FISHER_TERMS:
        return fisher(round(first * n_first), n_first, round(second * n_second), n_second)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n_first + 1 / n_second))
    if error == 0:
        return Outcome(Test.TWO_PROPORTION_Z, 1.0, 0.0, None, 0.0)
    z = (second - first) / error
    return Outcome(Test.TWO_PROPORTION_Z, distributions.normal_two_sided(z), z, None, error)


def fisher(k_first: int, n_first: int, k_second: int, n_second: int) -> Outcome:
    """Whether two independent proportions of few cases differ: Fisher's exact test, two-sided.

    Source: Agresti, Categorical Data Analysis, 3.5.1: the sum of the hypergeometric probabilities
    of all tables with the same margins that are no more probable than the one that was seen.
    """
    hits, total = k_first + k_second, n_first + n_second
    if hits > total - hits:
        return fisher(n_first - k_first, n_first, n_second - k_second, n_second)
    if n_first > n_second:
        return fisher(k_second, n_second, k_first, n_first)
    every = distributions.log_choose(total, hits)

    def probability(k: int) -> float:
        first = distributions.log_choose(n_first, k)
        return math.exp(first + distributions.log_choose(n_second, hits - k) - every)

    seen = probability(k_first) * (1 + _SAME)
    possible = map(probability, range(max(0, hits - n_second), min(hits, n_first) + 1))
    return Outcome(Test.FISHER_EXACT, min(1.0, math.fsum(p for p in possible if p <= seen)))


def welch(difference: float, errors: tuple[float, float], counts: tuple[int, int]) -> Outcome:
    """Whether two independent means differ: Welch's t test.

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.3 (variances not equal): with
    standard errors e1, e2 of the means t = difference / sqrt(e1^2 + e2^2), degrees of freedom by
    Welch and Satterthwaite (e1^2 + e2^2)^2 / (e1^4 / (n1 - 1) + e2^4 / (n2 - 1)).

    Args:
        difference: second mean less first.
        errors: standard errors of the means, not both 0.
        counts: their sample sizes, 2 or more each.
    """
    error = math.hypot(*errors)
    t = difference / error
    # By parts of the whole, so that tiny errors do not vanish when raised to the fourth power.
    parts = [(one / error) ** 4 / (n - 1) for one, n in zip(errors, counts, strict=True)]
    freedom = 1 / math.fsum(parts)
    p_value = distributions.student_two_sided(t, freedom)
    return Outcome(Test.WELCH_T, p_value, t, freedom, error)


def known_errors(difference: float, errors: tuple[float, float]) -> Outcome:
    """Whether two figures differ whose errors are known, but not from how many cases: z test.

    Source: Schenker and Gentleman, On Judging the Significance of Differences by Examining the
    Overlap Between Confidence Intervals, The American Statistician 55 (2001):
    z = difference / sqrt(e1^2 + e2^2). (That intervals overlap does not say that nothing differs.)
    """
    error = math.hypot(*errors)
    z = difference / error
    return Outcome(Test.INTERVAL_Z, distributions.normal_two_sided(z), z, None, error)


def paired(first: Sequence[float], second: Sequence[float]) -> Outcome:
    """Whether scores of the same examples differ.

    0 and 1 throughout: McNemar's test in its exact form, Agresti, Categorical Data Analysis, 10.1:
    of the examples that changed, as many for the better as for the worse. Where all changed by the
    same: the sign test, Conover, Practical Nonparametric Statistics, 3.4. Otherwise the paired t
    test, Student, The Probable Error of a Mean, Biometrika 6 (1908).

    Args:
        first: scores, by example.
        second: as many, in the same order.
    """
    differences = [b - a for a, b in zip(first, second, strict=True)]
    if is_binary(first) and is_binary(second):
        return Outcome(Test.MCNEMAR_EXACT, _by_signs(differences))
    mean = math.fsum(differences) / len(differences)
    error = error_of_mean(differences) if len(differences) > 1 else 0.0
    if error <= _ROUNDING * abs(mean):
        return Outcome(Test.SIGN_EXACT, _by_signs(differences))
    t, freedom = mean / error, float(len(differences) - 1)
    return Outcome(Test.PAIRED_T, distributions.student_two_sided(t, freedom), t, freedom, error)


def _by_signs(differences: Sequence[float]) -> float:
    """How probable it is that so many or more of those that changed did so the same way."""
    ups, downs = sum(one > 0 for one in differences), sum(one < 0 for one in differences)
    return distributions.fair_coin_two_sided(ups, ups + downs)


def is_binary(values: Sequence[float]) -> bool:
    """Whether there is nothing but 0 and 1."""
    return all(value in {0.0, 1.0} for value in values)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for how many there are, in the order given.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of
    Statistics 6 (1979): the k-th smallest of m times m - k + 1, none below the one before.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    by_size = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, place in enumerate(by_size):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = highest
    return adjusted


def error_of_mean(values: Sequence[float]) -> float:
    """The standard error of the mean of two values or more.

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.2: s / sqrt(n), with the
    sample's standard deviation s, 1.3.5.6.
    """
    count = len(values)
    mean = math.fsum(values) / count
    squares = math.fsum((value - mean) * (value - mean) for value in values)
    return math.sqrt(squares / (count - 1) / count)


def error_of_interval(low: float, high: float, level: float) -> float:
    """The standard error that an interval of this level of confidence implies, if it is normal.

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.2: (high - low) / (2 z).
    """
    return (high - low) / (2 * distributions.normal_quantile((1 + level) / 2))


def error_of_proportion(value: float, count: int) -> float:
    """The standard error of a proportion.

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.4: sqrt(p (1 - p) / n).
    """
    return math.sqrt(value * (1 - value) / count)

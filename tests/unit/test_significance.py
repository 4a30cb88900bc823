"""Tests of significance against published examples, and against an independent implementation."""

import importlib
import math
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from modelkeep.domain import distributions, significance

# Student, "The probable error of a mean", Biometrika 6 (1908): extra hours of sleep by two drugs,
# of the same ten patients. The data set `sleep` of R, whose manual gives the results of t.test.
DRUG_1 = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
DRUG_2 = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
T = significance.Test


def stats() -> Any:
    """Imported late: that takes seconds, and only one of the workers needs it."""
    return importlib.import_module("scipy.stats")


def standard_error(values: tuple[float, ...]) -> float:
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(variance / len(values))


@pytest.mark.parametrize(
    ("t", "freedom", "tail"),
    [
        # NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2, upper critical values.
        (12.706, 1, 0.025),
        (2.571, 5, 0.025),
        (2.228, 10, 0.025),
        (2.042, 30, 0.025),
        (1.812, 10, 0.05),
        (4.144, 10, 0.001),
        (1.984, 100, 0.025),
    ],
)
def test_students_t_is_that_of_the_published_table(t: float, freedom: float, tail: float) -> None:
    assert distributions.student_two_sided(t, freedom) == pytest.approx(2 * tail, rel=1e-3)


@hypothesis.given(t=st.floats(-50, 50), freedom=st.floats(0.5, 5e6))
def test_students_t_is_that_of_scipy(t: float, freedom: float) -> None:
    expected = 2 * stats().t.sf(abs(t), freedom)
    found = distributions.student_two_sided(t, freedom)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-12)


@hypothesis.given(a=st.floats(0.5, 1e4), b=st.floats(0.5, 1e4), x=st.floats(0, 1))
def test_the_incomplete_beta_function_is_that_of_scipy(a: float, b: float, x: float) -> None:
    expected = stats().beta.cdf(x, a, b)
    found = distributions.incomplete_beta(a, b, x)
    assert found == pytest.approx(expected, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(("z", "p"), [(1.959964, 0.05), (2.575829, 0.01), (0, 1), (-1.644854, 0.1)])
def test_the_normal_distribution_is_that_of_the_tables(z: float, p: float) -> None:
    assert distributions.normal_two_sided(z) == pytest.approx(p, rel=1e-5)


def test_two_proportions_as_in_the_physicians_health_study() -> None:
    # Agresti, Categorical Data Analysis, 2nd edition, table 2.3: heart attacks, 189 of 11,034 with
    # placebo, 104 of 11,037 with aspirin; Pearson's X^2 = 25.0, which is z^2.
    found = significance.two_proportions(189 / 11034, 11034, 104 / 11037, 11037)
    assert found.test is T.TWO_PROPORTION_Z
    assert found.statistic is not None
    assert found.statistic**2 == pytest.approx(25.01, abs=0.01)
    table = [[189, 11034 - 189], [104, 11037 - 104]]
    assert found.p_value == pytest.approx(
        stats().chi2_contingency(table, correction=False).pvalue, rel=1e-9
    )


def test_few_cases_go_to_fishers_exact_test() -> None:
    # Fisher, The Design of Experiments (1935): the lady tasting tea, 3 of 4 cups right; two-sided
    # p = 0.4857 (Agresti, Categorical Data Analysis, 3.5.2).
    tea = significance.two_proportions(0.75, 4, 0.25, 4)
    assert (tea.test, tea.p_value) == (T.FISHER_EXACT, pytest.approx(0.4857, abs=5e-5))
    # The example of scipy.stats.fisher_exact's manual: [[8, 2], [1, 5]], p = 0.0350.
    assert significance.fisher(8, 10, 1, 6).p_value == pytest.approx(0.0350, abs=5e-5)


@hypothesis.given(
    n=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_fishers_test_is_that_of_scipy(n: tuple[int, int], share: tuple[float, float]) -> None:
    hits = (round(n[0] * share[0]), round(n[1] * share[1]))
    table = [[hits[0], n[0] - hits[0]], [hits[1], n[1] - hits[1]]]
    expected = stats().fisher_exact(table).pvalue
    found = significance.fisher(hits[0], n[0], hits[1], n[1]).p_value
    assert found == pytest.approx(expected, rel=1e-6)


def test_welchs_test_of_students_sleep_data() -> None:
    # The manual of R, t.test(extra ~ group, data = sleep): t = -1.8608, df = 17.776, p = 0.07939.
    difference = sum(DRUG_2) / 10 - sum(DRUG_1) / 10
    errors = (standard_error(DRUG_1), standard_error(DRUG_2))
    found = significance.welch(difference, errors, (10, 10))
    assert found.test is T.WELCH_T
    assert found.statistic == pytest.approx(1.8608, abs=5e-5)
    assert found.freedom == pytest.approx(17.776, abs=5e-4)
    assert found.p_value == pytest.approx(0.07939, abs=5e-6)


def test_the_paired_test_of_students_sleep_data() -> None:
    # The manual of R, t.test(sleep, paired = TRUE): t = -4.0621, df = 9, p = 0.002833.
    found = significance.paired(DRUG_1, DRUG_2)
    assert (found.test, found.freedom) == (T.PAIRED_T, 9)
    assert found.statistic == pytest.approx(4.0621, abs=5e-5)
    assert found.p_value == pytest.approx(0.002833, abs=5e-7)


def test_mcnemars_test_of_the_approval_ratings() -> None:
    # Agresti, Categorical Data Analysis, 10.1.1: of 1,600 people 150 changed from approval to
    # disapproval of the Prime Minister and 86 the other way; z^2 = 17.36, P < 0.001.
    before = (1.0,) * 794 + (1.0,) * 150 + (0.0,) * 86 + (0.0,) * 570
    after = (1.0,) * 794 + (0.0,) * 150 + (1.0,) * 86 + (0.0,) * 570
    found = significance.paired(before, after)
    assert found.test is T.MCNEMAR_EXACT
    assert found.p_value == pytest.approx(stats().binomtest(86, 236).pvalue, rel=1e-9)
    assert found.p_value < 0.001


def test_known_errors_as_in_a_comparison_of_intervals() -> None:
    # By hand: difference 3, errors 1 and 2, z = 3 / sqrt(5) = 1.3416, p = 0.1797.
    found = significance.known_errors(3, (1, 2))
    assert found.statistic == pytest.approx(1.341641, abs=1e-6)
    assert found.p_value == pytest.approx(0.179712, abs=1e-6)
    assert significance.error_of_interval(1, 3, 0.95) == pytest.approx(2 / (2 * 1.959964), rel=1e-6)
    assert significance.error_of_proportion(0.83, 400) == pytest.approx(0.01878, abs=5e-6)


def test_holms_adjustment() -> None:
    # Wikipedia, Holm-Bonferroni method, example: p = 0.01, 0.04, 0.03, 0.005.
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([]) == []
    assert significance.holm([0.9, 0.8]) == [1.0, 1.0]


@hypothesis.given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjusting_never_makes_a_p_value_smaller_nor_changes_the_order(values: list[float]) -> None:
    adjusted = significance.holm(values)
    assert all(a >= p for a, p in zip(adjusted, values, strict=True))
    by_size = [adjusted[n] for n in sorted(range(len(values)), key=values.__getitem__)]
    assert by_size == sorted(by_size)


def test_nothing_of_what_is_equal_differs() -> None:
    assert significance.two_proportions(1, 50, 1, 70).p_value == 1
    assert significance.two_proportions(0, 50, 0, 70).p_value == 1
    assert significance.paired((0.5, 0.25), (0.5, 0.25)).p_value == 1
    assert significance.paired((1.5,), (2.5,)).p_value == 1


def test_what_changes_by_the_same_everywhere_is_tested_by_signs() -> None:
    # Rounding gives these differences a spread of some 1e-17; ten of ten go up: 2 / 2^10.
    before = tuple(n / 10 for n in range(10))
    found = significance.paired(before, tuple(value + 0.8 for value in before))
    assert (found.test, found.p_value) == (T.SIGN_EXACT, pytest.approx(2 / 2**10))


@pytest.mark.parametrize("n", [2**40, 2**62])
def test_huge_counts_end_soon(n: int) -> None:
    assert significance.two_proportions(1e-12, n, 0.5, 3).p_value <= 1
    assert significance.two_proportions(1e-15, n, 2e-15, n).p_value <= 1
    assert distributions.student_two_sided(2, n) == pytest.approx(0.0455, abs=1e-4)

"""Tail probabilities of the distributions that the tests of significance need."""

import math
import statistics
from collections.abc import Iterator

_NORMAL = statistics.NormalDist()
_STEPS = 10_000
_TINY = 1e-300
_PRECISION = 1e-15
_LIKE_NORMAL = 1e6
"""From so many degrees of freedom on, Student's t is taken for the normal distribution."""


def normal_two_sided(z: float) -> float:
    """P(|Z| >= |z|) of the standard normal distribution.

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.6.1. By `erfc`, which keeps its
    precision far out in the tail.
    """
    return math.erfc(abs(z) / math.sqrt(2))


def normal_quantile(probability: float) -> float:
    """The z with P(Z <= z) = probability, for 0 < probability < 1."""
    return _NORMAL.inv_cdf(probability)


def student_two_sided(t: float, freedom: float) -> float:
    """P(|T| >= |t|) of Student's t distribution with `freedom` > 0 degrees of freedom.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.1 with 26.5.27:
    I_x(freedom / 2, 1 / 2) with x = freedom / (freedom + t^2).
    """
    if freedom >= _LIKE_NORMAL or math.isinf(t):
        return normal_two_sided(t)
    if t * t < freedom:  # near the middle, where 1 - x has the digits that x has lost
        return 1.0 - incomplete_beta(0.5, freedom / 2, t * t / (freedom + t * t))
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for a, b > 0 and 0 <= x <= 1.

    Source: the continued fraction of Abramowitz and Stegun 26.5.8, which converges quickly for
    x < (a + 1) / (a + b + 2); elsewhere I_x(a, b) = 1 - I_(1-x)(b, a), their 26.5.2.
    """
    if x in {0.0, 1.0}:
        return x
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _by_fraction(b, a, 1.0 - x)
    return _by_fraction(a, b, x)


def _by_fraction(a: float, b: float, x: float) -> float:
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log_front += a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / (a * _continued(a, b, x))


def _continued(a: float, b: float, x: float) -> float:
    """1 + d_1 x / (1 + d_2 x / (1 + ...)), by Lentz's method (Lentz 1976, Applied Optics 15)."""
    value, c, d = 1.0, 1.0, 0.0
    for step in _coefficients(a, b):
        d = 1.0 / _away_from_zero(1.0 + step * x * d)
        c = _away_from_zero(1.0 + step * x / c)
        value *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return value


def _coefficients(a: float, b: float) -> Iterator[float]:
    for m in range(_STEPS):
        yield -(a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1))
        n = m + 1
        yield n * (b - n) / ((a + 2 * n - 1) * (a + 2 * n))


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def log_choose(n: int, k: int) -> float:
    """The logarithm of the number of ways to choose k of n."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def fair_coin_two_sided(heads: int, tosses: int) -> float:
    """How probable so uneven a number of heads is, whichever way, with a fair coin.

    Source: the exact binomial (sign) test, Conover, Practical Nonparametric Statistics, 3.4:
    twice the smaller tail, at most 1.
    """
    fewer = min(heads, tosses - heads)
    tail = math.fsum(
        math.exp(log_choose(tosses, k) - tosses * math.log(2)) for k in range(fewer + 1)
    )
    return min(1.0, 2 * tail)

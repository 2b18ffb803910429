"""Intervals: t quantiles from tables, and coverage of short chains."""

import math
from itertools import pairwise

import numpy as np
import pytest
from series import ar1

from nmcmc.analysis.autocorrelation import estimate_function, estimate_mean
from nmcmc.analysis.intervals import ONE_SIGMA, degrees_of_freedom, interval, quantile
from nmcmc.analysis.resampling import binned_mean, jackknife_function
from nmcmc.analysis.windows import SokalWindow
from nmcmc.types import Estimate

TABLE = {
    (0.95, 1): 12.706204736,
    (0.95, 2): 4.302652730,
    (0.95, 10): 2.228138852,
    (0.99, 5): 4.032142984,
    (0.5, 3): 0.764892328,
    (0.95, 100): 1.983971519,
    (0.95, math.inf): 1.959963985,
}


@pytest.mark.parametrize(("level", "dof"), TABLE)
def test_quantiles_are_those_of_the_table(level, dof):
    assert quantile(level, dof) == pytest.approx(TABLE[level, dof], rel=1e-9)


def test_quantiles_between_whole_degrees_lie_between():
    values = [quantile(0.95, dof) for dof in (1, 1.2, 1.5, 2, 2.5, 3, 1e3, 1e5, 1e7)]
    assert all(a > b for a, b in pairwise(values))
    assert quantile(ONE_SIGMA, 1e12) == pytest.approx(1)


def test_interval_widens_with_the_doubt_about_the_error():
    known, doubtful = Estimate(2.0, 0.1), Estimate(2.0, 0.1, error_error=0.03)
    assert interval(known) == pytest.approx((1.9, 2.1))
    assert degrees_of_freedom(doubtful) == pytest.approx(0.5 * (0.1 / 0.03) ** 2)
    low, high = interval(doubtful, 0.95)
    assert high - low > 1.05 * (interval(known, 0.95)[1] - interval(known, 0.95)[0])
    assert interval(Estimate(1.0, math.inf)) == (-math.inf, math.inf)
    assert interval(Estimate(1.0, 0.0), 0.95) == (1.0, 1.0)


def test_bad_levels_raise():
    for level in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match="level"):
            interval(Estimate(1.0, 0.1), level)
    with pytest.raises(ValueError, match="degree of freedom"):
        quantile(0.5, 0.5)


def coverage(estimates, exact, level=0.95):
    return np.mean([low <= exact <= high for low, high in (interval(e, level) for e in estimates)])


@pytest.mark.parametrize(
    "estimator", [estimate_mean, lambda x: estimate_mean(x, SokalWindow()), binned_mean], ids=["gamma", "sokal", "bins"]
)
def test_intervals_of_short_chains_cover(estimator):
    """600 chains of 150 τ_int: 95 % within 5 standard deviations of a share; independent draws' errors do not."""
    rows = ar1(0.8, 600, 700, seed=5)
    found = [estimator(row[None]) for row in rows]
    spread = math.sqrt(0.05 * 0.95 / 600)
    assert abs(coverage(found, 0.0) - 0.95) < 5 * spread
    naive = [Estimate(e.value, e.error / math.sqrt(2 * e.tau_int)) for e in found]
    assert abs(coverage(naive, 0.0) - 0.95) > 5 * spread


def variances(estimator, rows):
    return [estimator(lambda a, b: b - a * a, [row[None], row[None] ** 2]) for row in rows]


@pytest.mark.parametrize("estimator", [estimate_function, jackknife_function])
def test_bias_of_a_variance_goes(estimator):
    """⟨a²⟩ − ⟨a⟩² of 44 τ_int is 1 − 2τ_int/n = 0.955 on average."""
    rows = ar1(0.8, 1500, 200, seed=6)
    bias = np.mean([e.value for e in variances(estimator, rows)]) - 1
    plain = np.mean(rows.var(axis=1)) - 1
    assert plain < -5 * rows.var(axis=1).std() / math.sqrt(len(rows))
    assert abs(bias) < 0.4 * abs(plain)


@pytest.mark.parametrize("estimator", [estimate_function, jackknife_function])
def test_intervals_of_variances_cover(estimator):
    found = variances(estimator, ar1(0.8, 600, 1000, seed=6))
    assert abs(coverage(found, 1.0) - 0.95) < 5 * math.sqrt(0.05 * 0.95 / 600)
    assert abs(coverage(found, 1.2) - 0.95) > 5 * math.sqrt(0.05 * 0.95 / 600)

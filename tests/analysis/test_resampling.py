"""Binning and jackknife against sums by hand and known errors."""

import math

import numpy as np
import pytest
from series import ar1, tau_of

from nmcmc.analysis.autocorrelation import bins, curvature_bias, estimate_function
from nmcmc.analysis.resampling import bin_length, binned_mean, jackknife_function


def test_bins_are_means_within_chains_and_drop_the_start():
    series = np.arange(14.0).reshape(2, 7)
    np.testing.assert_allclose(bins(series, 3), [2, 5, 9, 12])


def test_bins_grow_with_tau():
    lengths = [bin_length(ar1(a, 4, 20_000, seed=1))[0] for a in (0.5, 0.9, 0.98)]
    assert lengths == sorted(lengths)
    assert all(1.5 * tau_of(a) < b for a, b in zip((0.9, 0.98), lengths[1:], strict=True))


@pytest.mark.parametrize("a", [0.0, 0.7, 0.95])
def test_error_and_tau_of_ar1_are_known(a):
    series = ar1(a, 8, 50_000, seed=2)
    found = binned_mean(series)
    assert found.reliable
    assert found.value == pytest.approx(series.mean())
    assert abs(found.tau_int - tau_of(a)) < 5 * found.tau_int_error
    assert abs(found.error / math.sqrt(2 * tau_of(a) / series.size) - 1) < 5 * found.error_error / found.error
    assert abs(found.deviation(0.0)) < 5


def test_jackknife_agrees_with_linearisation():
    m = ar1(0.8, 2, 30_000, seed=4) + 0.5
    binder = lambda a, b: 1 - b / (3 * a**2)  # noqa: E731
    ours, linear = jackknife_function(binder, [m**2, m**4]), estimate_function(binder, [m**2, m**4])
    assert abs(ours.value - linear.value) < 0.05 * linear.error
    assert abs(ours.error - linear.error) < 5 * math.hypot(ours.error_error, linear.error_error)


def test_bias_of_a_square_is_the_variance_of_the_mean():
    assert curvature_bias(lambda a: a * a, np.array([3.0]), np.array([[0.04]])) == pytest.approx(0.04)
    covariance = np.array([[0.04, 0.01], [0.01, 0.09]])
    assert curvature_bias(lambda a, b: a * b, np.array([1.0, 2.0]), covariance) == pytest.approx(0.01)
    assert math.isnan(curvature_bias(lambda a: np.sqrt(a), np.array([0.01]), np.array([[1.0]])))


def test_a_quantity_that_bends_too_much_is_not_believed():
    series = ar1(0.5, 1, 500, seed=3)
    found = estimate_function(lambda a: np.exp(50 * a), [series])
    assert not found.reliable
    assert "bends too much" in found.why


def test_what_does_not_move_or_is_short_is_not_believed():
    assert "never moves" in binned_mean(np.full((2, 100), 0.1)).why
    assert "shorter than 50 tau_int" in binned_mean(ar1(0.98, 1, 1000, seed=5)).why
    with pytest.raises(ValueError, match="equal"):
        jackknife_function(lambda a, b: a + b, [np.zeros((1, 10)), np.zeros((1, 11))])
    undefined = jackknife_function(np.sqrt, [ar1(0.0, 1, 1000, seed=1) - 5])
    assert (undefined.error, undefined.reliable) == (math.inf, False)


def test_chains_that_disagree_are_flagged():
    series = ar1(0.5, 4, 5000, seed=7)
    assert binned_mean(series).reliable
    series[3] += 0.3
    assert "disagree" in binned_mean(series).why

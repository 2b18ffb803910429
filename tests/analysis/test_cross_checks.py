"""Errors by five rules side by side: each is that of its own function, and all are those of a known series."""

import math

import numpy as np
import pytest
from series import ar1, tau_of

from nmcmc.analysis.autocorrelation import autocorrelation, estimate_function, estimate_mean
from nmcmc.analysis.cross_checks import Rules, cross_checks, mixing, slowest
from nmcmc.analysis.resampling import binned_mean, jackknife_function
from nmcmc.analysis.windows import AutomaticWindow, SokalWindow, TailWindow
from nmcmc.types import Estimate

RULES = ("gamma", "tail", "sokal", "binning", "jackknife")


def mean(a):
    return a


def variance(a, a2):
    return a2 - a * a


@pytest.mark.parametrize("a", [-0.4, 0.0, 0.8, 0.95])
def test_every_rule_finds_the_error_of_ar1(a):
    series = ar1(a, 4, 50_000, seed=1)
    found = cross_checks(mean, [series], Rules(tau_exp=max(-1 / math.log(abs(a)), 0.5) if a else 0.5))
    assert tuple(found) == RULES
    exact = math.sqrt(2 * tau_of(a) / series.size)
    for rule, estimate in found.items():
        if rule == "tail" and a < 0:  # |ρ| is added where ρ is negative: too large
            assert estimate.error > exact
            continue
        assert estimate.reliable, (rule, estimate.why)
        assert abs(estimate.value) < 5 * exact
        assert abs(estimate.error - exact) < 5 * estimate.error_error, rule


def test_rules_are_the_functions_of_their_names():
    x = ar1(0.7, 2, 3000, seed=2)
    series, rules = [x, x**2], Rules(s=2.0, tau_exp=4.0, c=6.0)
    found = cross_checks(variance, series, rules)
    windows = {"gamma": AutomaticWindow(2.0), "tail": TailWindow(4.0), "sokal": SokalWindow(6.0)}
    for name, window in windows.items():
        assert found[name] == estimate_function(variance, series, window)
    assert found["jackknife"] == jackknife_function(variance, series)
    fluctuation = x**2 - 2 * x.mean() * (x - x.mean())
    assert found["binning"].error == pytest.approx(binned_mean(fluctuation).error, rel=1e-6)
    assert found["binning"].value == pytest.approx(variance(x.mean(), np.mean(x**2)))


def test_an_estimate_tells_its_window_or_bins():
    series = ar1(0.8, 2, 5000, seed=3)
    for window in (AutomaticWindow(), SokalWindow(), TailWindow(5.0)):
        assert estimate_mean(series, window).window == autocorrelation(series, window).window > 0
    assert binned_mean(series).window >= 2 * 2.7 * tau_of(0.8) / 2
    assert Estimate(1.0, 0.1).window == 0


def test_a_slow_mode_that_the_window_misses_shows_in_the_tail():
    """95 % of the variance has τ_int ½, 5 % of it 50: the Γ-method's window ends before the slow part does."""
    series = math.sqrt(0.95) * np.random.default_rng(4).standard_normal((4, 20_000))
    series += math.sqrt(0.05) * ar1(0.98, 4, 20_000, seed=4)
    found = cross_checks(mean, [series], Rules(tau_exp=-1 / math.log(0.98)))
    exact = 0.95 * 0.5 + 0.05 * tau_of(0.98)
    assert abs(found["tail"].tau_int - exact) < abs(found["sokal"].tau_int - exact)
    assert exact - found["sokal"].tau_int > 5 * found["sokal"].tau_int_error


def test_what_does_not_vary_or_is_not_finite_is_marked_by_every_rule():
    constant = np.ones((2, 100))
    assert all("never moves" in estimate.why for estimate in cross_checks(mean, [constant]).values())
    assert mixing(mean, [constant]) == {}
    infinite = cross_checks(lambda a: np.log(-1 - a * a), [ar1(0.5, 2, 100, seed=5)])
    assert all("not finite" in estimate.why for estimate in infinite.values())
    assert mixing(lambda a: np.log(-1 - a * a), [ar1(0.5, 2, 100, seed=5)]) == {}


def test_mixing_is_that_of_the_quantity():
    """m is stationary, but m² remembers starts on both sides."""
    start = np.array([[1], [-1], [1], [-1]]) * 6 * np.exp(-np.arange(2000) / 30)
    m = 0.3 * ar1(0.3, 4, 2000, seed=6) + start
    found = mixing(mean, [m**2])
    assert 20 < found["burn_in"].value < 300
    assert not found["burn_in"].reliable
    assert mixing(mean, [m[:, 500:]])["burn_in"].value == 0
    apart = mixing(mean, [ar1(0.3, 4, 2000, seed=7) + np.array([[0], [0], [0], [2]])])
    assert not apart["split_rhat"].reliable
    assert "split_rhat" not in mixing(mean, [m[:, :6]])


@pytest.mark.parametrize("options", [{"s": 0.0}, {"s": math.inf}, {"tau_exp": math.nan}, {"tau_exp": -1}, {"c": 0}])
def test_rules_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="finite"):
        Rules(**options)


def test_the_slowest_is_the_largest_known_tau():
    assert slowest([Estimate(0, 1, 0.3), Estimate(0, 1, 7.0), Estimate(0, 1, math.nan)]) == 7.0
    assert slowest([]) == 0.5

import math
import warnings

import emcee
import numpy as np
import pytest
from series import ar1, tau_of

from nmcmc.analysis.autocorrelation import (
    autocorrelation,
    autocorrelation_function,
    estimate_function,
    estimate_mean,
)
from nmcmc.analysis.resampling import binned_mean, jackknife_function
from nmcmc.analysis.windows import AutomaticWindow

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyerrors


@pytest.mark.parametrize("shape", [(1, 50), (3, 64), (2, 101)])
def test_fft_equals_the_direct_sum(shape):
    series = np.random.default_rng(3).standard_normal(shape) + 5
    fluctuation = series - series.mean()
    n = shape[1]
    direct = [np.mean(fluctuation[:, : n - t] * fluctuation[:, t:]) for t in range(n)]
    np.testing.assert_allclose(autocorrelation_function(series, n - 1), direct, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(autocorrelation_function(series), autocorrelation_function(series, n // 2))


@pytest.mark.parametrize("n_chains", [1, 8])
@pytest.mark.parametrize("a", [0.0, 0.5, 0.9, -0.4])
def test_tau_int_of_ar1_is_known_and_one_3_percent_off_is_refused(a, n_chains):
    series = ar1(a, n_chains, 400_000 // n_chains, seed=11)
    estimate = estimate_mean(series)
    assert estimate.reliable
    assert abs(estimate.tau_int - tau_of(a)) < 5 * estimate.tau_int_error
    assert abs(estimate.deviation(0.0)) < 5
    assert estimate.error == pytest.approx(math.sqrt(2 * tau_of(a) / series.size), rel=0.1)
    if a == 0.9:
        assert abs(estimate.tau_int - tau_of(0.97 * a)) > 5 * estimate.tau_int_error
        assert abs(estimate.deviation(10 * estimate.error)) > 5


def test_independent_series_have_tau_one_half():
    estimate = estimate_mean(np.random.default_rng(5).random((4, 20_000)))
    assert abs(estimate.tau_int - 0.5) < 5 * estimate.tau_int_error
    assert estimate.tau_int_error < 0.01


@pytest.mark.parametrize(("a", "n_chains"), [(0.0, 1), (0.5, 1), (0.9, 2), (0.95, 4)])
def test_agrees_with_pyerrors(a, n_chains):
    series = ar1(a, n_chains, 40_000, seed=21) + 1.5
    ours = estimate_mean(series)
    theirs = pyerrors.Obs(list(series), [f"chain|r{k}" for k in range(n_chains)])
    theirs.gamma_method(S=1.5)
    assert ours.value == pytest.approx(theirs.value, rel=1e-12)
    assert ours.error == pytest.approx(theirs.dvalue, rel=0.01)
    assert ours.tau_int == pytest.approx(theirs.e_tauint["chain"], rel=0.01)
    assert ours.tau_int_error == pytest.approx(theirs.e_dtauint["chain"], rel=0.05 if a else 0.3)


def test_function_agrees_with_pyerrors():
    m = ar1(0.8, 2, 30_000, seed=4) + 0.5
    names = ["chain|r1", "chain|r2"]
    m2, m4 = pyerrors.Obs(list(m**2), names), pyerrors.Obs(list(m**4), names)
    theirs = 1 - m4 / (3 * m2**2)
    theirs.gamma_method(S=1.5)
    ours = estimate_function(lambda a, b: 1 - b / (3 * a**2), [m**2, m**4])
    assert abs(ours.value - theirs.value) < 0.1 * ours.error  # they keep the bias of f at noisy means
    assert ours.error == pytest.approx(theirs.dvalue, rel=0.01)
    assert ours.tau_int == pytest.approx(theirs.e_tauint["chain"], rel=0.01)


def test_agrees_with_emcee_which_prints_twice_tau():
    series = ar1(0.9, 8, 20_000, seed=9)
    ours = estimate_mean(series)
    theirs = emcee.autocorr.integrated_time(series.T)[0] / 2
    assert abs(ours.tau_int - theirs) < 3 * ours.tau_int_error


def test_function_of_one_series_is_the_mean():
    series = ar1(0.5, 2, 5000, seed=2)
    mean, function = estimate_mean(series), estimate_function(lambda a: 3 * a, [series])
    assert function.value == pytest.approx(3 * mean.value, rel=1e-12)
    assert function.error == pytest.approx(3 * mean.error, rel=1e-8)
    assert function.tau_int == pytest.approx(mean.tau_int, rel=1e-8)


@pytest.mark.parametrize("a", [0.0, 0.8])
def test_errors_are_calibrated_over_500_experiments(a):
    """The pulls have unit variance: 5 σ of a variance of 500 is 5√(2/500) = 0.32; τ is underestimated by a little."""
    experiments = ar1(a, 500, 2000, seed=17)
    mean = [estimate_mean(row[None]) for row in experiments]
    square = [estimate_function(lambda m2: m2**0.5, [row[None] ** 2]) for row in experiments]
    assert all(estimate.reliable for estimate in mean)
    assert abs(np.var([e.deviation(0.0) for e in mean]) - 1) < 0.32
    assert abs(np.var([e.deviation(1.0) for e in square]) - 1) < 0.32
    too_small = [e.value / (e.error / math.sqrt(2)) for e in mean]
    assert abs(np.var(too_small) - 1) > 0.32


def test_window_grows_with_s_and_error_of_the_error_is_its_scatter():
    series = ar1(0.8, 100, 4000, seed=8)
    found = [autocorrelation(row[None]) for row in series]
    assert autocorrelation(series, AutomaticWindow(2.0)).window > autocorrelation(series, AutomaticWindow(1.0)).window
    scatter = np.std([f.error for f in found])
    assert np.mean([f.error_error for f in found]) == pytest.approx(scatter, rel=0.5)
    np.testing.assert_allclose([f.rho[0] for f in found], 1)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e-300])
def test_constant_series_is_never_reliable(value):
    for shape in [(1, 100), (3, 1000)]:
        estimate = estimate_mean(np.full(shape, value))
        assert estimate.value == pytest.approx(value, rel=1e-12)
        assert estimate.error == 0
        assert not estimate.reliable
        assert "never moves" in estimate.why
        assert not estimate_function(lambda a: a**2, [np.full(shape, value)]).reliable


def test_constant_function_of_moving_series_is_not_reliable():
    series = ar1(0.5, 2, 1000, seed=1)
    estimate = estimate_function(lambda a, b: a - b, [series, series])
    assert estimate.error == 0
    assert not estimate.reliable
    assert "does not vary" in estimate.why


def test_one_stuck_chain_among_many_is_flagged():
    series = ar1(0.0, 4, 5000, seed=1)
    assert estimate_mean(series).reliable
    series[2] = 0.1
    assert "chain 2 never moves" in estimate_mean(series).why


def test_long_stand_is_flagged_and_its_value_kept():
    series = ar1(0.0, 2, 5000, seed=1)
    series[1, 1000:1700] = 0.0
    estimate = estimate_mean(series)
    assert not estimate.reliable
    assert "chain 1 stands still for 700 of 5000 draws" in estimate.why
    assert estimate.value == pytest.approx(series.mean())


@pytest.mark.parametrize("value", [0.0, 1.0, 2.0])
def test_a_stand_of_just_under_a_tenth_is_flagged_and_does_not_excuse_itself(value):
    """990 equal ones of 10 000 independent draws: the run makes τ_int so large that it could be a chance of that τ."""
    series = np.random.default_rng(4).standard_normal((1, 10_000))
    assert estimate_mean(series).reliable
    series[0, 3000:3990] = value
    for estimate in (estimate_mean(series), binned_mean(series), jackknife_function(lambda a: a, [series])):
        assert "chain 0 stands still for 990 of 10000 draws" in estimate.why


def independence_chain(log_weight, values, rng):
    """Return a Metropolis–Hastings chain of independent proposals, one row."""
    log_uniform, at, path = np.log(rng.random(len(values))), 0, []
    for k in range(len(values)):
        at = k if log_uniform[k] < log_weight[k] - log_weight[at] else at
        path.append(at)
    return values[np.array(path)][None]


def test_stays_of_uneven_weights_are_not_taken_for_stuck():
    """Honest chains with ess e^(−0.4) = ⅔ stay for up to some 50 draws; a state of the weight 10³ stays too long."""
    rng = np.random.default_rng(12)
    flagged = 0
    for _ in range(20):
        z = rng.standard_normal(5000)
        flagged += not estimate_mean(independence_chain(0.63 * z, rng.standard_normal(5000), rng)).reliable
    assert flagged == 0
    weight, values = np.zeros(10_000), rng.standard_normal(10_000)
    weight[4000], values[4000] = math.log(1000), 2.0
    assert "stands still" in estimate_mean(independence_chain(weight, values, rng)).why


def test_two_state_process_is_not_taken_for_stuck():
    flips = np.random.default_rng(6).random((4, 20_000)) < 0.02
    assert estimate_mean(np.cumprod(np.where(flips, -1.0, 1.0), axis=1)).reliable


def test_independent_draws_of_mostly_one_value_are_not_taken_for_stuck():
    """A cold system is in its ground state most of the time: runs are long although τ_int is ½."""
    series = (np.random.default_rng(7).random((16, 200)) < 0.25).astype(float)
    assert estimate_mean(series).reliable
    series[3, 50:150] = 0
    assert "chain 3 stands still" in estimate_mean(series).why


def test_short_chain_says_how_many_more_draws():
    series = ar1(0.98, 1, 1000, seed=5)
    estimate = estimate_mean(series)
    assert not estimate.reliable
    more = math.ceil(50 * estimate.tau_int) - 1000
    assert f"draw at least {more} more per chain" in estimate.why


def test_trend_runs_into_the_end_of_the_window():
    rows = np.linspace(-1, 1, 8)[:, None] * np.linspace(1, 1.01, 200)
    assert "do not decay" in estimate_mean(rows).why


def test_chains_that_disagree_are_flagged():
    series = ar1(0.5, 4, 5000, seed=7)
    assert estimate_mean(series).reliable
    series[3] += 0.3
    assert "disagree" in estimate_mean(series).why


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_raise(bad):
    series = np.random.default_rng(1).random((2, 100))
    series[1, 7] = bad
    for estimator in (estimate_mean, autocorrelation, lambda x: estimate_function(lambda a: a, [x])):
        with pytest.raises(FloatingPointError, match="finite"):
            estimator(series)


def test_numbers_whose_squares_overflow_are_refused_and_large_ones_are_not():
    series = np.random.default_rng(1).standard_normal((2, 500))
    with pytest.raises(FloatingPointError, match=r"squares overflow; scale it to 1e\+140"):
        estimate_mean(1e300 * series)
    large, plain = estimate_mean(1e139 * series), estimate_mean(series)
    assert large.error == pytest.approx(1e139 * plain.error)
    assert large.error_error == pytest.approx(1e139 * plain.error_error)


def test_bad_shapes_and_lags_raise():
    with pytest.raises(ValueError, match="shape"):
        estimate_mean(np.zeros(10))
    with pytest.raises(ValueError, match="at least 4 draws"):
        estimate_mean(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="lags 0 … 9"):
        autocorrelation_function(np.zeros((1, 10)), 10)
    with pytest.raises(ValueError, match="equal"):
        estimate_function(lambda a, b: a + b, [np.zeros((1, 10)), np.zeros((1, 11))])
    with pytest.raises(ValueError, match="s > 0"):
        AutomaticWindow(0)
    with pytest.raises(ValueError, match="does not vary"):
        autocorrelation(np.ones((2, 10)))


def test_undefined_function_is_flagged_and_not_a_quiet_nan():
    estimate = estimate_function(np.sqrt, [ar1(0.0, 1, 1000, seed=1) - 5])
    assert not estimate.reliable
    assert "not finite" in estimate.why
    assert estimate.error == math.inf

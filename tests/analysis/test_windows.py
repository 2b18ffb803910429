"""Windows: sums that can be done by hand, and other programs' conventions on the same series."""

import math
import warnings

import emcee
import numpy as np
import pytest
from arviz_stats.base import array_stats
from series import ar1, tau_of

from nmcmc.analysis.autocorrelation import autocorrelation, estimate_mean
from nmcmc.analysis.windows import AutomaticWindow, SokalWindow, TailWindow, rho_error

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyerrors

EXPONENTIAL = 0.5 ** np.arange(200)
"""ρ(t) = 2⁻ᵗ, τ_int = 3/2."""


def test_sokal_stops_at_the_first_lag_of_c_tau():
    found = SokalWindow(c=5)(EXPONENTIAL, 1000)
    assert found.window == 8  # 5 τ_8 = 7.48
    assert found.tau_int == pytest.approx(1.5 - 0.5**8)


@pytest.mark.parametrize("rule", [AutomaticWindow(), SokalWindow()])
def test_a_sum_that_never_stops_ends_with_the_last_lag(rule):
    assert rule(np.ones(50), 10**6).window == 49


@pytest.mark.parametrize("a", [-0.5, -0.8])
def test_sokal_sums_anticorrelated_draws_to_their_end(a):
    """ρ(1) alone makes τ_int ½ + a; over 100 chains the pulls of the mean have unit variance within 5 √(2/100)."""
    pulls, taus = [], []
    for row in ar1(a, 100, 4000, seed=5):
        found = autocorrelation(row[None], SokalWindow())
        pulls.append(row.mean() / found.error)
        taus.append(found.tau_int)
    assert abs(np.var(pulls) - 1) < 5 * math.sqrt(2 / 100)
    assert np.mean(taus) == pytest.approx(tau_of(a), rel=0.1)


def test_the_tail_of_a_mode_below_the_noise_is_no_upper_bound():
    """A mode of 2 % of ρ and τ_exp = 100 adds 2 to τ_int; of 10⁴ draws most sums with its tail are less."""
    slow, fast = ar1(math.exp(-1 / 100), 40, 10_000, seed=6), ar1(0.0, 40, 10_000, seed=7)
    exact = 0.98 * 0.5 + 0.02 * tau_of(math.exp(-1 / 100))
    rows = math.sqrt(0.02) * slow + math.sqrt(0.98) * fast
    found = np.array([autocorrelation(row[None], TailWindow(100.0)).tau_int for row in rows])
    assert np.sum(found < exact) > 20
    assert "no upper bound" in TailWindow.__doc__


def test_tail_adds_what_a_slow_mode_has_left():
    slow = 0.9 * 0.3 ** np.arange(400) + 0.1 * 0.98 ** np.arange(400)
    slow[0] = 1
    exact = 0.5 + 0.9 * 0.3 / 0.7 + 0.1 * 0.98 / 0.02
    found = TailWindow(tau_exp=-1 / math.log(0.98))(slow, 500)
    assert found.tau_int + found.tail == pytest.approx(exact, rel=0.03)
    assert found.tau_int < 0.9 * exact
    assert found.tail_error > 0


def test_error_of_rho_is_its_scatter():
    rows = ar1(0.7, 300, 2000, seed=3)
    found = [autocorrelation(row[None]) for row in rows]
    for lag in (1, 3, 8):
        scatter = np.std([f.rho[lag] for f in found])
        predicted = rho_error(0.7 ** np.arange(200), lag, 2000)
        assert scatter == pytest.approx(predicted, rel=5 / math.sqrt(2 * 300))


@pytest.mark.parametrize("make", [lambda: SokalWindow(0), lambda: TailWindow(-1.0), lambda: TailWindow(1.0, 0)])
def test_bad_parameters_raise(make):
    with pytest.raises(ValueError, match=r"positive|c > 0"):
        make()


def pyerrors_of(series, **options):
    theirs = pyerrors.Obs(list(series), [f"chain|r{k}" for k in range(len(series))])
    theirs.gamma_method(**options)
    return theirs


@pytest.mark.parametrize("k", range(50))
def test_tau_int_of_50_series_is_that_of_pyerrors_within_1_percent(k):
    """Single chains: of several they subtract each one's own mean, and below ½ they report ½."""
    series = ar1((0.2, 0.4, 0.6, 0.8, 0.9)[k % 5], 1, 6000, seed=k) + 0.1 * k
    ours, theirs = estimate_mean(series), pyerrors_of(series, S=1.5)
    assert ours.tau_int == pytest.approx(theirs.e_tauint["chain"], rel=0.01)
    assert ours.error == pytest.approx(theirs.dvalue, rel=0.01)


def test_of_several_chains_pyerrors_finds_less_by_the_means_of_the_replicas():
    """Eight chains of 210 τ_int: ours is right, theirs smaller by (2W + 1)/n_draws, here 5 %."""
    n_draws, tau, ours, theirs, windows = 2000, tau_of(0.9), [], [], []
    for seed in range(40):
        series = ar1(0.9, 8, n_draws, seed=seed)
        found = autocorrelation(series)
        ours.append(found.tau_int / tau)
        theirs.append(pyerrors_of(series, S=1.5).e_tauint["chain"] / tau)
        windows.append(found.window)
    share = (2 * np.mean(windows) + 1) / n_draws
    assert abs(np.mean(ours) - 1) < 5 * np.std(ours) / math.sqrt(40)
    less = np.subtract(ours, theirs)
    assert np.mean(less) > 5 * np.std(less) / math.sqrt(40)
    assert np.mean(less) == pytest.approx(share, rel=0.3)
    apart = series + np.arange(8)[:, None]
    assert pyerrors_of(apart, S=1.5).dvalue == pytest.approx(pyerrors_of(series, S=1.5).dvalue)
    assert estimate_mean(apart).error > 5 * estimate_mean(series).error


@pytest.mark.parametrize(("a", "tau_exp"), [(0.5, 3.0), (0.9, 20.0)])
def test_tail_is_that_of_pyerrors(a, tau_exp):
    series = ar1(a, 1, 4000, seed=7)
    ours, theirs = autocorrelation(series, TailWindow(tau_exp)), pyerrors_of(series, tau_exp=tau_exp)
    assert ours.window == theirs.e_windowsize["chain"]
    assert ours.tau_int == pytest.approx(theirs.e_tauint["chain"], rel=0.01)
    assert ours.tau_int_error == pytest.approx(theirs.e_dtauint["chain"], rel=0.05)
    assert ours.error == pytest.approx(theirs.dvalue, rel=0.01)


@pytest.mark.parametrize("a", [0.5, 0.9])
def test_sokal_is_emcee_which_sums_twice_tau_and_so_goes_twice_as_far(a):
    series = ar1(a, 1, 20_000, seed=9)
    ours = autocorrelation(series, SokalWindow(10))
    assert 2 * ours.tau_int == pytest.approx(emcee.autocorr.integrated_time(series.T, c=5)[0], rel=0.01)


@pytest.mark.parametrize("a", [0.0, 0.5, 0.9])
def test_draws_over_twice_tau_are_the_ess_of_arviz(a):
    """Geyer's sequence sums further and noisier: they agree within three errors of τ_int."""
    series = ar1(a, 4, 10_000, seed=10)
    ours = estimate_mean(series)
    theirs = series.size / (2 * float(array_stats.ess(series, method="mean")))
    assert abs(ours.tau_int - theirs) < 3 * ours.tau_int_error
    assert abs(1.5 * tau_of(a) - theirs) > 3 * ours.tau_int_error

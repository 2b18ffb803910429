"""Burn-in is found where there is one, and nowhere else."""

import numpy as np
import pytest
from series import ar1

from nmcmc.analysis.burn_in import burn_in


@pytest.mark.parametrize("a", [0.0, 0.9])
def test_stationary_chains_have_none(a):
    for seed in range(40):
        assert burn_in(ar1(a, 4, 2000, seed=seed)).value == 0


@pytest.mark.parametrize(("n_chains", "n_draws"), [(1, 16), (4, 16), (16, 24), (4, 512)])
def test_rare_large_values_and_few_draws_are_no_memory(n_chains, n_draws):
    """Independent draws of x⁴; judged by σ of the draws that the cut leaves, one set in ten seems to remember."""
    draws = np.random.default_rng(1).standard_normal((100, n_chains, n_draws)) ** 4
    assert all(burn_in(series).reliable for series in draws)


@pytest.mark.parametrize("sign", [np.ones(4), np.array([1, -1, 1, -1])])
def test_a_start_far_off_is_cut(sign):
    """Also where chains come from both sides, so that their mean shows nothing."""
    start = 8 * sign[:, None] * np.exp(-np.arange(2000) / 50)
    found = burn_in(ar1(0.5, 4, 2000, seed=1) + start)
    assert 50 < found.value < 400
    assert not found.reliable
    assert "to the warm-up" in found.why


def test_a_start_remembered_over_half_the_chain_asks_for_longer_ones():
    found = burn_in(ar1(0.5, 4, 2000, seed=2) + 20 * np.exp(-np.arange(2000) / 400))
    assert not found.reliable
    assert "draw more" in found.why


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_trend_does_not_hide_in_its_own_autocorrelations(noise):
    series = np.linspace(0, 20, 1000)[None] + noise * ar1(0.5, 1, 1000, seed=3)
    found = burn_in(series)
    assert found.value > 400
    assert "draw more" in found.why


@pytest.mark.parametrize("n_chains", [1, 4])
@pytest.mark.parametrize("drift", ["line", "decay", "step"])
def test_a_drift_below_the_fluctuations_is_seen(drift, n_chains):
    """MSER cuts nothing of any of them; the mean of all draws is 10 errors and more off that of the last ones."""
    time = np.arange(10_000) / 10_000
    level = {"line": 0.5 * time, "decay": 0.6 * np.exp(-time / 0.2), "step": 0.3 * (time > 0.6)}[drift]
    found = burn_in(level + np.random.default_rng(4).standard_normal((n_chains, 10_000)))
    assert found.value == 5000
    assert "the chains drift; draw more" in found.why


def test_a_drift_of_the_whole_chain_is_not_cured_by_a_short_warm_up():
    for seed in range(5):
        found = burn_in(2 * np.arange(10_000) / 10_000 + ar1(0.8, 1, 10_000, seed=seed))
        assert "draw more after a longer warm-up" in found.why


@pytest.mark.parametrize(("a", "n_draws"), [(0.0, 40), (0.9, 500), (0.98, 2500), (-0.8, 200)])
def test_stationary_chains_of_50_tau_int_do_not_drift(a, n_draws):
    assert all(burn_in(ar1(a, 1, n_draws, seed=seed)).reliable for seed in range(200))


def test_a_handful_of_draws_tells_nothing():
    assert "too short" in burn_in(np.arange(4.0)[None]).why


def test_a_constant_has_none():
    assert burn_in(np.ones((2, 100))).value == 0

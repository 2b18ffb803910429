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


def test_a_handful_of_draws_tells_nothing():
    assert "too short" in burn_in(np.arange(4.0)[None]).why


def test_a_constant_has_none():
    assert burn_in(np.ones((2, 100))).value == 0

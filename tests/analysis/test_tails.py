"""The Pareto shape of weights: known tails, the fit of another program, and when weights are refused."""

import numpy as np
import pytest
from arviz_stats.base import array_stats

from nmcmc.analysis import importance
from nmcmc.analysis.tails import generalised_pareto, heavy, pareto_k

RNG = np.random.default_rng


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9])
def test_shape_of_a_pareto_tail_is_found(k):
    found = [pareto_k(RNG(seed).random(40_000) ** -k) for seed in range(10)]
    assert abs(np.mean([e.value for e in found]) - k) < 5 * found[0].error / np.sqrt(10)
    assert np.std([e.value for e in found]) == pytest.approx(found[0].error, rel=0.9)


@pytest.mark.parametrize("k", [-0.5, 0.1, 0.8])
@pytest.mark.parametrize("n", [20, 400])
def test_fit_is_that_of_arviz(k, n):
    excess = np.sort((RNG(n).random(n) ** -k - 1) / k)
    np.testing.assert_allclose(generalised_pareto(excess), array_stats._gpdfit(excess), rtol=1e-10)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.0])
def test_shape_is_that_of_psis(sigma):
    log_weight = sigma * RNG(1).standard_normal(20_000)
    theirs = float(array_stats.psislw(-log_weight)[1])  # it takes log likelihoods
    assert pareto_k(np.exp(log_weight)).value == pytest.approx(theirs, abs=0.01)


def test_weights_without_a_tail():
    assert pareto_k(np.ones(1000)).value == -np.inf
    assert heavy(np.ones(1000)) == []
    assert "only 20 weights" in pareto_k(RNG(1).random(100)).why


def test_a_heavy_tail_is_refused_by_all_that_sums_weights_and_a_light_one_is_not():
    for scale, believed in ((0.5, True), (4.0, False)):
        log_weight = scale * RNG(2).standard_normal(20_000)
        for estimate in (importance.ess_fraction(log_weight), importance.log_z(log_weight)):
            assert estimate.reliable == believed
    ranks = (np.arange(200_000) + 0.5) / 200_000
    assert importance.dominated(ranks**-0.8)[0].startswith("the weights have a tail of Pareto k")
    assert importance.dominated(ranks**-0.6) == []


def test_a_heavy_tail_of_next_to_no_weight_does_no_harm():
    weights = 1 + 1e-9 * RNG(4).random(20_000) ** -0.9
    assert pareto_k(weights).value > 0.7
    assert heavy(weights) == []


def test_a_tail_that_carries_nothing_is_not_complained_of():
    """Where the largest weights exceed the others by less than 1 % of the sum, any shape may be fitted to them."""
    tail = RNG(1).random(10_000) ** -1.0
    weights = 1 + 1e-4 * tail
    assert pareto_k(weights).value > 0.7
    assert pareto_k(weights).reliable
    assert heavy(weights) == []
    assert not pareto_k(tail).reliable, "the same tail, where it carries weight"


def test_the_error_of_a_shape_is_no_negative_number():
    """A few different values, as few states have, are fitted by k far below −1."""
    atoms = RNG(1).choice([0.0, 1e-6, 0.5, 1.0], p=[0.9, 0.05, 0.04, 0.01], size=10_000)
    found = pareto_k(1 + atoms)
    assert found.value < -1
    assert found.error > 0

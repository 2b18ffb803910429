"""Chains that have not seen the same states are told from those that have."""

import numpy as np
import pytest
from arviz_stats.base import array_stats
from series import ar1

from nmcmc.analysis.modes import normal_scores, replica_overlaps, share_up, split_rhat


@pytest.mark.parametrize("n_draws", [50, 501])
@pytest.mark.parametrize("kind", ["normal", "cauchy", "two values", "apart"])
def test_rhat_is_that_of_arviz(kind, n_draws):
    series = ar1(0.6, 4, n_draws, seed=n_draws)
    if kind == "cauchy":
        series = np.random.default_rng(1).standard_cauchy((4, n_draws))
    elif kind == "two values":
        series = np.sign(series)
    elif kind == "apart":
        series[0] += 2
    assert split_rhat(series).value == pytest.approx(float(array_stats.rhat(series, method="rank")), rel=1e-10)


def test_chains_apart_are_caught_and_slow_ones_are_not():
    series = ar1(0.9, 8, 2000, seed=1)
    together, apart = split_rhat(series), split_rhat(series + np.repeat([0, 1], 4)[:, None])
    assert together.reliable
    assert not apart.reliable
    assert "disagree" in apart.why
    slow = split_rhat(ar1(0.99, 4, 10_000, seed=2))
    assert slow.value > 1.002
    assert slow.reliable, "chance explains it"


def test_chains_of_different_width_are_caught():
    series = ar1(0.5, 4, 2000, seed=3)
    series[0] *= 3
    assert not split_rhat(series).reliable


def test_a_drift_within_every_chain_is_caught():
    series = ar1(0.5, 4, 2000, seed=4) + np.linspace(0, 1, 2000)
    assert not split_rhat(series).reliable


def test_chains_that_stand_still():
    assert split_rhat(np.ones((3, 20))).why == "no chain ever moves"
    apart = split_rhat(np.repeat([[1.0], [2.0], [3.0]], 20, axis=1))
    assert not apart.reliable
    assert apart.value == np.inf


def test_scores_are_normal_and_share_ranks():
    scores = normal_scores(np.array([[3.0, 1.0], [1.0, 2.0]]))
    assert scores[0, 1] == scores[1, 0]
    np.testing.assert_allclose(np.sort(normal_scores(np.arange(101.0)))[50], 0, atol=1e-12)
    assert normal_scores(np.exp(np.arange(1000.0) / 100)).std() == pytest.approx(1, rel=0.01)


def test_share_up_is_one_half_by_symmetry_and_not_otherwise():
    m = ar1(0.3, 4, 5000, seed=5)
    assert abs(share_up(m).deviation(0.5)) < 5
    assert abs(share_up(m + 0.1).deviation(0.5)) > 5
    assert not share_up(np.abs(m)).reliable
    assert share_up(np.tile([[0.0, 0.5, -0.5, 0.0]], (2, 100))).value == 0.5


def test_overlaps_pair_neighbouring_chains():
    spins = np.array(
        [[[1, 1, 1, 1]], [[1, 1, 1, -1]], [[-1, -1, 1, 1]], [[1, 1, -1, -1]], [[1, 1, 1, 1]]], dtype=np.int8
    )
    np.testing.assert_allclose(replica_overlaps(spins), [[0.5], [-1.0]])
    with pytest.raises(ValueError, match="two chains"):
        replica_overlaps(spins[:1])


def test_short_chains_raise():
    with pytest.raises(ValueError, match="at least 8"):
        split_rhat(np.zeros((2, 7)))

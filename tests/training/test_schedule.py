import math
from itertools import pairwise

import pytest

from nmcmc.training.schedule import annealed_beta, learning_rate


def test_learning_rate_rises_to_the_peak_and_falls_to_nothing():
    rates = [learning_rate(step, 1000, 0.01, 50) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01 / 50)
    assert rates[49] == pytest.approx(0.01, rel=0.01)
    assert rates[500] == pytest.approx(0.005)
    assert 0 < rates[-1] < 1e-7
    assert max(rates) <= 0.01
    assert all(a < b for a, b in pairwise(rates[:50]))
    assert all(a > b for a, b in pairwise(rates[50:]))


@pytest.mark.parametrize(("n_steps", "warmup"), [(1, 0), (1, 50), (3, 1), (10, 50)])
def test_learning_rate_of_short_runs_is_positive(n_steps, warmup):
    assert all(0 < learning_rate(step, n_steps, 0.01, warmup) <= 0.01 for step in range(n_steps))


@pytest.mark.parametrize("n_steps", [2, 3, 10, 1000])
def test_annealing_starts_at_the_start_and_ends_at_beta(n_steps):
    betas = [annealed_beta(step, n_steps, 0.44, 0.1) for step in range(n_steps)]
    assert betas[0] == 0.1
    assert betas[-1] == 0.44
    assert betas == sorted(betas)


def test_annealing_rises_linearly_over_its_share():
    betas = [annealed_beta(step, 101, 0.5, 0.1, share=0.5) for step in range(101)]
    assert betas[25] == pytest.approx(0.3)
    assert betas[49] < 0.5
    assert betas[50:] == [0.5] * 51


def test_nothing_to_anneal():
    assert annealed_beta(0, 1, 0.44, 0.1) == 0.44
    assert annealed_beta(0, 100, 0.44, 0.6) == 0.44
    assert annealed_beta(0, 100, 0.0, 0.0) == 0.0
    assert math.isclose(annealed_beta(30, 101, 0.44, 0.0), 0.22)

"""Control variates on chains and weighted draws whose exact means are known."""

import numpy as np
import pytest
from sticky import assert_calibrated, sticky

from nmcmc.analysis.controls import controlled
from nmcmc.analysis.free_energy import weighted_mean
from nmcmc.analysis.quantity import Quantity, mean_of

RNG, N_STATES, N_REPLICAS = np.random.default_rng(1), 60, 150
P, Q = (RNG.dirichlet(np.full(N_STATES, 3.0)) for _ in range(2))
CONTROLS = RNG.normal(size=(3, N_STATES))
VALUES = 2.0 + np.array([1.0, -0.5, 0.3]) @ CONTROLS + 0.1 * RNG.normal(size=N_STATES)
EXACT = float(P @ VALUES)


def by_chain(rng, distribution_of_means=P):
    states = sticky(P, 4, 100, 0.5, rng)
    longer = sticky(distribution_of_means, 4, 2000, 0.5, rng)
    means = [mean_of(control[longer], "longer") for control in CONTROLS]
    values, noise = controlled(VALUES[states], CONTROLS[:, states], means)
    return (mean_of(values, "chain") + noise).estimate(), mean_of(VALUES[states], "chain").estimate()


def test_chains_are_calibrated_and_their_errors_smaller():
    rng = np.random.default_rng(2)
    better, plain = zip(*[by_chain(rng) for _ in range(N_REPLICAS)], strict=True)
    assert_calibrated(better, EXACT)
    assert np.mean([e.error for e in better]) < 0.4 * np.mean([e.error for e in plain])


def test_weighted_draws_are_calibrated():
    rng, found = np.random.default_rng(3), []
    log_weight = np.log(P / Q)
    for _ in range(N_REPLICAS):
        few, many = (rng.choice(N_STATES, n, p=Q) for n in (400, 8000))
        means = [weighted_mean(control[many], log_weight[many], "many") for control in CONTROLS]
        values, noise = controlled(VALUES[few], CONTROLS[:, few], means, np.exp(log_weight[few]))
        found.append((weighted_mean(values, log_weight[few], "few") + noise).estimate())
    assert_calibrated(found, EXACT)


def test_means_of_another_distribution_are_found():
    better, _ = by_chain(np.random.default_rng(4), Q)
    assert abs(better.deviation(EXACT)) > 5


def test_controls_that_repeat_each_other_or_do_not_vary_do_no_harm():
    states = sticky(P, 4, 100, 0.5, np.random.default_rng(5))
    control = CONTROLS[0][states]
    means = [Quantity(float(P @ CONTROLS[0]))] * 2 + [Quantity(1.0)]
    rows = np.stack([control, control, np.ones_like(control)])
    once, _ = controlled(VALUES[states], control[None], means[:1])
    twice, _ = controlled(VALUES[states], rows, means)
    np.testing.assert_allclose(twice, once, atol=1e-8)


@pytest.mark.parametrize("constant", [0.1, 0.3, 1 / 3, 0.7, 1.1, 2.9])
def test_a_control_that_never_varies_changes_nothing(constant):
    """Its standard deviation may be one of rounding, by which it must not be divided."""
    states = sticky(P, 4, 101, 0.5, np.random.default_rng(5))
    control = CONTROLS[0][states]
    mean = Quantity(float(P @ CONTROLS[0]))
    once, _ = controlled(VALUES[states], control[None], [mean])
    twice, _ = controlled(VALUES[states], np.stack([control, np.full_like(control, constant)]), [mean, Quantity(0.0)])
    np.testing.assert_allclose(twice, once, atol=1e-8)


def test_controls_that_hardly_ever_vary_do_no_harm():
    """Two controls are alike but in rare states, as in a cold system: slopes of one half would mislead the other."""
    rng, found, plain = np.random.default_rng(6), [], []
    for _ in range(N_REPLICAS):
        states, rare = sticky(P, 4, 100, 0.5, rng), rng.random((4, 100)) < 0.01
        control = CONTROLS[0][states]
        rows = np.stack([control, control + rare, rare * rng.normal(size=rare.shape)])
        means = [Quantity(float(P @ CONTROLS[0]) + shift) for shift in (0.0, 0.01, 0.0)]
        values, _ = controlled(VALUES[states], rows, means)
        found.append(values.mean() - EXACT)
        plain.append(VALUES[states].mean() - EXACT)
    assert np.std(found) < np.std(plain)
    assert np.abs(found).max() < 5 * np.std(found)


@pytest.mark.parametrize("shape", [(1, 40), (2, 4), (3,)])
def test_too_few_states_are_refused(shape):
    with pytest.raises(ValueError, match="4 states for each control"):
        controlled(np.ones(shape), np.ones((3, *shape)), [Quantity(0.0)] * 3)

import math

import numpy as np
import pytest

from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.spectrum import eigenvalues, predicted_acceptance, predicted_tau_int


def dense(log_weight):
    """Return the transition matrix of the independence chain over the draws, and its stationary distribution."""
    n = len(log_weight)
    w = np.exp(log_weight - log_weight.max())
    with np.errstate(divide="ignore", invalid="ignore"):
        matrix = np.where(w[:, None] > 0, np.minimum(1, w[None, :] / w[:, None]), 1.0) / n
    np.fill_diagonal(matrix, 0)
    np.fill_diagonal(matrix, 1 - matrix.sum(axis=1))
    return matrix, w / w.sum()


def dense_tau_int(values, log_weight):
    """τ_int = ½ + Σ_{t≥1} ρ(t), summed by the resolvent (1 − P + 1π)⁻¹ on fluctuations."""
    matrix, pi = dense(log_weight)
    fluctuation = values - pi @ values
    n = len(values)
    summed = np.linalg.solve(np.eye(n) - matrix + np.outer(np.ones(n), pi), fluctuation)
    return (pi * fluctuation) @ summed / (pi @ fluctuation**2) - 0.5


def cases():
    rng = np.random.default_rng(1)
    normal = rng.standard_normal(200)
    ties = np.round(2 * normal) / 2
    zeros = normal.copy()
    zeros[::7] = -np.inf
    return {"normal": normal, "wide": 4 * normal, "ties": ties, "zeros": zeros, "flat": np.zeros(200)}


@pytest.mark.parametrize("name", cases())
def test_prediction_equals_the_dense_transition_matrix(name):
    log_weight = cases()[name]
    values = np.random.default_rng(2).standard_normal(200) + log_weight.clip(-3)
    matrix, pi = dense(log_weight)
    assert np.abs(pi @ matrix - pi).max() < 1e-14
    w = np.exp(log_weight)
    acceptance = np.minimum(w[:, None], w[None, :]).sum() / (200 * w.sum())
    assert predicted_acceptance(log_weight).value == pytest.approx(acceptance, rel=1e-12)
    assert predicted_tau_int(values, log_weight).value == pytest.approx(dense_tau_int(values, log_weight), rel=1e-10)


@pytest.mark.parametrize("name", ["normal", "wide", "ties", "flat"])
def test_eigenvalues_equal_those_of_the_dense_matrix(name):
    log_weight = cases()[name]
    matrix, pi = dense(log_weight)
    root = np.sqrt(pi)
    exact = np.sort(np.linalg.eigvalsh(root[:, None] * matrix / root[None, :]))
    predicted = eigenvalues(log_weight)
    assert exact[-1] == pytest.approx(1, abs=1e-12)
    assert predicted[np.argmin(log_weight)] == pytest.approx(0, abs=1e-12)
    others = np.sort(np.append(np.delete(predicted, np.argmin(log_weight)), 1.0))
    np.testing.assert_allclose(others, exact, atol=1e-11)


def test_flat_weights_give_independent_draws():
    values = np.random.default_rng(3).standard_normal(1000)
    assert predicted_acceptance(np.zeros(1000)).value == pytest.approx(1)
    assert predicted_tau_int(values, np.zeros(1000)).value == pytest.approx(0.5)


def test_a_chain_over_the_draws_has_the_predicted_tau_and_acceptance():
    rng = np.random.default_rng(4)
    log_weight, values = rng.standard_normal(2000), rng.standard_normal(2000)
    n_chains, n_draws = 200, 2000
    proposals = rng.integers(2000, size=(n_draws, n_chains))
    limits = np.log(rng.random((n_draws, n_chains)))
    state = rng.choice(2000, n_chains, p=np.exp(log_weight) / np.exp(log_weight).sum())
    series, accepted = np.empty((n_draws, n_chains)), np.empty((n_draws, n_chains))
    for t in range(n_draws):
        accepted[t] = limits[t] < log_weight[proposals[t]] - log_weight[state]
        state = np.where(accepted[t], proposals[t], state)
        series[t] = values[state]
    estimate, rate = estimate_mean(series.T), estimate_mean(accepted.T)
    assert abs(estimate.tau_int - predicted_tau_int(values, log_weight).value) < 5 * estimate.tau_int_error
    assert abs(rate.deviation(predicted_acceptance(log_weight).value)) < 5
    assert abs(estimate.tau_int - predicted_tau_int(values, 1.2 * log_weight).value) > 5 * estimate.tau_int_error
    assert abs(rate.deviation(predicted_acceptance(1.03 * log_weight).value)) > 5


def test_acceptance_of_normal_log_weights_is_the_closed_form_and_its_error_is_calibrated():
    """For log w ~ N(·, σ²) under q, E[min(1, w'/w)] = erfc(σ/2): both differ by a normal deviate of variance 2σ²."""
    sigma = 0.7
    rows = sigma * np.random.default_rng(5).standard_normal((500, 2000))
    pulls = np.array([predicted_acceptance(row).deviation(math.erfc(sigma / 2)) for row in rows])
    assert abs(pulls.var() - 1) < 0.32
    assert abs(pulls.mean()) < 0.22


def test_weights_beyond_the_range_of_floats():
    log_weight = np.array([0.0, -1e4, 5.0, -2e4, 4.0])
    values = np.arange(5.0)
    assert np.all((eigenvalues(log_weight) >= 0) & (eigenvalues(log_weight) < 1))
    assert 0 < predicted_acceptance(log_weight).value < 1
    assert predicted_tau_int(values, log_weight).value == pytest.approx(dense_tau_int(values, log_weight), rel=1e-10)


def test_bad_values_raise():
    with pytest.raises(ValueError, match="do not vary"):
        predicted_tau_int(np.full(10, 0.1), np.arange(10.0))
    with pytest.raises(ValueError, match="one per log weight"):
        predicted_tau_int(np.zeros(3), np.arange(10.0))
    with pytest.raises(FloatingPointError, match="finite"):
        predicted_tau_int(np.full(10, np.nan), np.arange(10.0))
    with pytest.raises(FloatingPointError, match="log weight 0"):
        predicted_acceptance(np.array([np.nan, 1.0]))

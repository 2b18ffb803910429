import math

import numpy as np
import pytest
from doubles import distorted

from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.observables import derive
from nmcmc.analysis.spectrum import eigenvalues, predict, predicted_acceptance, predicted_tau_exp, predicted_tau_int
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.experiment.chains import draw_stage
from nmcmc.experiment.options import Options
from nmcmc.random import Rng
from nmcmc.samplers.pretrained import load_pretrained
from nmcmc.samplers.store import at_beta
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import run


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


def test_eigenvalues_of_a_sampler_of_the_3x3_torus_are_those_of_its_transition_matrix_over_all_states():
    target = Boltzmann(LatticeEnergy(Lattice((3, 3))), 0.4)
    sampler = distorted(target, seed=1)
    q, log_density = np.exp(sampler.table), target.log_density(all_states(9))
    log_weight = log_density - sampler.table
    matrix = q * np.minimum(1, np.exp(log_weight[None, :] - log_weight[:, None]))
    np.fill_diagonal(matrix, 0)
    np.fill_diagonal(matrix, 1 - matrix.sum(axis=1))
    root = np.sqrt(np.exp(log_density - log_density.max()))
    exact = np.sort(np.linalg.eigvalsh(root[:, None] * matrix / root[None, :]))
    predicted = eigenvalues(log_weight, q)
    predicted[np.argmin(log_weight)] = 1
    np.testing.assert_allclose(np.sort(predicted), exact, rtol=0, atol=1e-12)
    assert np.abs(np.sort(eigenvalues(log_weight)) - exact)[:-1].max() > 1e-3  # q must be used


def test_slowest_mode_is_that_of_the_largest_eigenvalue_and_bounds_every_tau():
    log_weight = np.random.default_rng(6).standard_normal(2000)
    found = predicted_tau_exp(log_weight)
    assert found.value == pytest.approx(-1 / math.log(eigenvalues(log_weight).max()), rel=1e-9)
    slowest = 0.5 + 1 / (math.exp(1 / found.value) - 1)
    for seed in range(20):
        values = np.random.default_rng(seed).standard_normal(2000) ** (1 + seed % 3)
        assert predicted_tau_int(values, log_weight).value <= slowest
    assert predicted_tau_exp(np.zeros(100)).value == 0


def test_error_of_the_slowest_mode_is_its_scatter():
    rows = np.random.default_rng(7).standard_normal((200, 5000))
    found = [predicted_tau_exp(row) for row in rows]
    assert np.std([f.value for f in found]) == pytest.approx(np.mean([f.error for f in found]), rel=0.5)


def test_error_of_the_slowest_mode_knows_that_of_the_mean_weight():
    """Of a few states the heaviest is drawn often: the largest weights are equal, and only w̄ scatters."""
    w, q = np.array([0.2, 1.0, 3.0]), np.array([0.5, 0.4, 0.1])
    draws = np.log(w)[np.random.default_rng(2).choice(3, (400, 1000), p=q)]
    found = [predicted_tau_exp(row) for row in draws]
    pulls = [f.deviation(-1 / math.log(1 - q @ w / 3)) for f in found]
    assert np.mean(np.square(pulls)) == pytest.approx(1, abs=5 * math.sqrt(2 / 400))


def test_predictions_of_derived_quantities_are_those_of_their_fluctuations():
    rng = np.random.default_rng(8)
    energy, m, log_weight = rng.standard_normal(1000), rng.uniform(-1, 1, 1000), rng.standard_normal(1000)
    found = predict(energy, m, log_weight, 16, 0.4)
    assert found["m2"].value == pytest.approx(predicted_tau_int(m**2, log_weight).value)
    w = np.exp(log_weight) / np.exp(log_weight).sum()
    mean = w @ energy
    assert found["specific_heat"].value == pytest.approx(
        predicted_tau_int((energy - mean) ** 2, log_weight).value, rel=1e-6
    )
    assert "m2" not in predict(energy, np.full(1000, 0.5), log_weight, 16, 0.4)


@pytest.mark.slow
@pytest.mark.parametrize("size", [8, 16, 32])
def test_chains_of_shipped_models_have_the_tau_that_their_weights_predict(size, set_threads):
    """At β_c, and with the same nets at a β where they fit less; there the prediction for β_c must fail."""
    set_threads(1)
    sampler, critical = load_pretrained(f"ising2d-{size}-critical")
    predictions = {}
    for beta in (critical.beta, 0.97 * critical.beta):
        target, model = critical.at(beta), at_beta(sampler, beta)
        draws = draw_stage(model, target, 20_000, Rng(1).child("draws"), Options(1, quiet=True))
        predictions[beta] = predict(draws["energy"], draws["magnetization"], draws["log_weight"], size**2, beta)
        start = model.sample(20, Rng(2)).spins.numpy()
        energy = target.energy
        measured = {"energy": energy, "magnetization": energy.magnetization}
        chain = run(Independence(model, target), 2000, Rng(3), observables=measured, start=start, warmup=50)
        taus = derive(chain.series, size**2, beta)
        assert set(taus) == set(predictions[beta])
        assert worst_deviation(taus, predictions[beta]) < 5
    assert worst_deviation(taus, predictions[critical.beta]) > 5


def worst_deviation(measured, predicted):
    return max(
        abs(tau.tau_int - predicted[name].value) / math.hypot(tau.tau_int_error, predicted[name].error)
        for name, tau in measured.items()
    )


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

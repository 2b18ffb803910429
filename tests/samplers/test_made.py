import math

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.mean_field import CurieWeissEnergy, DenseEnergy, all_pairs
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.kernels.independence import acceptance_probability
from nmcmc.random import Rng
from nmcmc.samplers.autoregressive import AutoregressiveSampler
from nmcmc.samplers.made import MADESampler, mean_field_order, start_at_order


class Ferromagnet(AutoregressiveSampler):
    """The least subclass: every spin likes the majority of those before it."""

    def logits(self, spins):
        return 0.7 * (torch.cumsum(spins, dim=1) - spins) + 0.1


def glass(n, seed=0, field=0.3):
    rng = np.random.default_rng(seed)
    edges = [(i, j) for i in range(n) for j in range(i)]
    return PairwiseEnergy(n, edges, rng.normal(size=len(edges)) / math.sqrt(n), field * rng.normal(size=n))


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("field", [0.0, 0.3])
def test_the_incremental_draw_is_the_one_by_full_passes(depth, field):
    sampler = perturbed(MADESampler(glass(12, field=field), 0.7, width=3, depth=depth, rng=Rng(1)))
    fast, slow = sampler.sample(150, Rng(2)), sampler.sample_by_passes(150, Rng(2))
    assert torch.equal(fast.spins, slow.spins)
    torch.testing.assert_close(fast.log_prob, slow.log_prob, rtol=1e-6, atol=1e-6)


def test_a_subclass_need_only_write_its_logits():
    sampler = Ferromagnet(10)
    draw = sampler.sample(500, Rng(3))
    torch.testing.assert_close(sampler.log_prob(draw.spins), draw.log_prob)
    log_prob = sampler.log_prob(torch.from_numpy(all_states(10)))
    assert float(log_prob.exp().sum()) == pytest.approx(1, abs=1e-6)
    p = log_prob.exp().numpy()
    m = all_states(10).sum(axis=1)
    error = math.sqrt((p @ m**2 - (p @ m) ** 2) / 500)
    assert abs(float(draw.spins.sum(dim=1, dtype=torch.float64).mean()) - p @ m) < 5 * error


def test_a_sampler_without_logits_says_so():
    with pytest.raises(TypeError, match=r"must define logits"):
        AutoregressiveSampler(3).sample(1, Rng(1))
    with pytest.raises(ValueError, match="n_spins is 0"):
        AutoregressiveSampler(0)


def test_a_fresh_net_knows_the_fields_of_earlier_spins():
    energy = PairwiseEnergy(3, [(0, 2), (1, 2), (2, 1)], [0.5, 0.25, 1.0], [0.1, 0.2, 0.3])
    sampler = MADESampler(energy, 0.7, rng=Rng(1))
    s = torch.from_numpy(all_states(3)).float()
    expected = 1.4 * torch.stack([0 * s[:, 0] + 0.1, 0 * s[:, 0] + 0.2, 0.5 * s[:, 0] + 1.25 * s[:, 1] + 0.3], dim=1)
    torch.testing.assert_close(sampler.logits(s), expected)


def test_mean_field_order_solves_its_equation_whatever_the_gauge():
    spins = np.where(np.random.default_rng(1).random(30) < 0.5, -1.0, 1.0)
    couplings = CurieWeissEnergy(30).couplings
    pairs = all_pairs(30)
    energy = DenseEnergy(30, pairs, couplings * spins[pairs[:, 0]] * spins[pairs[:, 1]], 0.1 * spins)
    m = mean_field_order(energy, 1.5)
    np.testing.assert_allclose(m, np.tanh(1.5 * (energy.fields + energy.coupling_matrix @ m)), rtol=1e-9)
    np.testing.assert_allclose(m * spins, abs(m), rtol=1e-9)
    weak = mean_field_order(CurieWeissEnergy(30), 0.5)
    np.testing.assert_allclose(abs(weak), 30**-0.25)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_net_can_start_at_two_phases(depth):
    energy, beta, i = glass(6), 0.7, 3
    sampler = MADESampler(energy, beta, width=2, depth=depth, rng=Rng(1))
    start_at_order(sampler)
    spins, m = all_states(6).astype(float), mean_field_order(energy, beta)
    before = np.tril(np.ones((6, 6)), -1)[i]
    fields = energy.fields + (spins * before) @ energy.coupling_matrix  # x_il in column l
    y = beta * fields[:, i + 1 :] @ m[i + 1 :]
    expected = 2 * beta * (fields[:, i] + energy.coupling_matrix[i, i + 1 :] @ m[i + 1 :] * np.tanh(y))
    found = sampler.logits(torch.from_numpy(spins).float())[:, i].detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5 if depth == 1 else 0.05)
    assert np.abs(found - 2 * beta * fields[:, i]).max() > 0.1


@pytest.mark.parametrize("beta", [1.0, 1.5])
def test_two_phases_are_several_times_closer_than_couplings_alone(beta):
    energy, states = CurieWeissEnergy(12), torch.from_numpy(all_states(12))
    sampler = MADESampler(energy, beta, width=2, depth=2, rng=Rng(1))
    p, found = probabilities(energy, beta), []
    for start in (None, start_at_order):
        if start:
            start(sampler)
        log_q = sampler.log_prob(states).detach().numpy()
        found.append(float(np.exp(log_q) @ (log_q - np.log(p))))
    assert found[1] < found[0] / 3


def test_one_spin_is_exact_from_the_start():
    sampler = MADESampler(PairwiseEnergy(1, [], fields=0.4), 0.5, rng=Rng(1))
    np.testing.assert_allclose(
        sampler.log_prob(torch.from_numpy(all_states(1))).exp().detach(),
        probabilities(sampler.energy, 0.5),
        rtol=1e-6,
    )
    assert sampler.sample(4, Rng(1)).spins.shape == (4, 1)


def test_the_independence_chain_keeps_the_target():
    energy = LatticeEnergy(Lattice((3, 3)), np.random.default_rng(1).normal(size=18), 0.2)
    sampler = perturbed(MADESampler(energy, 0.44, rng=Rng(1)))
    states, p = all_states(9), probabilities(energy, 0.44)
    log_q = sampler.log_prob(torch.from_numpy(states)).detach().numpy()
    log_weight = Boltzmann(energy, 0.44).log_density(states) - log_q
    accept = np.array([[acceptance_probability(b - a) for b in log_weight] for a in log_weight])
    matrix = np.exp(log_q)[None] * accept
    matrix[np.diag_indices(512)] += 1 - matrix.sum(axis=1)
    assert np.max(np.abs(p @ matrix - p)) < 1e-12
    assert np.max(np.abs(np.exp(log_q) - p)) > 1e-3


@pytest.mark.parametrize("beta", [-0.1, math.nan, math.inf])
def test_impossible_beta_is_refused(beta):
    with pytest.raises(ValueError, match="beta is"):
        MADESampler(glass(4), beta, rng=Rng(1))

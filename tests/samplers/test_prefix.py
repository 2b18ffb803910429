"""Marginals of MADE against enumeration, and the mutual information of halves that follows from them."""

import numpy as np
import pytest
import torch
from perturbed import perturbed
from sticky import assert_calibrated

from nmcmc.analysis.information import weighted_mutual_information
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact import information
from nmcmc.exact.elimination import log_z_given
from nmcmc.exact.enumeration import all_states
from nmcmc.exact.parts import first_half
from nmcmc.random import Rng
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.prefix import log_z_of_prefix, prefix_log_prob

ENERGY = LatticeEnergy(Lattice((4, 4)))
TARGET = Boltzmann(ENERGY, 0.35)
SAMPLER = perturbed(MADESampler(ENERGY, TARGET.beta, rng=Rng(1)), scale=0.02)
HALF = first_half(ENERGY.lattice)


def test_the_marginal_is_the_sum_over_the_rest():
    states = torch.from_numpy(all_states(16))
    with torch.no_grad():
        q = SAMPLER.log_prob(states).exp().reshape(256, 256)
    marginal = prefix_log_prob(SAMPLER, states[:256], 8).exp()
    torch.testing.assert_close(marginal, q.sum(dim=0), rtol=1e-4, atol=0)


def test_conditional_partition_functions_are_exact_within_5_sigma_and_free_of_the_bias_of_the_logarithm():
    spins = SAMPLER.sample(4000, Rng(2)).spins.numpy()
    exact = log_z_given(ENERGY, TARGET.beta, spins, HALF)
    off = log_z_of_prefix(SAMPLER, TARGET, spins, 8, 32, Rng(3)) - exact
    assert abs(off.mean()) < 5 * off.std() / np.sqrt(len(off))
    wrong = log_z_of_prefix(SAMPLER, TARGET.at(1.03 * TARGET.beta), spins, 8, 32, Rng(3)) - exact
    assert abs(wrong.mean()) > 5 * wrong.std() / np.sqrt(len(wrong))


def test_the_mutual_information_of_halves_is_calibrated():
    """A torus looks the same from its other half: its rows turned by two put the other half first."""
    draw, rng = SAMPLER.sample(100 * 100, Rng(4)), Rng(5)
    spins = draw.spins.numpy()
    turned = np.ascontiguousarray(np.roll(spins.reshape(-1, 4, 4), 2, axis=1).reshape(-1, 16))
    log_z_a = log_z_of_prefix(SAMPLER, TARGET, spins, 8, 16, rng)
    log_z_b = log_z_of_prefix(SAMPLER, TARGET, turned, 8, 16, rng)
    density = TARGET.log_density(spins)
    rows = np.stack([density, log_z_a, log_z_b, density - draw.log_prob.numpy()]).reshape(4, 100, -1)
    found = [weighted_mutual_information(*rows[:, k]).estimate() for k in range(100)]
    assert_calibrated(found, information.mutual_information(ENERGY, TARGET.beta, HALF))


@pytest.mark.parametrize(("n_given", "n_draws", "message"), [(0, 2, "n_given"), (16, 2, "n_given"), (8, 3, "even")])
def test_wrong_numbers_are_refused(n_given, n_draws, message):
    with pytest.raises(ValueError, match=message):
        log_z_of_prefix(SAMPLER, TARGET, all_states(16)[:2], n_given, n_draws, Rng(1))

"""Chains with networks: the same seed gives the same chain, bit for bit, whatever the number of threads."""

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.updates.compose import Cycle, Mixture
from nmcmc.updates.independence import Independence
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import random_start, run
from nmcmc.updates.wolff import Wolff

# Matrix products of this size round differently with one and two threads.
ENERGY = LatticeEnergy(Lattice((16, 16)))
TARGET = Boltzmann(ENERGY, 0.44)
SAMPLERS = {
    "hierarchical": lambda: HierarchicalSampler(ENERGY, 0.44, leaf=3, rng=Rng(1)),
    "made": lambda: MADESampler(ENERGY, 0.44, rng=Rng(1)),
}
UPDATES = {
    "independence": lambda sampler: Independence(sampler, TARGET),
    "cycle": lambda sampler: Cycle([Independence(sampler, TARGET), Metropolis(TARGET)]),
    "mixture": lambda sampler: Mixture([Independence(sampler, TARGET), Wolff(TARGET)], [0.5, 0.5]),
}


@pytest.fixture(params=SAMPLERS)
def sampler(request):
    return perturbed(SAMPLERS[request.param](), scale=0.02)


@pytest.mark.parametrize("kind", UPDATES)
def test_same_chain_for_one_and_two_threads(sampler, kind, set_threads):
    chains = []
    for number in (1, 2):
        set_threads(number)
        chains.append(run(UPDATES[kind](sampler), 10, Rng(2), observables={"energy": ENERGY}, n_chains=64, thin=1))
    np.testing.assert_array_equal(chains[0].spins, chains[1].spins)
    for name, values in chains[0].stats.items():
        np.testing.assert_array_equal(values, chains[1].stats[name])


@pytest.mark.parametrize("n", [1, 5, 64])
def test_the_state_of_a_chain_does_not_depend_on_the_chains_beside_it(sampler, n):
    spins = random_start(100, 256, Rng(3))
    update = Independence(sampler, TARGET)
    np.testing.assert_array_equal(update.init(spins[:n]).log_prob, update.init(spins).log_prob[:n])


def test_the_kernel_evaluates_given_spins_as_torch_does(sampler):
    spins = torch.from_numpy(random_start(200, 256, Rng(4)))
    with torch.no_grad():
        log_prob = sampler.log_prob(spins)
    torch.testing.assert_close(log_prob, sampler.log_prob(spins).detach(), rtol=1e-5, atol=1e-4)


def test_a_draw_handed_over_keeps_its_log_prob():
    sampler = perturbed(SAMPLERS["made"](), scale=0.02)
    draw = sampler.sample(70, Rng(5))
    state = Independence(sampler, TARGET).init(draw.spins.numpy())
    np.testing.assert_array_equal(state.log_prob, draw.log_prob.numpy())

"""Clusters with part of the spins held: what is held stays, and the free spins follow p(b | a)."""

import numpy as np
import pytest

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.exact.parts import checkerboard, first_half
from nmcmc.random import Rng
from nmcmc.updates.held import HeldClusters
from nmcmc.updates.run import random_start

LATTICE, BETA, N_CHAINS = Lattice((4, 3)), 0.4, 4000
ENERGIES = {
    "ferromagnet": LatticeEnergy(LATTICE),
    "antiferromagnet along one axis": LatticeEnergy(LATTICE, (-0.7, 1.0)),
    "glass": LatticeEnergy(LATTICE, np.random.default_rng(1).normal(size=24)),
}
PARTS = {"half": first_half(LATTICE), "checkerboard": checkerboard(LATTICE), "one spin": np.arange(12) == 5}


def mean_energy_given(energy, beta, spins, held):
    """Return the exact ⟨H⟩ given the held spins of one configuration."""
    states = all_states(12)
    p = probabilities(energy, beta) * (states[:, held] == spins[held]).all(axis=1)
    return float(p @ energy(states) / p.sum())


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ENERGIES)
def test_free_spins_equilibrate_given_the_held_ones(name, part):
    energy, held, rng = ENERGIES[name], PARTS[part], Rng(1).child(name, part)
    given = random_start(1, 12, rng)
    start = np.where(held, given, random_start(N_CHAINS, 12, rng))
    update = HeldClusters(Boltzmann(energy, BETA), held)
    state = update.init(start)
    for _ in range(40):
        state, _ = update.step(state, rng)
    assert np.array_equal(state.spins[:, held], start[:, held])
    found = energy(state.spins)
    error = found.std() / np.sqrt(N_CHAINS)
    assert abs(found.mean() - mean_energy_given(energy, BETA, given[0], held)) < 5 * error
    assert abs(found.mean() - mean_energy_given(energy, 1.3 * BETA, given[0], held)) > 5 * error


def test_one_step_keeps_the_conditional_distribution():
    """Every state of the free half, drawn from p(b | a), is as frequent after a step as before."""
    energy, held, rng = ENERGIES["ferromagnet"], PARTS["half"], Rng(3)
    states, n = all_states(12), 200_000
    p = probabilities(energy, BETA) * (states[:, held] == [1, -1, 1, 1, -1, -1]).all(axis=1)
    p /= p.sum()
    update = HeldClusters(Boltzmann(energy, BETA), held)
    state = update.init(states[rng.generator.choice(len(p), n, p=p)])
    state, _ = update.step(state, rng)
    counts = np.bincount((state.spins > 0) @ (1 << np.arange(12)), minlength=2**12)
    possible = p > 0
    assert counts[~possible].sum() == 0
    chi_square = np.sum((counts[possible] - n * p[possible]) ** 2 / (n * p[possible]))
    k = np.count_nonzero(possible) - 1
    assert abs(chi_square - k) < 5 * np.sqrt(2 * k)


def test_what_clusters_cannot_do_is_refused():
    held = PARTS["half"]
    with pytest.raises(ValueError, match="zero field"):
        HeldClusters(Boltzmann(LatticeEnergy(LATTICE, field=0.1), BETA), held)
    with pytest.raises(ValueError, match="beta is 0"):
        HeldClusters(Boltzmann(ENERGIES["ferromagnet"], 0.0), held)
    with pytest.raises(ValueError, match="one bool per spin"):
        HeldClusters(Boltzmann(ENERGIES["ferromagnet"], BETA), held[:5])

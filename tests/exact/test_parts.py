"""Conditional partition functions against sums over all states."""

import numpy as np
import pytest

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.exact.parts import checkerboard, first_half, log_z_of_free_spins

BETA, RNG = 0.4, np.random.default_rng(1)
TORUS = LatticeEnergy(Lattice((4, 4)), field=0.1)


def by_sum(energy, given):
    """Return log Σ_b exp(−βH(a, b)) of every state, by enumeration."""
    states = all_states(energy.n_spins)
    index = (states[:, given] > 0) @ (1 << np.arange(given.sum()))
    density = -BETA * energy(states)
    return np.log(np.bincount(index, np.exp(density)))[index]


@pytest.mark.parametrize("colour", [0, 1])
@pytest.mark.parametrize("energy", [TORUS, LatticeEnergy(Lattice((4, 3), "open"), RNG.normal(size=17), 0.3)])
def test_free_spins_are_summed_exactly(energy, colour):
    given = checkerboard(energy.lattice) ^ bool(colour)
    found = log_z_of_free_spins(energy, BETA, all_states(energy.n_spins), given)
    np.testing.assert_allclose(found, by_sum(energy, given), rtol=1e-12)


def test_free_spins_of_any_graph_with_an_offset():
    energy = PairwiseEnergy(4, [(0, 1), (0, 2), (0, 3)], [1.0, -0.5, 0.2], 0.1, offset=2.0)
    given = np.array([True, False, False, False])
    found = log_z_of_free_spins(energy, BETA, all_states(4), given)
    np.testing.assert_allclose(found, by_sum(energy, given), rtol=1e-12)


def test_what_cannot_be_summed_is_refused():
    states, half = all_states(16), first_half(TORUS.lattice)
    with pytest.raises(ValueError, match="interact and are both to be summed"):
        log_z_of_free_spins(TORUS, BETA, states, half)
    with pytest.raises(ValueError, match="one bool per spin"):
        log_z_of_free_spins(TORUS, BETA, states, half[:3])

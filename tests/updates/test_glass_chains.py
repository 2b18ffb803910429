"""Overlaps of pairs of chains on a spin glass against enumeration: neural, in turn with Metropolis, and tempering."""

import numpy as np
import pytest
from statistical import LIMIT, z_score

from nmcmc.analysis.modes import replica_overlaps
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.disorder import sherrington_kirkpatrick
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.samplers.sk import CavitySampler
from nmcmc.updates.compose import Cycle
from nmcmc.updates.independence import Independence
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.parallel_tempering import ParallelTempering
from nmcmc.updates.run import run

ENERGY, BETA, N = sherrington_kirkpatrick(9, 4), 1.5, 9


def neural():
    target = Boltzmann(ENERGY, BETA)
    return Independence(CavitySampler(ENERGY, BETA), target)


UPDATES = {
    "neural": (neural, 1),
    "neural and Metropolis": (lambda: Cycle([neural(), Metropolis(Boltzmann(ENERGY, BETA))]), 1),
    "tempering": (lambda: ParallelTempering(ENERGY, [0.5, 1.0, BETA]), 3),
}


def mean_square_overlap(beta):
    """⟨q²⟩ = Σ_ij ⟨s_i s_j⟩²/N²."""
    states = all_states(N).astype(float)
    return np.sum(((states.T * probabilities(ENERGY, beta)) @ states) ** 2) / N**2


@pytest.mark.parametrize("name", UPDATES)
def test_pairs_of_chains_overlap_as_enumeration_says(name):
    update, ladder = UPDATES[name]
    chain = run(update(), 500, Rng(1), observables={"energy": ENERGY}, n_chains=800 * ladder, warmup=50, thin=1)
    squares = replica_overlaps(chain.spins[ladder - 1 :: ladder]) ** 2
    assert abs(z_score(squares, mean_square_overlap(BETA))) < LIMIT
    assert abs(z_score(squares, mean_square_overlap(0.97 * BETA))) > LIMIT

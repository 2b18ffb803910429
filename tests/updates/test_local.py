import numpy as np
import pytest

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.kernels.local import flip_probability
from nmcmc.kernels.rng import below, uniform
from nmcmc.random import Rng
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.local import checkerboard_order
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import random_start


def random_system(extents, boundary="periodic"):
    lattice, rng = Lattice(extents, boundary), np.random.default_rng(2)
    return LatticeEnergy(lattice, rng.normal(size=lattice.n_bonds), 0.3 * rng.normal(size=lattice.n_spins))


def single_attempt_matrix(energy, beta, heat_bath):
    """P of one attempt at a random site, over all_states order."""
    n, states = energy.n_spins, all_states(energy.n_spins)
    cost = 2 * beta * states * energy.local_fields(states)
    matrix = np.zeros((2**n, 2**n))
    for index in range(2**n):
        for site in range(n):
            matrix[index, index ^ (1 << site)] = flip_probability(cost[index, site], heat_bath) / n
        matrix[index, index] = 1 - matrix[index].sum()
    return matrix


@pytest.mark.parametrize("heat_bath", [False, True])
@pytest.mark.parametrize("energy", [LatticeEnergy(Lattice((3, 3))), random_system((2, 4)), random_system((7,), "open")])
def test_random_scan_keeps_the_target(energy, heat_bath):
    p = probabilities(energy, 0.6)
    matrix = single_attempt_matrix(energy, 0.6, heat_bath)
    assert np.max(np.abs(p @ matrix - p)) < 1e-12
    assert np.max(np.abs(p[:, None] * matrix - (p[:, None] * matrix).T)) < 1e-12
    # Reversible: the symmetrised matrix has the same, real, eigenvalues.
    eigenvalues = np.linalg.eigvalsh(np.sqrt(p)[:, None] * matrix / np.sqrt(p))
    assert np.count_nonzero(np.abs(eigenvalues) > 1 - 1e-9) == 1
    assert np.max(np.abs(eigenvalues)) < 1 + 1e-12


@pytest.mark.parametrize("update", [Metropolis, HeatBath])
@pytest.mark.parametrize("scan", ["random", "checkerboard"])
def test_kernel_makes_the_flips_that_the_probability_says(update, scan):
    energy, rng = random_system((4, 2)), Rng(3)
    markov = update(Boltzmann(energy, 0.5), scan=scan, sweeps=2)
    state = markov.init(random_start(3, 8, rng))
    s, streams = state.spins.copy(), rng.streams(3).copy()
    _, spins, info = markov.block(state, rng, 20)
    order = checkerboard_order(energy)
    for chain in range(3):
        for step in range(20):
            flips = 0
            for attempt in range(16):
                site = int(below(streams[chain], 8)) if scan == "random" else order[attempt % 8]
                cost = 2 * 0.5 * s[chain, site] * energy.local_fields(s[chain : chain + 1])[0, site]
                if uniform(streams[chain]) < flip_probability(cost, update is HeatBath):
                    s[chain, site] *= -1
                    flips += 1
            np.testing.assert_array_equal(spins[chain, step], s[chain])
            assert info["flip_fraction"][chain, step] == flips / 16
    np.testing.assert_array_equal(streams, rng.streams(3))


@pytest.mark.parametrize("extents", [(4, 6), (2, 3), (5,), (2, 2, 4)])
def test_no_bond_lies_inside_a_colour(extents):
    lattice = Lattice(extents, "open")
    order = checkerboard_order(LatticeEnergy(lattice))
    assert sorted(order) == list(range(lattice.n_spins))
    parity = np.indices(extents).sum(axis=0).ravel() % 2
    colours = parity[order]
    assert np.count_nonzero(np.diff(colours)) == 1


def test_checkerboard_of_a_graph_in_pieces_ignores_zero_couplings():
    energy = PairwiseEnergy(6, [(0, 1), (1, 2), (2, 0), (4, 5)], [1.0, 1.0, 0.0, -1.0])
    assert checkerboard_order(energy).tolist() == [0, 2, 3, 4, 1, 5]


def test_no_checkerboard_on_an_odd_torus():
    with pytest.raises(ValueError, match=r"odd cycle.*scan='random'"):
        Metropolis(Boltzmann(LatticeEnergy(Lattice((3, 4))), 0.4), scan="checkerboard")


def test_bad_arguments_say_what_is_allowed():
    target = Boltzmann(LatticeEnergy(Lattice((3, 4))), 0.4)
    with pytest.raises(ValueError, match="'random' or 'checkerboard'"):
        HeatBath(target, scan="typewriter")
    with pytest.raises(ValueError, match="sweeps is 0"):
        Metropolis(target, sweeps=0)
    with pytest.raises(ValueError, match="int8"):
        Metropolis(target).init(np.ones((1, 12)))
    with pytest.raises(ValueError, match="other than −1 and"):
        Metropolis(target).init(np.zeros((1, 12), dtype=np.int8))
    with pytest.raises(TypeError, match="PairwiseEnergy"):
        Metropolis(Boltzmann(lambda spins: spins.sum(axis=1), 0.4))

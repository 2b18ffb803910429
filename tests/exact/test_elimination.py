"""Conditional partition functions of any part against sums over all states and against transfer matrices."""

import numpy as np
import pytest

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact import transfer_matrix
from nmcmc.exact.elimination import check_order, log_z_given
from nmcmc.exact.enumeration import all_states
from nmcmc.exact.parts import checkerboard, first_half, log_z_of_free_spins

RNG = np.random.default_rng(1)
PAIRS = np.stack(np.triu_indices(8, 1), axis=1)
ENERGIES = {
    "torus": LatticeEnergy(Lattice((4, 3)), field=0.1),
    "ragged": LatticeEnergy(Lattice((4, 3), ("open", "periodic")), RNG.normal(size=21), RNG.normal(size=12)),
    "double bonds": LatticeEnergy(Lattice((2, 5)), (1.0, -0.7)),
    "ring": LatticeEnergy(Lattice((10,)), field=RNG.normal(size=10)),
    "three dimensions": LatticeEnergy(Lattice((2, 2, 3), "open")),
    "every pair": PairwiseEnergy(8, PAIRS, RNG.normal(size=len(PAIRS)), 0.3, offset=1.5),
    "no bond": PairwiseEnergy(4, np.empty((0, 2), dtype=np.int64), [], 0.3),
}


def by_sum(energy, beta, given):
    """Return log Σ_b exp(−βH(a, b)) of every state, by enumeration."""
    states = all_states(energy.n_spins)
    index = (states[:, given] > 0) @ (1 << np.arange(given.sum()))
    density = -beta * energy(states)
    sums = np.full(2 ** given.sum(), -np.inf)
    np.logaddexp.at(sums, index, density)
    return sums[index]


@pytest.mark.parametrize("beta", [0.0, 0.4, 12.0])
@pytest.mark.parametrize("name", ENERGIES)
def test_any_part_is_summed_exactly(name, beta):
    energy, states = ENERGIES[name], all_states(ENERGIES[name].n_spins)
    for _ in range(6):
        given = RNG.random(energy.n_spins) < RNG.choice([0.2, 0.5, 0.8])
        found = log_z_given(energy, beta, states, given)
        np.testing.assert_allclose(found, by_sum(energy, beta, given), rtol=1e-12, atol=1e-12)
        if beta == 0.4 and 0 < given.sum() < energy.n_spins:
            assert np.abs(log_z_given(energy, 0.41, states, given) - found).max() > 1e-4


@pytest.mark.parametrize("given", [True, False])
def test_nothing_to_sum_is_minus_beta_h_and_nothing_given_is_log_z(given):
    energy, states = ENERGIES["ragged"], all_states(12)
    found = log_z_given(energy, 0.7, states, np.full(12, given))
    expected = -0.7 * energy(states) if given else transfer_matrix.strip(energy, 0.7).log_z
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lattice", [Lattice((8, 8)), Lattice((30, 12), "open"), Lattice((3, 40))])
@pytest.mark.parametrize("beta", [0.44, 5.0])
def test_wide_and_long_lattices_are_those_of_the_transfer_matrix(lattice, beta):
    energy = LatticeEnergy(lattice, RNG.normal(size=len(lattice.edges)))
    found = log_z_given(energy, beta, np.ones((1, lattice.n_spins), np.int8), np.zeros(lattice.n_spins, bool))
    assert found[0] == pytest.approx(transfer_matrix.strip(energy, beta).log_z, rel=1e-12)


def test_free_spins_are_those_of_the_formula():
    energy = LatticeEnergy(Lattice((16, 16)), field=0.1)
    spins, given = RNG.choice([-1, 1], (40, 256)).astype(np.int8), checkerboard(energy.lattice)
    formula = log_z_of_free_spins(energy, 0.5, spins, given)
    np.testing.assert_allclose(log_z_given(energy, 0.5, spins, given), formula, rtol=1e-12)


def test_spins_that_are_summed_do_not_matter():
    energy = ENERGIES["torus"]
    given = first_half(energy.lattice)
    spins = RNG.choice([-1, 1], (5, 12)).astype(np.int8)
    others = np.where(given, spins, -spins)
    assert np.array_equal(log_z_given(energy, 0.4, spins, given), log_z_given(energy, 0.4, others, given))


def test_the_table_of_half_a_torus_is_as_wide_as_the_torus():
    lattice = Lattice((16, 16))
    assert check_order(LatticeEnergy(lattice), 0.44, first_half(lattice)) <= 17


def test_what_cannot_be_summed_is_refused():
    energy = LatticeEnergy(Lattice((32, 32)))
    nothing = np.zeros(1024, bool)
    with pytest.raises(ValueError, match="give more spins, or take a narrower lattice"):
        log_z_given(energy, 0.4, np.ones((1, 1024), np.int8), nothing)
    small = ENERGIES["torus"]
    with pytest.raises(ValueError, match="too large to sum"):
        log_z_given(small, 200.0, np.ones((1, 12), np.int8), np.zeros(12, bool))
    with pytest.raises(ValueError, match="one bool per spin"):
        log_z_given(small, 0.4, np.ones((1, 12), np.int8), np.zeros(3, bool))

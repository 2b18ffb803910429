"""Walks that turn on the bonds between two parts, against sums over one of them."""

import numpy as np
import pytest

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.cylinder import Cylinder
from nmcmc.exact.elimination import log_z_given
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.exact.parts import checkerboard, first_half
from nmcmc.random import Rng
from nmcmc.updates.run import random_start, warm_up
from nmcmc.updates.seam import Seam, response_bounds
from nmcmc.updates.swendsen_wang import SwendsenWang

BETA, N_STATES = 0.44, 3000
ENERGY = LatticeEnergy(Lattice((4, 4)))
STATES = all_states(16)
PARTS = {"halves": first_half(ENERGY.lattice), "checkerboard": checkerboard(ENERGY.lattice)}


def bounds_less_exact(part, n_steps, n_walkers, beta_of_exact=BETA, turned=False):
    """Return lower and upper bounds of f minus f, which is exact for a β of its own."""
    seam, rng = Seam(Boltzmann(ENERGY, BETA), PARTS[part]), Rng(1).child(part)
    held = ~seam.part if turned else seam.part
    apart = seam.at(0.0)
    spins = STATES[rng.generator.choice(2**16, N_STATES, p=probabilities(ENERGY, BETA))]
    free = STATES[rng.generator.choice(2**16, N_STATES, p=probabilities(apart.energy, BETA))]
    whole, half = (log_z_given(energy, beta_of_exact, spins, held) for energy in (ENERGY, apart.energy))
    found = response_bounds(seam, held, spins, free, n_steps, n_walkers, rng)
    return [bound - (whole - half) for bound in found]


def z_of_one(ratio):
    """Return how many errors the mean of a ratio is off 1."""
    return (ratio.mean() - 1) / (ratio.std() / np.sqrt(len(ratio)))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("part", PARTS)
def test_weights_have_the_exact_mean_on_both_ways(part, turned):
    """One walker each way: exp(lower − f) and exp(f − upper) have the mean 1, however fast the path."""
    lower, upper = bounds_less_exact(part, 12, 1, turned=turned)
    assert abs(z_of_one(np.exp(lower))) < 5
    assert abs(z_of_one(np.exp(-upper))) < 5


def test_the_exact_mean_of_another_temperature_is_not_theirs():
    lower, upper = bounds_less_exact("halves", 12, 1, beta_of_exact=1.03 * BETA)
    assert z_of_one(np.exp(lower)) < -5
    assert z_of_one(np.exp(-upper)) > 5


def test_bounds_are_bounds_and_close_with_more_steps_and_walkers():
    widths = []
    for n_steps, n_walkers in ((6, 1), (48, 1), (48, 8)):
        lower, upper = bounds_less_exact("halves", n_steps, n_walkers)
        error = np.hypot(lower.std(), upper.std()) / np.sqrt(N_STATES)
        assert lower.mean() < 5 * error
        assert upper.mean() > -5 * error
        widths.append((upper - lower).mean())
        assert n_steps > 6 or (lower.mean() < -5 * error and upper.mean() > 5 * error)
    assert widths[0] > 3 * widths[1] > 6 * widths[2] > 0


def test_bounds_of_a_wide_half_hold_what_free_fermions_give():
    energy, n = LatticeEnergy(Lattice((24, 24))), 24
    seam, rng = Seam(Boltzmann(energy, BETA), first_half(energy.lattice)), Rng(2)
    whole, apart = (SwendsenWang(seam.at(strength)) for strength in (BETA, 0.0))
    spins, free = (
        warm_up(update, update.init(random_start(n, 576, rng.child(k))), 200, rng.child("warm", k)).spins
        for k, update in enumerate((whole, apart))
    )
    rows = spins.reshape(n, 24, 24).astype(np.float64)
    cylinder = Cylinder(12, 24, BETA, BETA)
    exact = cylinder.log_z_in_fields(BETA * rows[:, 11], BETA * rows[:, 0]) - cylinder.log_z
    lower, upper = response_bounds(seam, seam.part, spins, free, 192, 4, rng)
    assert (lower - exact).mean() < 5 * (lower - exact).std() / np.sqrt(n)
    assert (exact - upper).mean() < 5 * (exact - upper).std() / np.sqrt(n)
    assert 0 < (upper - lower).mean() < 0.05 * exact.mean()


def test_a_seam_is_what_joins_two_systems():
    seam = Seam(Boltzmann(ENERGY, BETA), PARTS["halves"])
    spins = STATES[::97]
    assert seam.at(BETA) is seam.target
    assert len(seam.energy.edges) == 8
    np.testing.assert_allclose(seam.at(0.0).energy(spins) + seam.energy(spins), ENERGY(spins), atol=1e-12)
    np.testing.assert_allclose(seam.at(0.11).energy(spins) + 0.75 * seam.energy(spins), ENERGY(spins), atol=1e-12)
    assert (seam.strengths(4)[0], seam.strengths(4)[-1]) == (0.0, BETA)

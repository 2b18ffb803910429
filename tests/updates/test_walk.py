"""Walkers importance sampling and Jarzynski's equality on small tori against enumeration."""

import numpy as np
import pytest
from sticky import assert_calibrated

from nmcmc.analysis.free_energy import bridge_log_z, importance_log_z
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, enumerate_system, probabilities
from nmcmc.random import Rng
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.run import random_start
from nmcmc.updates.swendsen_wang import SwendsenWang
from nmcmc.updates.walk import walk

ENERGY, BETA, N_REPLICAS = LatticeEnergy(Lattice((4, 4))), 0.4, 200
LOG_Z0 = 16 * np.log(2)
UPDATES = {
    "swendsen-wang": lambda b: SwendsenWang(Boltzmann(ENERGY, b)),
    "heat bath": lambda b: HeatBath(Boltzmann(ENERGY, b)),
}


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("n_steps", [10, 40])
def test_the_mean_weight_is_the_ratio_of_partition_functions_however_fast_the_path(update, n_steps):
    n, rng = N_REPLICAS * 50, Rng(1).child(update)
    walkers = walk(UPDATES[update], ENERGY, np.linspace(0, BETA, n_steps + 1), random_start(n, 16, rng), rng)
    exact = enumerate_system(ENERGY, BETA).log_z
    estimate = importance_log_z(walkers.log_weight).estimate()
    assert abs(estimate.deviation(exact - LOG_Z0)) < 5
    assert abs(estimate.deviation(enumerate_system(ENERGY, 1.1 * BETA).log_z - LOG_Z0)) > 5
    if n_steps == 40:
        rows = walkers.log_weight.reshape(N_REPLICAS, -1)
        assert_calibrated([importance_log_z(row).estimate() for row in rows], exact - LOG_Z0)


def test_the_path_back_and_both_ways_together():
    rng, n, exact = Rng(2), 10_000, enumerate_system(ENERGY, BETA).log_z
    betas = np.linspace(0, BETA, 9)
    states = all_states(16)[rng.generator.choice(2**16, n, p=probabilities(ENERGY, BETA))]
    forth = walk(UPDATES["heat bath"], ENERGY, betas, random_start(n, 16, rng), rng.child("forth"))
    back = walk(UPDATES["heat bath"], ENERGY, betas[::-1], states, rng.child("back"))
    assert abs(importance_log_z(back.log_weight).estimate().deviation(LOG_Z0 - exact)) < 5
    both = bridge_log_z(forth.log_weight, -back.log_weight.reshape(4, -1)).estimate()
    assert abs(both.deviation(exact - LOG_Z0)) < 5
    assert both.error < importance_log_z(forth.log_weight).estimate().error


def test_one_step_is_plain_reweighting_and_leaves_the_states():
    start = random_start(50, 16, Rng(3))
    walkers = walk(UPDATES["heat bath"], ENERGY, (0.0, 0.1), start, Rng(4))
    np.testing.assert_allclose(walkers.log_weight, -0.1 * ENERGY(start))
    np.testing.assert_array_equal(walkers.spins, start)


@pytest.mark.parametrize(("betas", "steps"), [((0.1,), 1), ((0.0, 0.1), 0)])
def test_a_path_without_step_is_refused(betas, steps):
    with pytest.raises(ValueError, match="at least one step"):
        walk(UPDATES["heat bath"], ENERGY, betas, random_start(2, 16, Rng(1)), Rng(1), steps)

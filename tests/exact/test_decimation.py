"""The flow of the relative entropy under decimation: closed forms, enumeration, and sampled states."""

import itertools
import math

import numpy as np
import pytest
from sticky import assert_calibrated, sticky

from nmcmc.analysis.information import relative_entropy
from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact import decimation
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.exact.information import decimated_divergence, divergence
from nmcmc.exact.kaufman import torus
from nmcmc.random import Rng
from nmcmc.updates.run import run
from nmcmc.updates.swendsen_wang import SwendsenWang

BETAS = (BETA_CRITICAL, 1.05 * BETA_CRITICAL)
SMALL = {
    "torus": LatticeEnergy(Lattice((4, 4))),
    "torus in a field": LatticeEnergy(Lattice((4, 4)), field=0.1),
    "open 3x5": LatticeEnergy(Lattice((3, 5), "open")),
    "mixed 3x4": LatticeEnergy(Lattice((3, 4), ("open", "periodic")), (1.0, 0.5)),
    "ring": LatticeEnergy(Lattice((16,))),
}


def flow_of_all_states(energy, steps):
    """Return D(p_1‖p_2) after every step, the chain's mean replaced by the exact one over all states."""
    p, states = probabilities(energy, BETAS[0]), all_states(energy.n_spins)
    ratios = decimation.decimated_log_ratios(energy, BETAS, states, steps)
    return [math.log(p @ np.exp(ratio)) - p @ ratio for ratio in ratios]


@pytest.mark.parametrize("name", SMALL)
def test_the_flow_is_that_of_the_enumerated_marginals_and_falls(name):
    energy, steps = SMALL[name], 3 if name == "mixed 3x4" else 4
    found = flow_of_all_states(energy, steps)
    for step, value in enumerate(found):
        kept = decimation.kept_spins(energy.lattice, step)
        assert value == pytest.approx(decimated_divergence(energy, BETAS, kept), abs=1e-11)
    assert all(more > less - 1e-12 for more, less in itertools.pairwise(found))
    other = decimated_divergence(energy, BETAS, ~decimation.kept_spins(energy.lattice, 2))
    assert abs(found[2] - other) > 1e-6  # another set of spins has another value


def test_the_flow_of_a_ring_has_the_closed_form():
    energy, bonds = SMALL["ring"], BETAS
    exact = [16 * each.divergence for each in decimation.decimation_flow(16, bonds, 2)]
    assert flow_of_all_states(energy, 2) == pytest.approx(exact, abs=1e-12)


def test_every_second_spin_is_kept():
    kept = [decimation.kept_spins(Lattice((8, 8)), step) for step in range(7)]
    assert [mask.sum() for mask in kept] == [64, 32, 16, 8, 4, 2, 1]
    assert all(np.all(more[less]) for more, less in itertools.pairwise(kept))
    assert np.flatnonzero(kept[3]).tolist() == [0, 4, 18, 22, 32, 36, 50, 54]
    assert np.flatnonzero(decimation.kept_spins(Lattice((12,)), 2)).tolist() == [0, 4, 8]


@pytest.mark.parametrize(
    ("lattice", "steps"), [(Lattice((6, 6)), 3), (Lattice((4, 5)), 1), (Lattice((4, 4, 4)), 1), (Lattice((4, 4)), -1)]
)
def test_lattices_that_sublattices_do_not_fit_are_refused(lattice, steps):
    with pytest.raises(ValueError, match=r"decimations of the lattice|give one or two dimensions"):
        decimation.kept_spins(lattice, steps)


def test_what_is_too_wide_to_be_summed_is_refused_before_anything_is_done():
    energy = LatticeEnergy(Lattice((16, 16)))
    with pytest.raises(ValueError, match="at most 2\\^20"):
        decimation.decimated_log_ratios(energy, BETAS, np.ones((10**6, 256), np.int8)[:1], 3)


@pytest.mark.parametrize("name", ["torus", "torus in a field"])
def test_the_flow_of_chains_is_calibrated_at_every_step(name):
    energy, rng, n_steps = SMALL[name], np.random.default_rng(1), 3
    ratios = decimation.decimated_log_ratios(energy, BETAS, all_states(16), n_steps)
    p, found = probabilities(energy, BETAS[0]), [[] for _ in ratios]
    for _ in range(100):
        states = sticky(p, 2, 600, 0.5, rng)
        for step, ratio in enumerate(ratios):
            found[step].append(relative_entropy(ratio[states]).estimate())
    for step, estimates in enumerate(found):
        exact = decimated_divergence(energy, BETAS, decimation.kept_spins(energy.lattice, step))
        assert_calibrated(estimates, exact)
        mean = np.mean([estimate.value for estimate in estimates])
        error = np.std([estimate.value for estimate in estimates]) / math.sqrt(len(estimates))
        assert abs(mean - 1.1 * exact) > 5 * error  # ten per cent off would have been seen


def test_chains_of_a_lattice_beyond_enumeration_flow_down_to_nothing():
    """8×8: the first value by Kaufman's formula, every step downhill, one spin of a symmetric lattice tells nothing."""
    energy = LatticeEnergy(Lattice((8, 8)))
    target = Boltzmann(energy, BETAS[0])
    chain = run(SwendsenWang(target), 300, Rng(1), observables={"E": energy}, n_chains=8, warmup=50, thin=1)
    ratios = decimation.decimated_log_ratios(energy, BETAS, chain.spins.reshape(-1, 64), 6)
    flow = [relative_entropy(ratio.reshape(8, 300)) for ratio in ratios]
    here, there = (torus((8, 8), beta) for beta in BETAS)
    exact = divergence(here.energy_per_spin * 64, here.log_z, there.log_z, BETAS)
    assert abs(flow[0].estimate().deviation(exact)) < 5
    assert abs(flow[0].estimate().deviation(0.7 * exact)) > 5
    steps = [(more - less).estimate() for more, less in itertools.pairwise(flow)]
    assert all(step.value > 0 for step in steps)
    assert all(step.deviation(0.0) > 5 for step in steps[:3])
    assert np.ptp(ratios[6]) < 1e-12
    assert flow[6].value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("bonds", [(0.3, 0.5), (1.0, 0.9), (0.0, 0.2)])
def test_a_ring_and_its_decimation_are_exact(bonds):
    """Closed form, decimated ring, and enumeration of the ring with every second spin summed out are one number."""
    energy = LatticeEnergy(Lattice((12,)))
    flow = decimation.decimation_flow(12, bonds, 2)
    for step, given in enumerate(np.arange(12) % 2**k == 0 for k in range(3)):
        expected = decimated_divergence(energy, bonds, given) / 12
        assert flow[step].divergence == pytest.approx(expected, abs=1e-13)
        assert flow[step].n_spins == given.sum()
    assert flow[0].divergence > flow[1].divergence > flow[2].divergence > 0


def test_the_bond_after_decimation():
    assert decimation.decimate(0.7) == pytest.approx(0.5 * math.log(math.cosh(1.4)))


def test_rings_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="halved 3 times"):
        decimation.decimation_flow(12, (0.1, 0.2), 3)

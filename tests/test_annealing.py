"""Annealing: ground states of small systems and of a graph of the G-set; the same bits whatever the threads."""

import numpy as np
import pytest

from nmcmc.annealing import anneal, default_beta_range, schedule
from nmcmc.energies.graphs import MaxCut, toroidal_graph
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.exact.transfer_matrix import strip
from nmcmc.random import Rng


def glass(n, seed, field=0.5):
    rng = np.random.default_rng(seed)
    edges = [(i, j) for i in range(n) for j in range(i)]
    return PairwiseEnergy(n, edges, rng.normal(size=len(edges)), field * rng.normal(size=n), 1.5)


@pytest.mark.parametrize("energy", [glass(14, 1), glass(14, 2, field=0.0), LatticeEnergy(Lattice((4, 4)), -1.0, 0.3)])
def test_small_systems_end_in_their_ground_states(energy):
    lowest = energy(all_states(energy.n_spins)).min()
    assert energy(anneal(energy, schedule(energy, 100), 48, Rng(1))).min() == pytest.approx(lowest, abs=1e-12)


def test_every_result_is_a_local_minimum():
    energy = glass(60, 3)
    spins = anneal(energy, [0.1], 40, Rng(1))
    assert np.all(spins * energy.local_fields(spins) > -1e-3)
    assert len(np.unique(spins, axis=0)) > 20


def test_a_system_without_couplings_follows_its_fields():
    energy = PairwiseEnergy(5, [], fields=[1.0, -2.0, 0.0, 0.5, -0.25])
    spins = anneal(energy, schedule(energy, 10), 20, Rng(1))
    assert np.all(spins[:, [0, 3]] == 1)
    assert np.all(spins[:, [1, 4]] == -1)
    assert default_beta_range(PairwiseEnergy(2, [])) == (1.0, 1.0)


def test_replicas_depend_on_seed_and_place_only(set_threads):
    energy = glass(40, 4)
    betas = schedule(energy, 20)
    few, many = anneal(energy, betas, 20, Rng(1)), anneal(energy, betas, 64, Rng(1))
    np.testing.assert_array_equal(few, many[:20])
    set_threads(2)
    np.testing.assert_array_equal(anneal(energy, betas, 64, Rng(1)), many)
    assert not np.array_equal(anneal(energy, betas, 64, Rng(2)), many)


def test_slow_annealing_finds_the_exact_optimum_of_a_graph_of_the_g_set():
    """The 24×6 torus by transfer matrix, cold enough that only ground states count."""
    extents = (24, 6)
    problem = MaxCut(toroidal_graph(extents, Rng(5)))
    lattice = LatticeEnergy(Lattice(extents), -problem.terms.weights)
    ground = strip(lattice, 12.0).energy
    assert abs(ground - round(ground)) < 1e-6
    spins = anneal(problem.energy, schedule(problem.energy, 400), 64, Rng(1))
    assert problem.value(problem.answer(spins)).max() == problem.value_of_energy(round(ground))


@pytest.mark.parametrize("factor", [2.0**-600, 2.0**900])
def test_the_scale_of_energies_does_not_matter(factor):
    energy = glass(30, 7)
    scaled = PairwiseEnergy(30, energy.edges, factor * energy.couplings, factor * energy.fields)
    spins = [anneal(system, schedule(system, 20), 16, Rng(1)) for system in (energy, scaled)]
    np.testing.assert_array_equal(*spins)


def test_couplings_out_of_range_are_refused():
    energy = PairwiseEnergy(3, [(0, 1), (1, 2)], 1e308)
    with pytest.raises(ValueError, match="divide all numbers"):
        anneal(energy, [1.0], 1, Rng(1))


def test_more_sweeps_end_lower():
    energy = MaxCut(toroidal_graph((16, 16), Rng(6))).energy
    fast, slow = (energy(anneal(energy, schedule(energy, sweeps), 64, Rng(1))) for sweeps in (2, 200))
    difference, error = fast.mean() - slow.mean(), np.hypot(fast.std(), slow.std()) / 8
    assert difference > 5 * error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sweeps": 0}, "sweeps is 0"),
        ({"sweeps": 5, "beta_range": (2.0, 1.0)}, "0 < hot ≤ cold"),
        ({"sweeps": 5, "beta_range": (0.0, 1.0)}, "0 < hot ≤ cold"),
    ],
)
def test_impossible_schedules_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        schedule(glass(4, 1), **arguments)


@pytest.mark.parametrize(
    ("betas", "replicas", "message"),
    [([0.1, np.inf], 1, "finite numbers"), ([-1.0], 1, "finite numbers"), ([1.0], 0, "replicas is 0")],
)
def test_impossible_annealings_are_refused(betas, replicas, message):
    with pytest.raises(ValueError, match=message):
        anneal(glass(4, 1), betas, replicas, Rng(1))

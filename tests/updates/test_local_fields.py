"""Kept local fields: exact on the grid, so that neither blocks, nor a matrix, nor the past of a chain tell."""

import numpy as np
import pytest

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.kernels.local import energy_difference, fill_local_fields, local_steps, sweep
from nmcmc.random import Rng
from nmcmc.updates.local import on_a_grid
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.parallel_tempering import ParallelTempering
from nmcmc.updates.run import random_start

RANDOM_SITES = np.empty(0, dtype=np.int64)


def glass(n, share=1.0, scale=1.0, seed=2):
    """A share of all pairs, in random order, with couplings and fields of very different size."""
    rng = np.random.default_rng(seed)
    pairs = np.stack(np.triu_indices(n, 1), axis=1)
    edges = rng.permutation(pairs)[: round(share * len(pairs))]
    sizes = scale * np.exp(3 * rng.normal(size=len(edges) + n))
    numbers = sizes * rng.normal(size=len(sizes))
    return PairwiseEnergy(n, edges, numbers[:-n], numbers[-n:])


def in_rows(energy):
    """The system of the energy in compressed rows, whatever its density."""
    start, neighbour, coupling, _, fields = on_a_grid(energy)
    return start, neighbour, coupling, np.empty((0, len(fields))), fields


def unrounded(energy):
    return *energy.adjacency(), np.empty((0, energy.n_spins)), energy.fields


def recomputed(s, system):
    local = np.empty(len(s))
    fill_local_fields(s, system, local)
    return local


def kept(system, beta=0.02, steps=400):
    """A configuration after so many sweeps, and its local fields as kept through all flips."""
    n = len(system[4])
    s, stream = random_start(1, n, Rng(5))[0], Rng(6).streams(1)[0].copy()
    local = recomputed(s, system)
    assert sweep(s, local, stream, system, beta, RANDOM_SITES, False, steps * n) > steps
    return s, local


@pytest.mark.parametrize("scale", [1e-300, 1e-7, 1.0, 3e150])
@pytest.mark.parametrize("share", [0.1, 1.0])
def test_kept_fields_are_those_of_the_spins_bit_for_bit(share, scale):
    system = on_a_grid(glass(30, share, scale))
    s, local = kept(system, 0.02 / scale)
    np.testing.assert_array_equal(local, recomputed(s, system))


def test_without_the_grid_they_are_not():
    system = unrounded(glass(30))
    s, local = kept(system)
    assert np.any(local != recomputed(s, system))


def test_a_matrix_is_there_for_dense_couplings_only():
    assert on_a_grid(glass(30))[3].shape == (30, 30)
    assert on_a_grid(glass(30, 0.1))[3].shape == (0, 30)


def test_a_matrix_and_rows_make_the_same_chain():
    energy = glass(30)
    results = []
    for system in (on_a_grid(energy), in_rows(energy)):
        spins, streams = random_start(3, 30, Rng(1)), Rng(2).streams(3).copy()
        out, flips = np.empty((3, 50, 30), dtype=np.int8), np.empty((3, 50), dtype=np.int64)
        local_steps(spins, streams, system, 0.1, RANDOM_SITES, False, 2, out, flips)
        results.append((spins, streams, out, flips))
    for ours, other in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, other)


@pytest.mark.parametrize("update", ["metropolis", "tempering"])
def test_a_block_is_its_steps(update):
    energy = glass(30)
    markov = ParallelTempering(energy, [0.05, 0.1]) if update == "tempering" else Metropolis(Boltzmann(energy, 0.1))
    rng, other = Rng(3), Rng(3)
    state = single = markov.init(random_start(4, 30, Rng(1)))
    state, spins, _ = markov.block(state, rng, 40)
    for step in range(40):
        single, _ = markov.step(single, other)
        np.testing.assert_array_equal(single.spins, spins[:, step])


def test_fields_and_energy_are_those_of_the_edges():
    energy = glass(7)
    system, sizes = on_a_grid(energy), np.abs(energy.local_fields(all_states(7))).max(axis=0)
    first, start = all_states(7)[0], energy(all_states(7))[0]
    for s, h, fields in zip(all_states(7), energy(all_states(7)), energy.local_fields(all_states(7)), strict=True):
        local = recomputed(s, system)
        assert np.all(np.abs(local - fields) < 1e-14 * sizes)
        found = energy_difference(s, local, first, recomputed(first, system), system[4])
        assert abs(found - (h - start)) < 1e-13 * sizes.max()


def test_few_digits_stay_as_they_are():
    signs = PairwiseEnergy(4, [(0, 1), (1, 2), (2, 3)], [1.0, -1.0, 1.0], 0.5)
    np.testing.assert_array_equal(on_a_grid(signs)[2], signs.adjacency()[2])
    assert on_a_grid(PairwiseEnergy(2, []))[4].tolist() == [0.0, 0.0]


def test_couplings_beyond_float64_together_are_refused():
    energy = PairwiseEnergy(3, [(0, 1), (1, 2)], 1.7e308)
    with pytest.raises(ValueError, match="add up to more than a float64 holds"):
        Metropolis(Boltzmann(energy, 1e-308))
    with pytest.raises(ValueError, match="add up to more than a float64 holds"):
        ParallelTempering(energy, [1e-308, 2e-308])


@pytest.mark.parametrize("edges", [[(1, 2), (2, 3)], [(i, j) for i in range(4) for j in range(i) if j]])
def test_a_pinned_spin_leaves_the_others_as_they_are(edges):
    energy = PairwiseEnergy(4, edges, 0.3, [1e16, 0.0, 0.0, 0.7])
    _, _, coupling, matrix, fields = on_a_grid(energy)
    np.testing.assert_allclose(coupling, energy.adjacency()[2], rtol=1e-14)
    np.testing.assert_allclose(matrix, energy.coupling_matrix[: len(matrix)], rtol=1e-14)
    np.testing.assert_allclose(fields, energy.fields, rtol=1e-14)


def test_exchanges_do_not_see_a_pinned_spin():
    chain = [(i, i + 1) for i in range(1, 5)]
    pinned, free = PairwiseEnergy(6, chain, 1.0, [1e16, *[0.0] * 5]), PairwiseEnergy(6, chain, 1.0)
    start = np.ones((12, 6), dtype=np.int8)
    results = []
    for energy in (pinned, free):
        tempering = ParallelTempering(energy, [0.3, 0.6, 1.0])
        results.append([tempering.block(tempering.init(start), Rng(1), 50)[2]["exchanged"]][0].mean())
    assert results[0] == pytest.approx(results[1], abs=0.06)
    assert results[1] > 0.3

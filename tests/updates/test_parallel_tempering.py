"""Parallel tempering on the product of all temperatures: transition matrices, the kernel replayed, exact means."""

from itertools import product

import numpy as np
import pytest
from statistical import LIMIT, z_score

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.kernels.local import flip_probability
from nmcmc.kernels.rng import below, next_word, uniform
from nmcmc.kernels.tempering import swap_probability
from nmcmc.random import Rng
from nmcmc.updates.parallel_tempering import ParallelTempering
from nmcmc.updates.run import random_start, run


def glass(n, seed=2, field=0.4):
    rng = np.random.default_rng(seed)
    edges = [(i, j) for i in range(n) for j in range(i)]
    return PairwiseEnergy(n, edges, rng.normal(size=len(edges)), field * rng.normal(size=n))


def attempt_matrix(energy, beta):
    """P of one Metropolis attempt at a random site."""
    n, states = energy.n_spins, all_states(energy.n_spins)
    cost = 2 * beta * states * energy.local_fields(states)
    matrix = np.zeros((2**n, 2**n))
    for index, site in product(range(2**n), range(n)):
        matrix[index, index ^ (1 << site)] = flip_probability(cost[index, site], False) / n
    return matrix + np.diag(1 - matrix.sum(axis=1))


def exchange_matrix(energies, betas, first):
    """P of the exchanges of pairs (first, first + 1), …, on the product of all temperatures, row-major."""
    shape = (len(energies),) * len(betas)
    matrix = np.zeros((len(energies) ** len(betas),) * 2)
    pairs = list(range(first, len(betas) - 1, 2))
    for indices in product(range(len(energies)), repeat=len(betas)):
        for swaps in product((False, True), repeat=len(pairs)):
            after, p = list(indices), 1.0
            for swap, k in zip(swaps, pairs, strict=True):
                chance = swap_probability(betas[k], betas[k + 1], energies[indices[k]], energies[indices[k + 1]])
                p *= chance if swap else 1 - chance
                if swap:
                    after[k], after[k + 1] = after[k + 1], after[k]
            matrix[np.ravel_multi_index(indices, shape), np.ravel_multi_index(after, shape)] += p
    return matrix


@pytest.mark.parametrize(("n", "betas"), [(3, [0.3, 0.9]), (2, [0.2, 0.5, 1.1]), (1, [0.1, 0.4, 0.8, 1.5])])
def test_a_step_keeps_the_product_of_all_temperatures(n, betas):
    energy = glass(n)
    target, sweep, energies = np.ones(1), np.ones((1, 1)), energy(all_states(n))
    for beta in betas:
        target = np.kron(target, probabilities(energy, beta))
        sweep = np.kron(sweep, np.linalg.matrix_power(attempt_matrix(energy, beta), n))
    exchanges = [exchange_matrix(energies, betas, first) for first in (0, 1)]
    for exchange in exchanges:
        assert np.max(np.abs(target @ exchange - target)) < 1e-12
    step = sweep @ (exchanges[0] + exchanges[1]) / 2
    assert np.max(np.abs(target @ step - target)) < 1e-12
    assert np.count_nonzero(np.abs(np.linalg.eigvals(step)) > 1 - 1e-9) == 1


def test_exchanges_with_the_wrong_sign_do_not():
    energy, betas = glass(3), [0.3, 0.9]
    target = np.kron(*(probabilities(energy, beta) for beta in betas))
    wrong = exchange_matrix(-energy(all_states(3)), betas, 0)
    assert np.max(np.abs(target @ wrong - target)) > 1e-3


def test_the_kernel_does_what_the_probabilities_say():
    energy, rng, betas = glass(5), Rng(3), [0.2, 0.5, 1.0]
    tempering = ParallelTempering(energy, betas, sweeps=2)
    state = tempering.init(random_start(6, 5, rng))
    s, streams = state.spins.copy().reshape(2, 3, 5), rng.streams(6).copy().reshape(2, 3, 4)
    _, spins, info = tempering.block(state, rng, 12)
    exchanges = 0
    for step, ladder in product(range(12), range(2)):
        for k, beta in enumerate(betas):
            flips = 0
            for _ in range(10):
                site = int(below(streams[ladder, k], 5))
                cost = 2 * beta * s[ladder, k, site] * energy.local_fields(s[ladder, k : k + 1])[0, site]
                if uniform(streams[ladder, k]) < flip_probability(cost, False):
                    s[ladder, k, site] *= -1
                    flips += 1
            assert info["flip_fraction"][3 * ladder + k, step] == flips / 10
        energies, swapped = energy(s[ladder]), np.zeros(3, dtype=bool)
        k = int(next_word(streams[ladder, 0]) >> np.uint64(63))
        if uniform(streams[ladder, k]) < swap_probability(betas[k], betas[k + 1], energies[k], energies[k + 1]):
            s[ladder, [k, k + 1]] = s[ladder, [k + 1, k]]
            swapped[[k, k + 1]] = True
            exchanges += 1
        np.testing.assert_array_equal(info["exchanged"][3 * ladder : 3 * ladder + 3, step], swapped)
        np.testing.assert_array_equal(spins[3 * ladder : 3 * ladder + 3, step], s[ladder])
    np.testing.assert_array_equal(streams.reshape(6, 4), rng.streams(6))
    assert 0 < exchanges < 24


def test_steps_are_a_block_and_threads_do_not_matter(set_threads):
    tempering, results = ParallelTempering(glass(7), [0.2, 0.6]), []
    for number in (1, 2):
        set_threads(number)
        rng = Rng(4)
        state = tempering.init(random_start(8, 7, rng))
        after, spins, _ = tempering.block(state, rng, 5)
        results.append((after.spins, spins))
    rng = Rng(4)
    state = tempering.init(random_start(8, 7, rng))
    for step in range(5):
        state, _ = tempering.step(state, rng)
        for _, spins in results:
            np.testing.assert_array_equal(spins[:, step], state.spins)
    assert all(np.array_equal(after, state.spins) for after, _ in results)


def test_every_chain_meets_the_exact_energy_of_its_temperature():
    energy, betas = LatticeEnergy(Lattice((3, 4)), np.random.default_rng(1).normal(size=24)), [0.3, 0.6, 1.0]
    chain = run(ParallelTempering(energy, betas), 300, Rng(1), observables={"e": energy}, n_chains=600, warmup=100)
    for k, beta in enumerate(betas):
        series, states = chain.series["e"][k::3], all_states(12)
        right, wrong = (probabilities(energy, factor * beta) @ energy(states) for factor in (1, 1.03))
        assert abs(z_score(series, right)) < LIMIT
        assert abs(z_score(series, wrong)) > LIMIT
    assert chain.stats["exchanged"].mean() > 0.2


@pytest.mark.parametrize("betas", [[0.4], [0.4, 0.4], [0.5, 0.4], [-0.1, 0.4], [0.1, np.inf]])
def test_impossible_ladders_are_refused(betas):
    with pytest.raises(ValueError, match="beta"):
        ParallelTempering(glass(3), betas)


def test_chains_must_fill_the_ladder():
    tempering = ParallelTempering(glass(3), [0.1, 0.4])
    with pytest.raises(ValueError, match="3 chains for 2 temperatures"):
        tempering.init(np.ones((3, 3), dtype=np.int8))
    with pytest.raises(ValueError, match="other than −1 and"):
        tempering.init(np.zeros((2, 3), dtype=np.int8))
    with pytest.raises(ValueError, match="sweeps is 0"):
        ParallelTempering(glass(3), [0.1, 0.4], sweeps=0)

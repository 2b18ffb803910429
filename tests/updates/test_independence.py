import math

import numpy as np
import pytest
import torch
from doubles import TableSampler, distorted
from statistical import LIMIT, z_score

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.kernels.independence import accept_scan, acceptance_probability
from nmcmc.random import Rng
from nmcmc.types import Draw
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import random_start, run

ENERGY = LatticeEnergy(Lattice((3, 3)), 1.0, 0.1)
TARGET = Boltzmann(ENERGY, 0.44)
STATES = all_states(9)


def transition_matrix(log_q, log_weight):
    accept = np.array([[acceptance_probability(b - a) for b in log_weight] for a in log_weight])
    matrix = np.exp(log_q)[None] * accept
    matrix[np.diag_indices_from(matrix)] += 1 - matrix.sum(axis=1)
    return matrix


def test_transition_matrix_keeps_the_target():
    target = Boltzmann(LatticeEnergy(Lattice((2, 4)), 1.0, 0.1), 0.44)
    sampler = distorted(target, seed=3)
    p = probabilities(target.energy, 0.44)
    matrix = transition_matrix(sampler.table, target.log_density(all_states(8)) - sampler.table)
    assert np.max(np.abs(p @ matrix - p)) < 1e-12
    moduli = np.abs(np.linalg.eigvals(matrix))
    assert np.count_nonzero(moduli > 1 - 1e-9) == 1


def test_scan_is_the_textbook_loop():
    rng = np.random.default_rng(1)
    first, proposed = rng.normal(size=4), 2 * rng.normal(size=(60, 4))
    proposed[3, 1] = -np.inf
    streams, source = Rng(8).streams(4), np.empty((4, 60), dtype=np.int64)
    twins = [np.random.SFC64(0) for _ in range(4)]
    for bits, stream in zip(twins, streams, strict=True):
        state = bits.state
        state["state"]["state"] = stream.copy()
        bits.state = state
    accept_scan(first, proposed, streams, source)
    for chain, bits in enumerate(twins):
        u, held, weight = np.random.Generator(bits).random(60), -1, first[chain]
        for step in range(60):
            if u[step] < min(1, math.exp(min(0, proposed[step, chain] - weight))):
                held, weight = step, proposed[step, chain]
            assert source[chain, step] == held


def test_chain_meets_exact_values_and_the_wrong_target_does_not():
    chain = run(
        Independence(distorted(TARGET, seed=3), TARGET),
        300,
        Rng(5),
        observables={"energy": ENERGY, "m": lambda spins: spins.mean(axis=1)},
        n_chains=400,
        warmup=40,
    )
    p, wrong = probabilities(ENERGY, 0.44), probabilities(ENERGY, 1.03 * 0.44)
    assert abs(z_score(chain.series["energy"], p @ ENERGY(STATES))) < LIMIT
    assert abs(z_score(chain.series["m"], p @ STATES.mean(axis=1))) < LIMIT
    assert abs(z_score(chain.series["energy"], wrong @ ENERGY(STATES))) > LIMIT


def test_state_and_info_belong_to_the_configuration_also_after_rejections():
    sampler, rng = distorted(TARGET, seed=3, scale=2.0), Rng(6)
    update = Independence(sampler, TARGET)
    state, spins, info = update.block(update.init(random_start(20, 9, rng)), rng, 50)
    assert 0 < info["accepted"].mean() < 0.9
    flat = spins.reshape(-1, 9)
    np.testing.assert_array_equal(info["log_prob"].ravel(), sampler.log_prob(torch.from_numpy(flat)).numpy())
    np.testing.assert_array_equal(info["log_density"].ravel(), TARGET.log_density(flat))
    np.testing.assert_array_equal(info["log_weight"], info["log_density"] - info["log_prob"])
    taken = info["accepted"]
    np.testing.assert_array_equal(info["log_weight"][taken], info["proposal_log_weight"][taken])
    fresh = update.init(state.spins)
    np.testing.assert_array_equal(state.log_prob, fresh.log_prob)
    np.testing.assert_array_equal(state.log_density, fresh.log_density)
    np.testing.assert_array_equal(state.spins, spins[:, -1])


def test_a_perfect_sampler_is_always_accepted():
    sampler = TableSampler(9, TARGET.log_density(STATES))
    update, rng = Independence(sampler, TARGET), Rng(7)
    state = update.init(sampler.sample(4, rng).spins.numpy())
    _, _, info = update.block(state, rng, 200)
    # log weights differ by rounding, so one in ~10¹⁵ may be rejected
    assert np.all(info["accepted"])


class BrokenSampler(TableSampler):
    def sample(self, n, rng):
        draw = super().sample(n, rng)
        return Draw(draw.spins, torch.full_like(draw.log_prob, torch.nan))


def test_a_weight_that_is_no_number_stops_the_chain():
    update = Independence(BrokenSampler(9, np.zeros(512)), TARGET)
    state = update.init(STATES[:2])
    with pytest.raises(FloatingPointError, match="log_prob = nan"):
        update.step(state, Rng(1))


def test_a_start_that_the_sampler_never_draws_is_refused():
    log_q = np.zeros(512)
    log_q[3] = -np.inf
    update = Independence(TableSampler(9, log_q), TARGET)
    with pytest.raises(FloatingPointError, match="chain 1 has log_prob = -inf"):
        update.init(STATES[[0, 3]])


def test_sampler_and_target_must_have_the_same_size():
    with pytest.raises(ValueError, match="draws 8 spins, but the target has 9"):
        Independence(TableSampler(8, np.zeros(256)), TARGET)

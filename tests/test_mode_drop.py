"""A sampler that has lost half of the states looks perfect to itself; a chain of the target shows the loss."""

import functools
import math

import numpy as np
import pytest
import torch
from fitted import fitted, ordered_start
from statistical import LIMIT

from nmcmc.analysis import importance
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.exact.kaufman import torus
from nmcmc.experiment.modes import mode_numbers
from nmcmc.experiment.summary import draw_numbers, unreliable
from nmcmc.random import Rng
from nmcmc.types import Draw
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import run
from nmcmc.updates.wolff import Wolff

BETA = 0.6
ENERGY = LatticeEnergy(Lattice((8, 8)))
TARGET = Boltzmann(ENERGY, BETA)
LEAK = 1e-9
"""Probability of the lost half: a network's q is small there, not zero."""


class Collapsed:
    """The draws of a sampler with q(s) = q(−s), turned so that m > 0 (or s_0 > 0 where m = 0) but for one in 10⁹."""

    def __init__(self, sampler):
        self.sampler, self.n_spins = sampler, sampler.n_spins

    @property
    def device(self):
        return self.sampler.device

    def sample(self, n, rng):
        draw = self.sampler.sample(n, rng)
        flip = torch.from_numpy(rng.generator.random(n) < LEAK)
        spins = torch.where(self._kept(draw.spins) ^ flip, 1, -1).to(torch.int8)[:, None] * draw.spins
        return Draw(spins, self.log_prob(spins))

    def log_prob(self, spins):
        share = torch.where(self._kept(spins), 1 - LEAK, LEAK).to(torch.float64)
        with torch.no_grad():
            return self.sampler.log_prob(spins) + torch.log(2 * share)

    @staticmethod
    def _kept(spins):
        return 2 * spins.sum(dim=1, dtype=torch.int64) + spins[:, 0] > 0


@functools.cache
def healthy():
    return fitted("hierarchical", ENERGY, BETA)


@functools.cache
def wolff_chain():
    """Return configurations (n_chains, n_draws, 64) of the target, whatever the sampler thinks of them."""
    start = ordered_start(TARGET, 20)
    chain = run(Wolff(TARGET), 1000, Rng(2), observables={"energy": ENERGY}, start=start, warmup=100, thin=1)
    return chain.spins


def log_weights(sampler):
    """Return log weights of draws of the sampler (n,) and of the states of the chain (n_chains, n_draws)."""
    draw = sampler.sample(20_000, Rng(3))
    states = wolff_chain().reshape(-1, 64)
    with torch.no_grad():
        log_prob = sampler.log_prob(torch.from_numpy(states)).numpy()
    of_draws = TARGET.log_density(draw.spins.numpy()) - draw.log_prob.numpy()
    return of_draws, (TARGET.log_density(states) - log_prob).reshape(wolff_chain().shape[:2])


@pytest.fixture(params=[healthy, lambda: Collapsed(healthy())], ids=["healthy", "collapsed"])
def sampler(request, set_threads):
    set_threads(1)
    return request.param()


def lost(sampler):
    return math.log(2) if isinstance(sampler, Collapsed) else 0.0


def test_both_samplers_look_good_by_their_own_draws(sampler):
    of_draws, _ = log_weights(sampler)
    fraction = importance.ess_fraction(of_draws)
    assert fraction.reliable
    assert fraction.value > 0.8


def test_the_certificate_finds_the_lost_half_and_nothing_lost_where_nothing_is(sampler):
    drop = importance.mode_drop(*log_weights(sampler))
    assert drop.reliable, drop.why
    assert abs(drop.deviation(-lost(sampler))) < LIMIT
    assert (abs(drop.deviation(0)) > LIMIT) == isinstance(sampler, Collapsed)


def test_log_z_from_draws_alone_is_too_low_by_what_is_lost(sampler):
    of_draws, _ = log_weights(sampler)
    exact = torus((8, 8), BETA).log_z
    assert abs(importance.log_z(of_draws).deviation(exact - lost(sampler))) < LIMIT


def test_a_chain_of_the_collapsed_sampler_shares_its_blindness():
    sampler = Collapsed(healthy())
    start = sampler.sample(50, Rng(4)).spins.numpy()
    chain = run(
        Independence(sampler, TARGET),
        200,
        Rng(5),
        observables={"m": lambda spins: spins.mean(axis=1)},
        start=start,
    )
    assert np.all(chain.series["m"] >= 0)
    assert chain.stats["accepted"].mean() > 0.8
    of_draws, _ = log_weights(sampler)
    drop = importance.mode_drop(of_draws, chain.stats["log_weight"])
    assert abs(drop.deviation(0)) < LIMIT


def test_chains_from_every_phase_and_the_symmetry_of_m_find_the_lost_half(sampler):
    of_draws, _ = log_weights(sampler)
    draw = sampler.sample(20_000, Rng(3)).spins.numpy()
    drawn = draw_numbers({"energy": ENERGY(draw), "magnetization": draw.mean(axis=1), "log_weight": of_draws}, TARGET)
    chained = mode_numbers(sampler, TARGET, of_draws, Rng(8))
    complaints = [sentence.split(":")[0] for sentence in unreliable({"draws": drawn, "chains": chained})]
    if isinstance(sampler, Collapsed):
        assert drawn["ess_fraction"]["reliable"]
        assert {"draws.share_up", "chains.split_rhat", "chains.mode_drop"} <= set(complaints)
        assert chained["split_rhat"]["value"] > 1.5
    else:
        assert complaints == []
        assert chained["split_rhat"]["value"] < 1.05


def test_the_collapsed_sampler_is_normalised_and_says_what_it_draws():
    energy = LatticeEnergy(Lattice((4, 4)))
    sampler = Collapsed(fitted("hierarchical", energy, 0.44, steps=20))
    probabilities = sampler.log_prob(torch.from_numpy(all_states(16))).exp()
    assert float(probabilities.sum()) == pytest.approx(1, abs=1e-6)
    assert torch.all(sampler.sample(100, Rng(6)).spins.sum(dim=1) >= 0)

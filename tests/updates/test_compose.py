import dataclasses

import numpy as np
import pytest
from doubles import distorted
from statistical import LIMIT, z_score

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.types import State
from nmcmc.updates.compose import Cycle, Mixture
from nmcmc.updates.independence import Independence
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import random_start, run
from nmcmc.updates.wolff import Wolff

ENERGY = LatticeEnergy(Lattice((3, 3)))
TARGET = Boltzmann(ENERGY, 0.44)
SAMPLER = distorted(TARGET, seed=3, scale=1.0)


class StaleCycle:
    """The mistake that Cycle avoids: the neural update keeps the log weight of spins that another update changed."""

    n_spins = 9

    def __init__(self, independence, other):
        self.independence, self.other = independence, other

    def init(self, spins):
        return self.independence.init(spins)

    def step(self, state, rng):
        state, info = self.independence.step(state, rng)
        moved, _ = self.other.step(State(state.spins), rng)
        return dataclasses.replace(state, spins=moved.spins), info


def energy_scores(update, beta=0.44):
    chain = run(update, 200, Rng(4), observables={"energy": ENERGY}, n_chains=400, warmup=20)
    return z_score(chain.series["energy"], probabilities(ENERGY, beta) @ ENERGY(all_states(9)))


@pytest.mark.parametrize(
    "update",
    [
        Cycle([Independence(SAMPLER, TARGET), Metropolis(TARGET)]),
        Mixture([Independence(SAMPLER, TARGET), Wolff(TARGET)], [0.7, 0.3]),
    ],
    ids=["cycle", "mixture"],
)
def test_hybrid_chains_meet_exact_values(update):
    assert abs(energy_scores(update)) < LIMIT
    assert abs(energy_scores(update, 1.03 * 0.44)) > LIMIT


def test_a_stale_log_weight_biases_the_chain():
    assert abs(energy_scores(StaleCycle(Independence(SAMPLER, TARGET), Metropolis(TARGET)))) > LIMIT


def test_a_cycle_is_its_updates_in_turn_and_merges_their_infos():
    first, second, third = Metropolis(TARGET), Wolff(TARGET), Metropolis(TARGET, sweeps=2)
    cycle, rng, twin = Cycle([first, second, third]), Rng(1), Rng(1)
    state = cycle.init(random_start(4, 9, rng))
    by_hand = State(random_start(4, 9, twin))
    after, info = cycle.step(state, rng)
    by_hand, a = first.step(by_hand, twin)
    by_hand, b = second.step(by_hand, twin)
    by_hand, c = third.step(by_hand, twin)
    np.testing.assert_array_equal(after.spins, by_hand.spins)
    assert info.keys() == {"metropolis0_flip_fraction", "cluster_size", "metropolis2_flip_fraction"}
    np.testing.assert_array_equal(info["metropolis0_flip_fraction"], a["flip_fraction"])
    np.testing.assert_array_equal(info["cluster_size"], b["cluster_size"])
    np.testing.assert_array_equal(info["metropolis2_flip_fraction"], c["flip_fraction"])


def test_a_mixture_chooses_for_all_chains_together_with_its_probabilities():
    mixture, rng = Mixture([Wolff(TARGET), Metropolis(TARGET)], [0.25, 0.75]), Rng(2)
    state, choices = mixture.init(random_start(3, 9, rng)), []
    for _ in range(2000):
        before = state.spins
        state, info = mixture.step(state, rng)
        assert len(set(info["choice"].tolist())) == 1
        np.testing.assert_array_equal(info["moved"], np.any(before != state.spins, axis=1))
        choices.append(info["choice"][0])
    assert abs(np.mean(choices) - 0.75) < LIMIT * np.sqrt(0.25 * 0.75 / 2000)


@pytest.mark.parametrize("probabilities", [[0.5], [0.5, 0.6], [1.0, 0.0], [-0.5, 1.5]])
def test_mixture_probabilities_must_be_probabilities(probabilities):
    with pytest.raises(ValueError, match="probabilities"):
        Mixture([Wolff(TARGET), Metropolis(TARGET)], probabilities)


def test_updates_must_be_of_one_system():
    with pytest.raises(ValueError, match="all of the same system"):
        Cycle([])
    other = Boltzmann(LatticeEnergy(Lattice((3, 4))), 0.44)
    with pytest.raises(ValueError, match=r"\[9, 12\] spins"):
        Cycle([Wolff(TARGET), Wolff(other)])

"""What every update must do: keep its input, repeat itself, and not depend on blocks or threads."""

import numpy as np
import pytest
import torch
from doubles import distorted

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.updates.checkerboard import CheckerboardMetropolis
from nmcmc.updates.compose import Cycle, Mixture
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.independence import Independence
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import random_start, run
from nmcmc.updates.swendsen_wang import SwendsenWang
from nmcmc.updates.wolff import Wolff

TARGET = Boltzmann(LatticeEnergy(Lattice((3, 4))), 0.44)
GLASS = Boltzmann(LatticeEnergy(Lattice((3, 4)), np.random.default_rng(1).normal(size=24)), 0.44)
UPDATES = {
    "metropolis": Metropolis(TARGET),
    "checkerboard": HeatBath(Boltzmann(LatticeEnergy(Lattice((4, 3), "open")), 0.44), scan="checkerboard", sweeps=2),
    "wolff": Wolff(TARGET, clusters=2),
    "wolff of any couplings": Wolff(GLASS),
    "swendsen_wang": SwendsenWang(TARGET),
    "swendsen_wang of any couplings": SwendsenWang(GLASS),
    "multi-spin checkerboard": CheckerboardMetropolis(Boltzmann(LatticeEnergy(Lattice((4, 64))), 0.44), sweeps=2),
    "independence": Independence(distorted(TARGET, seed=1), TARGET),
    "cycle": Cycle([Independence(distorted(TARGET, seed=1), TARGET), Metropolis(TARGET), Wolff(TARGET)]),
    "mixture": Mixture([Independence(distorted(TARGET, seed=1), TARGET), Wolff(TARGET)], [0.6, 0.4]),
}
WITH_BLOCK = [name for name, update in UPDATES.items() if hasattr(update, "block")]
every_update = pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)


def magnetization(spins):
    return spins.mean(axis=1)


def begin(update, n_chains=5):
    rng = Rng(9)
    return update.init(random_start(n_chains, update.n_spins, rng)), rng


def arrays(state):
    return {name: value.copy() for name, value in vars(state).items()}


@pytest.mark.parametrize("name", WITH_BLOCK)
def test_a_block_is_that_many_steps_bit_for_bit(name):
    update = UPDATES[name]
    (together, rng), (single, single_rng) = begin(update), begin(update)
    together, spins, infos = update.block(together, rng, 30)
    for step in range(30):
        single, info = update.step(single, single_rng)
        np.testing.assert_array_equal(spins[:, step], single.spins)
        assert info.keys() == infos.keys()
        for key, values in info.items():
            np.testing.assert_array_equal(infos[key][:, step], values)
    for field, value in arrays(single).items():
        np.testing.assert_array_equal(getattr(together, field), value)
    assert rng.state() == single_rng.state()


@pytest.mark.parametrize("name", WITH_BLOCK)
@pytest.mark.parametrize("n", [0, -1])
def test_a_block_without_steps_is_refused(name, n):
    state, rng = begin(UPDATES[name])
    with pytest.raises(ValueError, match=f"n is {n}; give a whole number ≥ 1"):
        UPDATES[name].block(state, rng, n)


@every_update
def test_a_step_keeps_its_input_and_gives_one_value_per_chain(update):
    state, rng = begin(update)
    before = arrays(state)
    after, info = update.step(state, rng)
    for field, value in before.items():
        np.testing.assert_array_equal(getattr(state, field), value)
    assert after.spins.dtype == np.int8
    assert set(np.unique(after.spins)) <= {-1, 1}
    assert all(values.shape == (5,) for values in info.values())


@every_update
def test_same_chain_for_any_number_of_threads(update):
    threads = torch.get_num_threads()
    chains = []
    for n in (1, 3):
        torch.set_num_threads(n)
        chains.append(run(update, 20, Rng(2), observables={"m": magnetization}, n_chains=7, thin=1))
    torch.set_num_threads(threads)
    np.testing.assert_array_equal(chains[0].spins, chains[1].spins)
    for name, values in chains[0].stats.items():
        np.testing.assert_array_equal(values, chains[1].stats[name])


@every_update
def test_a_seed_is_a_chain_and_another_seed_another(update):
    runs = [run(update, 20, Rng(s), observables={"m": magnetization}, n_chains=3, thin=1) for s in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0].spins, runs[1].spins)
    assert np.any(runs[0].spins != runs[2].spins)


@pytest.mark.parametrize("name", ["metropolis", "wolff", "swendsen_wang", "multi-spin checkerboard"])
def test_a_chain_does_not_depend_on_its_neighbours(name):
    update, start = UPDATES[name], random_start(6, UPDATES[name].n_spins, Rng(5))
    _, many, _ = update.block(update.init(start), Rng(6), 10)
    _, few, _ = update.block(update.init(start[:2]), Rng(6), 10)
    np.testing.assert_array_equal(many[:2], few)

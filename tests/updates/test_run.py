import logging

import numpy as np
import pytest
from doubles import TableSampler, distorted

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.random import Rng
from nmcmc.updates import run as module
from nmcmc.updates.compose import Cycle
from nmcmc.updates.independence import Independence
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import concatenate, random_start, run, segments
from nmcmc.updates.wolff import Wolff

ENERGY = LatticeEnergy(Lattice((3, 3)))
TARGET = Boltzmann(ENERGY, 0.44)
OBSERVABLES = {"energy": ENERGY, "m": lambda spins: spins.mean(axis=1)}
UPDATES = {
    "wolff": Wolff(TARGET),
    "independence": Independence(distorted(TARGET, seed=2), TARGET),
    "cycle": Cycle([Independence(distorted(TARGET, seed=2), TARGET), Metropolis(TARGET)]),
}


def same(a, b):
    assert a.series.keys() == b.series.keys()
    assert a.stats.keys() == b.stats.keys()
    for name in a.series:
        np.testing.assert_array_equal(a.series[name], b.series[name])
    for name in a.stats:
        np.testing.assert_array_equal(a.stats[name], b.stats[name])
    np.testing.assert_array_equal(a.spins, b.spins)
    assert a.thin == b.thin


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_segments_and_blocks_do_not_change_the_chain(update, monkeypatch):
    def pieces(segment_draws, block_spins):
        monkeypatch.setattr(module, "BLOCK_SPINS", block_spins)
        rng = Rng(1)
        state = update.init(random_start(4, 9, rng))
        return concatenate([c for c, _ in segments(update, state, 50, rng, OBSERVABLES, segment_draws, thin=3)])

    whole = pieces(50, 2**22)
    assert (whole.n_chains, whole.n_draws, whole.spins.shape) == (4, 50, (4, 16, 9))
    for segment_draws, block_spins in ((7, 2**22), (50, 9 * 4 * 8), (11, 1), (1, 2**22)):
        same(pieces(segment_draws, block_spins), whole)


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_a_segment_can_be_continued_from_its_state(update):
    rng, twin = Rng(1), Rng(1)
    start = random_start(4, 9, rng)
    random_start(4, 9, twin)
    whole = concatenate([c for c, _ in segments(update, update.init(start), 40, rng, OBSERVABLES, 40, thin=5)])
    first, state = next(segments(update, update.init(start), 40, twin, OBSERVABLES, 15, thin=5))
    rest = [c for c, _ in segments(update, state, 25, Rng.restore(twin.state()), OBSERVABLES, 25, thin=5)]
    same(concatenate([first, *rest]), whole)


def test_run_is_warmup_and_then_the_draws():
    whole = run(Wolff(TARGET), 30, Rng(3), observables=OBSERVABLES, n_chains=5, thin=1)
    late = run(Wolff(TARGET), 20, Rng(3), observables=OBSERVABLES, n_chains=5, thin=1, warmup=10)
    np.testing.assert_array_equal(whole.spins[:, 10:], late.spins)
    np.testing.assert_array_equal(whole.series["energy"][:, 10:], late.series["energy"])
    np.testing.assert_array_equal(whole.series["energy"], ENERGY(whole.spins.reshape(-1, 9)).reshape(5, 30))


def test_every_thin_th_configuration_is_kept():
    whole = run(Wolff(TARGET), 30, Rng(3), observables=OBSERVABLES, thin=1)
    np.testing.assert_array_equal(
        run(Wolff(TARGET), 30, Rng(3), observables=OBSERVABLES, thin=7).spins, whole.spins[:, [6, 13, 20, 27]]
    )
    assert run(Wolff(TARGET), 30, Rng(3), observables=OBSERVABLES).spins is None


def test_a_run_starts_where_it_is_told():
    cold = np.ones((3, 9), dtype=np.int8)
    chain = run(Wolff(Boltzmann(ENERGY, 50.0)), 4, Rng(1), observables=OBSERVABLES, start=cold)
    np.testing.assert_array_equal(chain.series["m"], [[-1, 1, -1, 1]] * 3)


def test_progress_counts_the_recorded_draws(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_SPINS", 9 * 10)
    calls = []
    run(Wolff(TARGET), 35, Rng(1), observables=OBSERVABLES, warmup=12, progress=calls.append)
    assert calls == [10, 10, 10, 5]


def test_a_stuck_chain_is_loud(caplog):
    log_q = np.zeros(512)
    log_q[511] = -60.0
    update = Independence(TableSampler(9, log_q), TARGET)
    start = all_states(9)[[511, 0b010101010]]
    with caplog.at_level(logging.WARNING, logger="nmcmc"):
        run(update, 50, Rng(1), observables=OBSERVABLES, start=start)
    assert "STUCK: 1 of 2 chains (first: 0) have accepted = 0 in all 50 draws" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="nmcmc"):
        run(Metropolis(TARGET), 50, Rng(1), observables=OBSERVABLES, start=start)
    assert not caplog.records


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_draws": 0}, "n_draws is 0"),
        ({"n_chains": 0}, "n_chains is 0"),
        ({"warmup": -1}, "warmup is -1"),
        ({"thin": -2}, "thin is -2"),
        ({"observables": {}}, "observables are empty"),
        ({"start": np.ones((2, 9), dtype=np.int8), "n_chains": 3}, "2 configurations for 3 chains"),
        ({"observables": {"s": lambda spins: spins}}, "observable 's' gave shape"),
    ],
)
def test_bad_numbers_say_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        run(Wolff(TARGET), **{"n_draws": 5, "rng": Rng(1), "observables": OBSERVABLES} | arguments)


def test_bad_segments_are_refused_before_the_first():
    state = Wolff(TARGET).init(random_start(1, 9, Rng(1)))
    with pytest.raises(ValueError, match="segment_draws is 0"):
        segments(Wolff(TARGET), state, 5, Rng(1), OBSERVABLES, 0)
    with pytest.raises(ValueError, match="at least one"):
        concatenate([])


def test_random_starts_are_fair_signs():
    spins = random_start(1000, 50, Rng(1))
    assert spins.dtype == np.int8
    assert set(np.unique(spins)) == {-1, 1}
    assert abs(spins.mean()) < 5 / np.sqrt(spins.size)

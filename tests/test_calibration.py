"""Errors of the Γ-method on real chains against the spread between chains, which needs no autocorrelation time."""

import math

import numpy as np
import pytest
from fitted import fitted, ordered_start
from statistical import LIMIT

from nmcmc.analysis.observables import derive, measurements
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.updates.compose import Cycle
from nmcmc.updates.independence import Independence
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import run
from nmcmc.updates.wolff import Wolff

BETA, EXTENTS, N_CHAINS, N_DRAWS = 0.44, (8, 8), 100, 2000
TARGET = Boltzmann(LatticeEnergy(Lattice(EXTENTS)), BETA)
UPDATES = {
    "wolff": lambda: Wolff(TARGET),
    "metropolis": lambda: Metropolis(TARGET, sweeps=3),
    # few steps of fitting: an acceptance that leaves some autocorrelation
    "neural": lambda: Independence(fitted("hierarchical", TARGET.energy, BETA, steps=20), TARGET),
    "cycle": lambda: Cycle([Wolff(TARGET), Metropolis(TARGET)]),
}


def recorded(kind):
    chain = run(
        UPDATES[kind](),
        N_DRAWS,
        Rng(1).child(kind),
        observables=measurements(TARGET.energy, EXTENTS),
        start=ordered_start(TARGET, N_CHAINS),
        warmup=300,
    )
    return chain.series


def spread(values):
    """Return the error of the mean over chains from their spread, and its own relative error for normal values."""
    return values.std(ddof=1) / math.sqrt(len(values)), 1 / math.sqrt(2 * (len(values) - 1))


def by_chain(series):
    """Return every derived quantity of each chain on its own, name → (n_chains,)."""
    alone = [
        derive({name: values[c : c + 1] for name, values in series.items()}, TARGET.n_spins, BETA, EXTENTS)
        for c in range(N_CHAINS)
    ]
    return {name: np.array([estimates[name].value for estimates in alone]) for name in alone[0]}


@pytest.mark.slow
@pytest.mark.parametrize("kind", UPDATES)
def test_errors_are_calibrated_and_those_of_independent_draws_are_not(kind, set_threads):
    set_threads(1)
    series = recorded(kind)
    chains, scores, naive = by_chain(series), {}, {}
    for name, estimate in derive(series, TARGET.n_spins, BETA, EXTENTS).items():
        error, relative = spread(chains[name])
        width = math.hypot(relative, 0.5 * estimate.tau_int_error / estimate.tau_int)  # error ∝ √τ_int
        scores[name] = math.log(estimate.error / error) / width
        naive[name] = math.log(estimate.error / math.sqrt(2 * estimate.tau_int) / error) / width
    assert max(map(abs, scores.values())) < LIMIT, scores
    assert naive["energy_per_spin"] < -LIMIT

"""Every kind of chain against exact values: 4×4 to 32×32, hot, critical and cold, with and without a field.

Errors come from the spread between 512 independent chains, 64 on lattices from 16×16 on, where 5 σ are exceeded by
chance once in 2·10⁵ (Student's t) instead of 2·10⁶ times. Each case is also held against the exact energy at
1.03 β, and must be found wrong: 3 % of β are worth about 0.03 √(N C n) standard errors, C the specific heat, n
independent draws, which is how the lengths of the chains are chosen. In the short test whole chains run at 1.03 β.

Warm-up. Chains of local and cluster updates start from the ordered states. From there the energy needs some ten sweeps
off the critical point and about 500 at 32×32, β = 0.44 (measured: bias below 0.05 standard deviations of one
configuration), so N sweeps are made there and 100 elsewhere; cluster updates lose memory in tens of steps and make 200.
From random configurations a cold lattice falls into stripes, which live for thousands of sweeps. The sign of the
magnetisation, which local updates hardly change at β = 0.6, does not matter for the even quantities tested. In a field
the two signs start in the proportion of their weights, and lattices small enough to change it make 1000 sweeps.
Neural chains, up to 8×8 for MADE and 32×32 for the hierarchical sampler, start from draws of their sampler, which was
fitted for a second or a few.
"""

import functools
import math

import pytest
from fitted import fitted, ordered_start
from statistical import LIMIT, z_score

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.known import exact_values
from nmcmc.random import Rng
from nmcmc.updates.compose import Cycle, Mixture
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.independence import Independence
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import run
from nmcmc.updates.swendsen_wang import SwendsenWang
from nmcmc.updates.wolff import Wolff

MIXED = ("periodic", "open")
WITHOUT_FIELD = {
    "4x4": LatticeEnergy(Lattice((4, 4))),
    "6x4 mixed": LatticeEnergy(Lattice((6, 4), MIXED)),
    "8x8": LatticeEnergy(Lattice((8, 8))),
    "16x16": LatticeEnergy(Lattice((16, 16))),
    "32x32": LatticeEnergy(Lattice((32, 32))),
}
IN_FIELD = {
    "4x4 in a field": LatticeEnergy(Lattice((4, 4)), field=0.1),
    "6x4 mixed in a field": LatticeEnergy(Lattice((6, 4), MIXED), field=0.1),
    "8x8 in a field": LatticeEnergy(Lattice((8, 8)), field=0.1),
    "16x16 cylinder in a field": LatticeEnergy(Lattice((16, 16), MIXED), field=0.1),
}
SYSTEMS = WITHOUT_FIELD | IN_FIELD
BETAS = [0.2, 0.44, 0.6]
SWEEPS = 5
"""Sweeps per draw of the local updates."""


@pytest.fixture(autouse=True)
def _one_thread(set_threads):
    """Batches are small: a second thread costs more than it brings."""
    set_threads(1)


@functools.cache
def exact(name, beta):
    return exact_values(SYSTEMS[name], beta)


@functools.cache
def proposals(kind, name, beta):
    return fitted(kind, SYSTEMS[name], beta)


def n_clusters(target):
    """Clusters of about as many spins in all as there are: they are large at and below the critical temperature."""
    return max(2, target.n_spins // 3) if target.beta < 0.3 else 4


CHAINS = {
    "wolff": lambda target, sampler: Wolff(target, clusters=n_clusters(target)),
    "swendsen-wang": lambda target, sampler: SwendsenWang(target),
    "metropolis": lambda target, sampler: Metropolis(target, sweeps=SWEEPS),
    "metropolis checkerboard": lambda target, sampler: Metropolis(target, "checkerboard", sweeps=SWEEPS),
    "heat bath": lambda target, sampler: HeatBath(target, sweeps=SWEEPS),
    "hierarchical": lambda target, sampler: Independence(sampler, target),
    "made": lambda target, sampler: Independence(sampler, target),
    "cycle": lambda target, sampler: Cycle([Independence(sampler, target), Metropolis(target)]),
    "mixture": lambda target, sampler: Mixture([Independence(sampler, target), Wolff(target, clusters=2)], [0.5, 0.5]),
}
SAMPLERS = {"hierarchical": "hierarchical", "made": "made", "cycle": "hierarchical", "mixture": "made"}
LOCAL = {"metropolis", "metropolis checkerboard", "heat bath"}
SMALL = [name for name in SYSTEMS if SYSTEMS[name].n_spins <= 64]
LATTICES = {
    "wolff": WITHOUT_FIELD,
    "swendsen-wang": WITHOUT_FIELD,
    "metropolis": SYSTEMS,
    "metropolis checkerboard": SYSTEMS,
    "heat bath": SYSTEMS,
    "hierarchical": [*SMALL, "16x16", "32x32"],
    "made": SMALL,
    "cycle": [*SMALL, "16x16", "32x32"],
    "mixture": [name for name in SMALL if name in WITHOUT_FIELD],
}
GRID = [(kind, name, beta) for kind in CHAINS for name in LATTICES[kind] for beta in BETAS]


def scores(kind, name, beta, target_beta, references):
    """Return z of all that is exactly known at the first reference β, and z of the energy at every reference β."""
    energy = SYSTEMS[name]
    target, n_chains = Boltzmann(energy, target_beta), 512 if energy.n_spins < 100 else 64
    sampler = proposals(SAMPLERS[kind], name, beta) if kind in SAMPLERS else None
    rng = Rng(1).child(kind, name, str(target_beta))
    start = sampler.sample(n_chains, rng).spins.numpy() if sampler else ordered_start(target, n_chains)
    known = [exact(name, reference) for reference in references]
    n = energy.n_spins
    mean, factor = known[0]["energy_per_spin"], beta**2 * n
    observables = {
        "energy_per_spin": lambda spins: energy(spins) / n,
        # about the exact mean, so that it is a plain mean itself
        "specific_heat": lambda spins: factor * (energy(spins) / n - mean) ** 2,
        "m2": lambda spins: spins.mean(axis=1) ** 2,
        "abs_magnetization": lambda spins: abs(spins.mean(axis=1)),
    }
    length = draws(known[0]["specific_heat"] * n, n_chains, kind, beta, energy)
    chain = run(
        CHAINS[kind](target, sampler),
        length,
        rng,
        observables={quantity: observables[quantity] for quantity in observables if quantity in known[0]},
        start=start,
        warmup=warmup(kind, n, beta),
    )
    right = {quantity: z_score(series, known[0][quantity]) for quantity, series in chain.series.items()}
    return right, [z_score(chain.series["energy_per_spin"], values["energy_per_spin"]) for values in known]


def draws(heat_capacity, n_chains, kind, beta, energy):
    """Return how many draws of each chain make 3 % of β ten standard errors, if so many of them are worth one."""
    if kind in LOCAL:
        # A small cold lattice in a field: visits to the other sign are rare, and each changes the energy a lot.
        rare = beta == 0.6 and energy.has_field and energy.n_spins <= 24
        worth = 40 if rare else 2 if beta == 0.2 else 4
    else:
        worth = {"wolff": 2, "swendsen-wang": 6, "made": 4, "mixture": 6}.get(kind, 2)
    return max(60, math.ceil(worth * (10 / 0.03) ** 2 / heat_capacity / n_chains))


def warmup(kind, n_spins, beta):
    if kind not in LOCAL:
        return 200
    if n_spins <= 24:
        return 1000 // SWEEPS
    return max(100, n_spins if beta == 0.44 else 0) // SWEEPS


@pytest.mark.parametrize("kind", CHAINS)
def test_a_chain_is_unbiased_and_that_of_a_wrong_target_is_not(kind):
    name, beta = "8x8" if kind in ("wolff", "swendsen-wang", "mixture") else "4x4 in a field", 0.44
    right, _ = scores(kind, name, beta, beta, [beta])
    assert max(map(abs, right.values())) < LIMIT, right
    _, (wrong,) = scores(kind, name, beta, 1.03 * beta, [beta])
    assert abs(wrong) > LIMIT


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name", "beta"), GRID)
def test_the_whole_grid(kind, name, beta):
    right, (_, wrong) = scores(kind, name, beta, beta, [beta, 1.03 * beta])
    assert max(map(abs, right.values())) < LIMIT, right
    assert abs(wrong) > LIMIT

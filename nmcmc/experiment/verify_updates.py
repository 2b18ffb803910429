"""Self-test of the updates: chains that start exactly in the target must stay there; hand-over; exact references."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact import enumeration, kaufman, transfer_matrix
from nmcmc.exact.known import exact_values
from nmcmc.experiment.checks import Check, Checks, exact, of_chains
from nmcmc.experiment.verify_samplers import BETA, FIELD, KINDS, log_prob, small_sampler
from nmcmc.random import Rng
from nmcmc.types import Floats, Spins
from nmcmc.updates.checkerboard import CheckerboardMetropolis
from nmcmc.updates.compose import Cycle, Mixture
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.independence import Independence
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import run
from nmcmc.updates.swendsen_wang import SwendsenWang
from nmcmc.updates.wolff import Wolff

N_CHAINS, N_DRAWS = 512, 400
"""Enough to see 0.3 % of β in the energy of 4×4 spins."""
N_LARGE = 500
"""Draws of each of 128 chains on larger lattices."""
PLAIN = LatticeEnergy(Lattice((4, 4)))
IN_FIELD = LatticeEnergy(Lattice((4, 4)), field=FIELD)
FRUSTRATED = PairwiseEnergy(16, PLAIN.lattice.edges, [1.0, -0.7] * 16)
"""The same bonds with couplings of both signs, which take the general loops of the cluster updates."""


@dataclass(frozen=True)
class _Case:
    """An update, made for its target and the neural samplers, on a system of 16 spins."""

    energy: PairwiseEnergy
    make: Callable[[Boltzmann, Mapping[str, Any]], Any]


CASES: dict[str, _Case] = {
    "Metropolis": _Case(IN_FIELD, lambda target, q: Metropolis(target, sweeps=2)),
    "Metropolis, checkerboard": _Case(IN_FIELD, lambda target, q: Metropolis(target, "checkerboard", sweeps=2)),
    "HeatBath": _Case(IN_FIELD, lambda target, q: HeatBath(target, sweeps=2)),
    "Wolff": _Case(PLAIN, lambda target, q: Wolff(target, clusters=3)),
    "Wolff, couplings of both signs": _Case(FRUSTRATED, lambda target, q: Wolff(target, clusters=3)),
    "SwendsenWang": _Case(PLAIN, lambda target, q: SwendsenWang(target)),
    "SwendsenWang, couplings of both signs": _Case(FRUSTRATED, lambda target, q: SwendsenWang(target)),
    "Independence, hierarchical": _Case(IN_FIELD, lambda target, q: Independence(q["hierarchical"], target)),
    "Independence, made": _Case(IN_FIELD, lambda target, q: Independence(q["made"], target)),
    "Cycle, neural and local": _Case(
        IN_FIELD, lambda target, q: Cycle([Independence(q["hierarchical"], target), Metropolis(target)])
    ),
    "Mixture, neural and local": _Case(
        IN_FIELD, lambda target, q: Mixture([Independence(q["made"], target), HeatBath(target)], [0.5, 0.5])
    ),
}


TORUS, CYLINDER = Lattice((16, 16)), Lattice((20, 6), ("periodic", "open"))
LARGE: dict[str, tuple[LatticeEnergy, float, Callable[[Boltzmann], Any], int]] = {
    "CheckerboardMetropolis, 16x16": (LatticeEnergy(TORUS), 0.35, lambda t: CheckerboardMetropolis(t, sweeps=4), 200),
    "Wolff, 16x16": (LatticeEnergy(TORUS), BETA_CRITICAL, lambda t: Wolff(t, clusters=4), 100),
    "SwendsenWang, 16x16": (LatticeEnergy(TORUS, (1.0, 0.6)), 0.5, SwendsenWang, 100),
    "HeatBath, cylinder 20x6 in a field": (LatticeEnergy(CYLINDER, field=FIELD), BETA, HeatBath, 500),
}


def update_checks(rng: Rng, device: str) -> Checks:
    """Yield the checks of every update on 4×4 spins by enumeration, and of compiled ones on larger lattices."""
    samplers = {kind: small_sampler(kind, IN_FIELD, BETA, rng.child("q", kind), device) for kind in KINDS}
    for name, case in CASES.items():
        target = Boltzmann(case.energy, BETA)
        yield from _stationary(name, case.make(target, samplers), target, rng.child(name))
    for kind in KINDS:
        yield _carried_weight(kind, samplers[kind], rng.child("carried", kind))
    yield from _large(rng.child("large"))


def exact_draws(energy: PairwiseEnergy, beta: float, n: int, rng: Rng) -> Spins:
    """Return n independent draws of a Boltzmann distribution of at most 20 spins, from the table of all states."""
    p = enumeration.probabilities(energy, beta)
    return enumeration.all_states(energy.n_spins)[rng.generator.choice(len(p), n, p=p)]


def _stationary(name: str, update: Any, target: Boltzmann, rng: Rng) -> Checks:
    """Compare ⟨H⟩/N, its variance, ⟨m²⟩ and ⟨|m|⟩ with enumeration; the start is exact, so no warm-up hides a drift."""
    energy: Any = target.energy
    known = enumeration.enumerate_system(energy, target.beta)
    mean = known.energy
    observables: dict[str, Callable[[Spins], Floats]] = {
        "E/N": lambda s: energy(s) / energy.n_spins,
        "var E": lambda s: (energy(s) - mean) ** 2,
        "m2": lambda s: energy.magnetization(s) ** 2,
        "|m|": lambda s: np.abs(energy.magnetization(s)),
    }
    start = exact_draws(energy, target.beta, N_CHAINS, rng.child("start"))
    chain = run(update, N_DRAWS, rng, observables=observables, start=start)
    values = known.energy_per_spin, known.energy_variance, known.m2, known.abs_magnetization
    for (quantity, series), value in zip(chain.series.items(), values, strict=True):
        yield of_chains(f"{name}: {quantity}", series, value)


def _large(rng: Rng) -> Checks:
    """Chains on tori by Kaufman's formula, and on a cylinder in a field by the transfer matrix."""
    for name, (energy, beta, make, warmup) in LARGE.items():
        target, chain_rng = Boltzmann(energy, beta), rng.child(name)
        start = -np.ones((128, energy.n_spins), dtype=np.int8)
        if not energy.has_field:  # both signs alike
            start[::2] = 1
        known = exact_values(energy, beta)
        observables: dict[str, Callable[[Spins], Floats]] = {
            "E/N": partial(_per_spin, energy),
            "c": partial(_specific_heat, energy, beta, known["energy_per_spin"]),
        }
        chain = run(make(target), N_LARGE, chain_rng, observables=observables, start=start, warmup=warmup)
        yield of_chains(f"{name}: E/N", chain.series["E/N"], known["energy_per_spin"])
        yield of_chains(f"{name}: c", chain.series["c"], known["specific_heat"])


def _per_spin(energy: LatticeEnergy, spins: Spins) -> Floats:
    return energy(spins) / energy.n_spins


def _specific_heat(energy: LatticeEnergy, beta: float, mean: float, spins: Spins) -> Floats:
    return beta**2 * energy.n_spins * (energy(spins) / energy.n_spins - mean) ** 2


def _carried_weight(kind: str, sampler: Any, rng: Rng) -> Check:
    """The log weight that an independence chain carries is that of its spins, also after another update's steps."""
    target = Boltzmann(IN_FIELD, BETA)
    neural, local = Independence(sampler, target), Metropolis(target)
    state: Any = neural.init(exact_draws(IN_FIELD, BETA, 64, rng.child("start")))
    for step in range(10):
        state, _ = neural.step(neural.init(local.step(local.init(state.spins), rng.child(step))[0].spins), rng)
    import torch

    expected = target.log_density(state.spins) - log_prob(sampler, torch.from_numpy(state.spins))
    return exact(f"hand-over, {kind}: log weight carried", np.abs(state.log_weight - expected).max(), 0.0, 1e-5)


def reference_checks() -> Checks:
    """Yield the checks of the exact references against each other, and of log Z at infinite temperature."""
    cylinder = LatticeEnergy(Lattice((6, 3), ("periodic", "open")), coupling=(1.0, 0.5), field=FIELD)
    listed, swept = enumeration.enumerate_system(cylinder, BETA), transfer_matrix.strip(cylinder, BETA)
    for name in ("log_z", "energy", "energy_variance", "m2"):
        yield exact(f"transfer matrix, 6x3: {name}", getattr(swept, name), getattr(listed, name), 1e-9)
    torus = LatticeEnergy(Lattice((8, 5)))
    swept, formula = transfer_matrix.strip(torus, BETA), kaufman.torus((8, 5), BETA)
    for name in ("log_z", "energy", "energy_variance"):
        yield exact(f"Kaufman, 8x5: {name}", getattr(formula, name), getattr(swept, name), 1e-9)
    density = -BETA * cylinder(enumeration.all_states(cylinder.n_spins))
    yield exact("enumeration, 6x3: log_z", listed.log_z, float(np.logaddexp.reduce(density)), 1e-9)
    yield exact("Kaufman, 64x64: log_z at beta = 0", kaufman.torus((64, 64), 0.0).log_z, 4096 * math.log(2), 1e-9)

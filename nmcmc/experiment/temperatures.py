"""Chains of a target at temperatures from β = 0 on, by the update that equilibrates it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.experiment.build import pairwise_energy
from nmcmc.experiment.configurations import unfrustrated
from nmcmc.random import Rng
from nmcmc.types import Floats, Spins
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.parallel_tempering import ParallelTempering
from nmcmc.updates.run import random_start, run, segments, warm_up
from nmcmc.updates.swendsen_wang import SwendsenWang

N_CHAINS, WARMUP, SHORTEST = 8, 200, 500
APART = 10
"""Updates from one state to the next where states are what is wanted, not series."""
_SEGMENT = 100
Watched = Mapping[str, Callable[[Spins], Floats]]
"""Name → function of spins (batch, n_spins) that returns (batch,)."""


@dataclass(frozen=True)
class Temperatures:
    """Chains at several β.

    Attributes
    ----------
    energies : H at each β, (n,) independent ones at β = 0, else (N_CHAINS, n_draws).
    sources : a name for each. Chains that exchange configurations are one source of noise and have one name.
    moves : source → a number of the configuration at the largest β of that source, (N_CHAINS, n_draws), which is the
        same in two successive draws only if no spin has moved.
    """

    energies: list[Floats]
    sources: list[str]
    moves: Mapping[str, Floats]


def clusters_serve(energy: PairwiseEnergy) -> bool:
    """Return whether Swendsen–Wang mixes: no field and no frustration.

    With frustration clusters percolate far above the temperatures where the system orders.
    """
    return not energy.has_field and unfrustrated(energy)


def update_at(target: Boltzmann) -> Callable[[float], Any]:
    """Return β → the update of one temperature: Swendsen–Wang where it mixes, or two sweeps of the heat bath."""
    if clusters_serve(pairwise_energy(target)):
        return lambda beta: SwendsenWang(target.at(beta))
    return lambda beta: HeatBath(target.at(beta), sweeps=2)


def chains_along(
    target: Boltzmann, betas: Floats, n_samples: int, rng: Rng, advance: Callable[[], Any]
) -> Temperatures:
    """Return H at the β, the first of which is 0, from clusters one β after the other, or from parallel tempering."""
    energy, panels = pairwise_energy(target), len(betas) - 1
    n_draws = max(SHORTEST, n_samples // (panels * N_CHAINS))
    hot = energy(random_start(n_draws * N_CHAINS, energy.n_spins, rng.child("hot")))
    if not clusters_serve(energy):
        watched: Watched = {"energy": energy, "spins": fingerprint(energy.n_spins)}
        series = _tempered(energy, betas[1:], _tempering_draws(n_samples), rng.child("ladders"), watched, advance)
        colder = [series["energy"][:, k] for k in range(panels)]
        return Temperatures([hot, *colder], ["beta = 0"] + ["ladders"] * panels, {"ladders": series["spins"][:, -1]})
    spins, energies, moves = random_start(N_CHAINS, energy.n_spins, rng.child("start")), [hot], {}
    names = [f"beta = {beta:.6g}" for beta in betas]
    for k, beta in enumerate(betas[1:], 1):
        length = max(n_draws, n_samples // N_CHAINS) if k == panels else n_draws
        found, spins = _chain(SwendsenWang(target.at(beta)), energy, length, spins, rng.child("beta", k))
        energies.append(found["energy"])
        moves[names[k]] = found["spins"]
        advance()
    return Temperatures(energies, names, moves)


def chain_at(
    target: Boltzmann, betas: Floats, n_samples: int, rng: Rng, observables: Watched
) -> tuple[Mapping[str, Floats], Floats]:
    """Return observables of chains at the last β, (N_CHAINS, n_draws), and what changes when a spin moves."""
    energy = pairwise_energy(target)
    watched = {**observables, "spins": fingerprint(energy.n_spins)}
    if clusters_serve(energy):
        series = run(
            SwendsenWang(target),
            max(SHORTEST, n_samples // N_CHAINS),
            rng.child("chain"),
            observables=watched,
            start=random_start(N_CHAINS, energy.n_spins, rng.child("chain start")),
            warmup=5 * WARMUP,
        ).series
        return series, series["spins"]
    cold = _tempered(energy, betas[1:], _tempering_draws(n_samples), rng, watched, lambda: None, last=True)
    series = {name: values[:, -1] for name, values in cold.items()}
    return series, series["spins"]


def states_at(target: Boltzmann, betas: Floats, n_samples: int, rng: Rng) -> Spins:
    """Return states of the last β far apart in their chains, int8 (N_CHAINS, n_samples // N_CHAINS, n_spins)."""
    energy, update, rungs = pairwise_energy(target), _mixing(target, betas), len(betas) - 1
    if clusters_serve(energy):
        rungs = 1
    start = random_start(N_CHAINS * rungs, energy.n_spins, rng.child("start"))
    state = warm_up(update, update.init(start), 5 * WARMUP, rng.child("warmup"))
    pieces, stream = [], rng.child("draws")
    for _ in range(n_samples // N_CHAINS):
        state = warm_up(update, state, APART, stream)
        pieces.append(state.spins[rungs - 1 :: rungs])
    return np.stack(pieces, axis=1)


def _mixing(target: Boltzmann, betas: Floats) -> Any:
    """Return Swendsen–Wang where it mixes, or parallel tempering along the β from the second one on."""
    energy = pairwise_energy(target)
    return SwendsenWang(target) if clusters_serve(energy) else ParallelTempering(energy, betas[1:], sweeps=2)


def _tempering_draws(n_samples: int) -> int:
    return max(SHORTEST, n_samples // (2 * N_CHAINS))


def _tempered(
    energy: PairwiseEnergy,
    betas: Floats,
    n_draws: int,
    rng: Rng,
    observables: Watched,
    advance: Callable[[], Any],
    last: bool = False,
) -> dict[str, Floats]:
    """Return observables of ladders, (N_CHAINS, n_betas, n_draws), or of their last β only, (N_CHAINS, 1, n_draws)."""
    update, n_betas = ParallelTempering(energy, betas, sweeps=2), len(betas)
    state = update.init(random_start(N_CHAINS * n_betas, energy.n_spins, rng.child("start")))
    state = warm_up(update, state, 2 * WARMUP, rng.child("warmup"))
    pieces: dict[str, list[Floats]] = {name: [] for name in observables}
    stream = rng.child("draws")
    for chain, _ in segments(update, state, n_draws, stream, {"energy": energy}, _SEGMENT, thin=1):
        spins = np.asarray(chain.spins).reshape(N_CHAINS, n_betas, -1, energy.n_spins)[:, -1 if last else 0 :]
        for name, observable in observables.items():
            values = observable(np.ascontiguousarray(spins).reshape(-1, energy.n_spins))
            pieces[name].append(values.reshape(spins.shape[:3]))
    for _ in betas:
        advance()
    return {name: np.concatenate(found, axis=2) for name, found in pieces.items()}


def _chain(update: Any, energy: Any, n_draws: int, start: Spins, rng: Rng) -> tuple[Mapping[str, Floats], Spins]:
    """Return series along chains that go on from the temperature before, and where they end."""
    watched = {"energy": energy, "spins": fingerprint(energy.n_spins)}
    chain = run(update, n_draws, rng, observables=watched, start=start, warmup=WARMUP, thin=n_draws)
    if chain.spins is None:
        raise RuntimeError("the chain kept no configurations")
    return chain.series, np.ascontiguousarray(chain.spins[:, -1])


def fingerprint(n_spins: int) -> Callable[[Spins], Floats]:
    """Return spins → Σ_i a_i s_i with fixed random a_i: two configurations that differ have different sums."""
    numbers = Rng(1).child("fingerprint").generator.standard_normal(n_spins)
    return lambda spins: spins @ numbers

"""Configurations to learn from: short chains of clusters, of heat bath in a field, or of parallel tempering in glasses.

They are begun anew now and then.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.random import Rng
from nmcmc.types import Floats, Spins
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.parallel_tempering import ParallelTempering
from nmcmc.updates.run import random_start, warm_up
from nmcmc.updates.wolff import Wolff

N_CHAINS, N_DRAWS, EVERY, N_SETS = 16, 64, 200, 6
"""Chains, configurations of each, and steps of training for which such a set serves; sets of a fit without steps."""
_PILOT, MOST_RUNGS = 64, 128


class Configurations:
    """Configurations of a target for a step of training: other ones every ``EVERY`` steps.

    They depend on seed and step only, so that interrupted training goes on bit for bit. Each set comes from chains
    that begin ordered and forget that first: by clusters, as many a sweep as flip every spin once on average, or by
    heat bath in a field. Where bonds are frustrated they are the coldest of ladders of temperatures, which begin
    at random: clusters percolate there far above the temperatures that are hard. Chains in a field do not turn over
    parts that hang together weakly, if these are cold: all parts are aligned with their fields, or all against them.

    Parameters
    ----------
    target : a pairwise system. rng : a stream of its own.

    Raises
    ------
    TypeError : if the energy is not pairwise.
    """

    def __init__(self, target: Boltzmann, rng: Rng):
        if not isinstance(target.energy, PairwiseEnergy):
            raise TypeError(
                f"{type(target.energy).__name__} is not pairwise; configurations come from pairwise systems"
            )
        self.target, self.energy, self.rng = target, target.energy, rng
        self.update: HeatBath | Wolff | ParallelTempering = HeatBath(target)
        self.warmup, self.spacing, self.rungs = 200, 5, 1
        if target.beta > 0 and not unfrustrated(self.energy):
            betas = ladder(self.energy, target.beta)
            self.rungs = len(betas)
            self.update, self.warmup = ParallelTempering(self.energy, betas), 50 * self.rungs
        elif not self.energy.has_field:
            self.update = Wolff(target, self._clusters_of_a_sweep(rng.child("pilot")))
            self.warmup, self.spacing = 30, 2
        self._set: tuple[int, Tensor] | None = None

    def __call__(self, step: int) -> Tensor:
        """Return int8 configurations (N_CHAINS · N_DRAWS, n_spins)."""
        number = step // EVERY
        if self._set is None or self._set[0] != number:
            self._set = number, self._draw(self.rng.child("set", number))
        return self._set[1]

    def _draw(self, rng: Rng) -> Tensor:
        stream = rng.child("chain")
        state = warm_up(self.update, self.update.init(self._start(rng.child("start"))), self.warmup, stream)
        kept = []
        for _ in range(N_DRAWS):
            state = warm_up(self.update, state, self.spacing, stream)
            kept.append(state.spins[self.rungs - 1 :: self.rungs])
        return torch.from_numpy(np.stack(kept, axis=1).reshape(-1, self.target.n_spins))

    def _start(self, rng: Rng) -> Spins:
        """Return configurations ordered as the couplings want it, with either sign as likely as its Boltzmann weight.

        Where chains cannot turn over, in a weak field at low temperature, both phases are there from the start. Ladders
        of temperatures start at random.
        """
        if self.rungs > 1:
            return random_start(N_CHAINS * self.rungs, self.energy.n_spins, rng)
        spins = ordered(with_fields_as_bonds(self.energy))
        up = spins[:-1] * spins[-1]
        sign = 2 * rng.generator.integers(0, 2, N_CHAINS, dtype=np.int8) - 1
        if self.energy.has_field:
            weight = self.target.log_density(np.stack([up, -up]))
            share = 1 / (1 + np.exp(np.clip(weight[1] - weight[0], -500, 500)))
            sign = np.where(rng.generator.random(N_CHAINS) < share, 1, -1).astype(np.int8)
        return np.outer(sign, up)

    def _clusters_of_a_sweep(self, rng: Rng) -> int:
        """Return how many clusters flip n_spins spins, from the later half of some that begin ordered."""
        update = Wolff(self.target)
        state = update.init(ordered(self.energy)[None])
        _, _, info = update.block(state, rng, 2 * _PILOT)
        size = float(info["cluster_size"][0, _PILOT:].mean())
        return max(1, round(self.target.n_spins / size))


def learning_set(target: Boltzmann, rng: Rng, told: Callable[[], object] = lambda: None) -> Tensor:
    """Return the configurations of `N_SETS` sets, (n, n_spins); ``told`` is called after each."""
    configurations, sets = Configurations(target, rng), []
    for number in range(N_SETS):
        sets.append(configurations(number * EVERY))
        told()
    return torch.cat(sets)


def ladder(energy: PairwiseEnergy, beta: float) -> Floats:
    """Return the rising temperatures of a ladder up to β > 0, at least 2 and at most `MOST_RUNGS`.

    H has the standard deviation σ_0 = √(Σ J² + Σ h²) at β = 0, and hardly more than √N/β at low temperature, where that
    is less: neighbours are apart by √2 over it. Those are equal steps up to √N/σ_0 (for SK couplings, rungs ½β√N),
    and equal ratios from there. Only βJ counts, whatever the unit of J.
    """
    numbers, root = np.concatenate([energy.couplings, energy.fields]), math.sqrt(energy.n_spins)
    spread = float(largest := np.abs(numbers).max()) * math.sqrt(float(np.sum((numbers / largest) ** 2)))
    knee = root / spread
    length = spread * beta if beta <= knee else root * (1 + math.log(beta / knee))
    count = max(2, math.ceil(min(length / math.sqrt(2), MOST_RUNGS)))
    place = length * np.arange(1, count) / count
    betas = np.where(place <= root, place / spread, knee * np.exp(np.maximum(place, root) / root - 1))
    return np.append(betas, beta)


def unfrustrated(energy: PairwiseEnergy) -> bool:
    """Return whether spins that satisfy a spanning tree satisfy every bond and every field."""
    whole = with_fields_as_bonds(energy)
    spins = ordered(whole)
    i, j = whole.edges.T
    return bool(np.all(whole.couplings * spins[i] * spins[j] >= 0))


def with_fields_as_bonds(energy: PairwiseEnergy) -> PairwiseEnergy:
    """Return the system with one more spin, the last, to which every field is a bond; without bonds of strength 0."""
    sites = np.arange(energy.n_spins)
    bonds = np.stack([sites, np.full_like(sites, energy.n_spins)], axis=1)
    edges, couplings = np.concatenate([energy.edges, bonds]), np.concatenate([energy.couplings, energy.fields])
    return PairwiseEnergy(energy.n_spins + 1, edges[couplings != 0], couplings[couplings != 0])


def ordered(energy: PairwiseEnergy) -> Spins:
    """Return spins (n_spins,) that satisfy every bond of a spanning tree: a ground state if nothing is frustrated."""
    start, neighbour, coupling = (array.tolist() for array in energy.adjacency())
    spins = [0] * energy.n_spins
    for root in range(energy.n_spins):
        found = [] if spins[root] else [root]
        spins[root] = spins[root] or 1
        for site in found:
            for k in range(start[site], start[site + 1]):
                if not spins[neighbour[k]]:
                    spins[neighbour[k]] = spins[site] if coupling[k] >= 0 else -spins[site]
                    found.append(neighbour[k])
    return np.array(spins, dtype=np.int8)

"""Exact sums over all 2^n configurations of a small system."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.thermodynamics import MagneticThermodynamics
from nmcmc.parallel import for_chunks
from nmcmc.types import Energy, Floats, Spins

MAX_SPINS = 24
"""Most spins that `enumerate_system` takes: 2²⁴ configurations need about a second."""
MAX_LISTED_SPINS = 20
"""Most spins that `all_states` lists: 20 MB."""
_LOW_SPINS = 12


@dataclass(frozen=True)
class Enumeration(MagneticThermodynamics):
    """Everything exact about a small system: thermodynamics and ⟨m⟩, ⟨|m|⟩, ⟨m²⟩, ⟨m⁴⟩ of m = Σ s_i/N."""

    abs_magnetization: float

    @property
    def susceptibility(self) -> float:
        """βN(⟨m²⟩ − ⟨|m|⟩²)."""
        return self.beta * self.n_spins * (self.m2 - self.abs_magnetization**2)


def enumerate_system(energy: PairwiseEnergy, beta: float) -> Enumeration:
    """Return log Z = log Σ_s exp(−βH(s)) and exact means of a system of at most 24 spins.

    Weights are taken relative to the lowest energy and energies start afresh every 4096 configurations, so log Z is
    good to about 1e-14 relative whatever β.

    Raises
    ------
    ValueError : for more than 24 spins, or a beta that is negative or not finite.
    """
    if energy.n_spins > MAX_SPINS:
        raise ValueError(
            f"enumeration of {energy.n_spins} spins is out of reach, the limit is {MAX_SPINS}; "
            "use exact.transfer_matrix (narrow lattices) or exact.kaufman (uniform tori without field)"
        )
    beta = Boltzmann(energy, beta).beta
    blocks = _block_sums(energy, beta)
    lowest = float(blocks[:, 0].min())
    excess = blocks[:, 0] - lowest
    sums = blocks[:, 1:].copy()
    sums[:, 2] += excess * (2 * sums[:, 1] + excess * sums[:, 0])
    sums[:, 1] += excess * sums[:, 0]
    z, e, e2, *moments = (math.fsum(column) for column in (sums * np.exp(-beta * excess)[:, None]).T)
    m, abs_m, m2, m4 = (total / z / energy.n_spins**power for power, total in zip((1, 1, 2, 4), moments, strict=True))
    ground = lowest + energy.offset
    return Enumeration(
        n_spins=energy.n_spins,
        beta=beta,
        log_z=math.log(z) - beta * ground,
        energy=ground + e / z,
        energy_variance=e2 / z - (e / z) ** 2,
        magnetization=m,
        m2=m2,
        m4=m4,
        abs_magnetization=abs_m,
    )


def all_states(n_spins: int) -> Spins:
    """Return all configurations (2^n_spins, n_spins): spin i of row k is +1 if bit i of k is set, else −1.

    Raises
    ------
    ValueError : for fewer than one or more than 20 spins.

    Examples
    --------
    >>> all_states(2).tolist()
    [[-1, -1], [1, -1], [-1, 1], [1, 1]]
    """
    if not 1 <= n_spins <= MAX_LISTED_SPINS:
        raise ValueError(f"cannot list the states of {n_spins} spins; give 1 to {MAX_LISTED_SPINS}")
    rows = np.arange(2**n_spins, dtype=np.int64)
    return ((rows[:, None] >> np.arange(n_spins) & 1) * 2 - 1).astype(np.int8)


def probabilities(energy: Energy, beta: float) -> Floats:
    """Return exp(−βH)/Z for the rows of ``all_states(energy.n_spins)``, (2^n_spins,).

    Raises
    ------
    ValueError : for more than 20 spins, or a beta that is negative or not finite.
    """
    log_density = Boltzmann(energy, beta).log_density(all_states(energy.n_spins))
    weights: Floats = np.exp(log_density - log_density.max())
    weights /= math.fsum(weights)
    return weights


def _block_sums(energy: PairwiseEnergy, beta: float) -> Floats:
    from nmcmc.kernels import enumeration as kernel

    n_low = min(energy.n_spins, _LOW_SPINS)
    out = np.empty((2 ** (energy.n_spins - n_low), 8))
    start, neighbour, coupling = energy.adjacency()
    for_chunks(
        lambda a, b: kernel.block_sums(a, n_low, start, neighbour, coupling, energy.fields, beta, out[a:b]), len(out)
    )
    return out

"""Simulated annealing: low configurations of any pairwise system, many replicas side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.parallel import for_chunks
from nmcmc.random import Rng
from nmcmc.types import Floats, Spins

HOT, COLD = math.log(2), math.log(100)
"""βΔH at the start for the strongest site, and at the end for the weakest bond of a typical one."""
LARGEST, MAX_FIELD, TOLERANCE = 1e30, 1e300, 1e-5


def anneal(energy: PairwiseEnergy, betas: Sequence[float] | Floats, replicas: int, rng: Rng) -> Spins:
    """Return the local minima in which annealed random configurations end, int8 (replicas, n_spins).

    Each replica makes one Metropolis sweep at every β, all sites in order, and then descends to where no single flip
    lowers H. Local fields are kept in float32: exact for integers below 2²³, else rounded; energies of the result
    should be computed anew. Replicas are made sixteen at a time, each such group with a stream of its own, so that
    more replicas leave the first ones as they are.

    Parameters
    ----------
    energy : the system. betas : inverse temperature of every sweep, finite numbers ≥ 0.
    replicas : how many, ≥ 1. rng : a stream that nothing else uses.

    Raises
    ------
    ValueError : for numbers out of range.

    References
    ----------
    S. Kirkpatrick, C. D. Gelatt, M. P. Vecchi, Science 220, 671 (1983).

    Examples
    --------
    >>> from nmcmc.energies.lattice import Lattice, LatticeEnergy
    >>> energy = LatticeEnergy(Lattice((4, 6)))
    >>> spins = anneal(energy, schedule(energy, sweeps=50), 20, Rng(1))
    >>> float(energy(spins).min())
    -48.0
    """
    from nmcmc.kernels import annealing as kernel

    twice = 2 * np.asarray(betas, dtype=np.float64)
    if twice.ndim != 1 or not np.all(np.isfinite(twice) & (twice >= 0)):
        raise ValueError("betas must be a sequence of finite numbers ≥ 0, one per sweep")
    if replicas < 1:
        raise ValueError(f"replicas is {replicas}; it must be at least 1")
    n_groups = -(-replicas // kernel.LANES)
    spins = np.empty((n_groups * kernel.LANES, energy.n_spins), dtype=np.int8)
    streams, strongest = rng.streams(n_groups), _strongest(energy)
    scale = math.ldexp(1.0, math.frexp(strongest)[1])  # a power of two: integers stay exact, all fields lie in (−1, 1)
    steps = np.minimum(twice * scale, LARGEST).astype(np.float32)
    tolerance, system = np.float32(TOLERANCE * strongest / scale), _system(energy, scale)
    for_chunks(lambda a, b: kernel.anneal(spins, streams, *system, steps, tolerance, a, b), n_groups)
    return spins[:replicas]


def schedule(energy: PairwiseEnergy, sweeps: int, beta_range: tuple[float, float] | None = None) -> Floats:
    """Return β of every sweep, (sweeps,), which rises linearly from hot to cold.

    Cold sweeps are the fast ones, for few spins flip; at equal time this found better cuts than a geometric series.

    Raises
    ------
    ValueError : for less than one sweep, or a range that is not 0 < hot ≤ cold < ∞.
    """
    if sweeps < 1:
        raise ValueError(f"sweeps is {sweeps}; it must be at least 1")
    hot, cold = default_beta_range(energy) if beta_range is None else beta_range
    if not 0 < hot <= cold < math.inf:
        raise ValueError(f"the range of beta is {hot}, {cold}; it must be 0 < hot ≤ cold < ∞")
    return np.linspace(hot, cold, sweeps)


def default_beta_range(energy: PairwiseEnergy) -> tuple[float, float]:
    """Return β at which the site with the strongest bonds flips every second time, and one at which hardly any does."""
    strongest = _strongest(energy)
    if strongest == 0:
        return 1.0, 1.0
    weakest = np.full(energy.n_spins, np.inf)
    bonds = energy.couplings != 0
    for column in energy.edges[bonds].T:
        np.minimum.at(weakest, column, np.abs(energy.couplings[bonds]))
    single = energy.fields != 0
    weakest[single] = np.minimum(weakest[single], np.abs(energy.fields[single]))
    hot = HOT / (2 * strongest)
    return hot, max(hot, COLD / (2 * float(np.median(weakest[np.isfinite(weakest)]))))


def _strongest(energy: PairwiseEnergy) -> float:
    """Return the largest Σ_j |J_ij| + |h_i|; raise ValueError if it is out of range."""
    total = np.abs(energy.fields)
    for column in energy.edges.T:
        with np.errstate(over="ignore"):
            total = total + np.bincount(column, np.abs(energy.couplings), minlength=energy.n_spins)
    if not 0 <= total.max() < MAX_FIELD:
        raise ValueError(f"the couplings of a site add up to {total.max():g}; divide all numbers by the largest")
    return float(total.max())


def _system(energy: PairwiseEnergy, scale: float) -> tuple[Any, ...]:
    """Return the system in compressed rows, couplings and fields divided by the scale."""
    start, neighbour, coupling = energy.adjacency()
    return start, neighbour, (coupling / scale).astype(np.float32), (energy.fields / scale).astype(np.float32)

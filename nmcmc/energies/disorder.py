"""Random couplings, a function of a seed: Sherrington–Kirkpatrick, Edwards–Anderson, random regular graphs."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.mean_field import DenseEnergy, all_pairs
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.random import Rng
from nmcmc.types import Floats, Ints

Disorder = Literal["gaussian", "binary"]
MAX_SWEEPS = 1000
"""Attempts to mend the multiple edges of a random graph."""


def sherrington_kirkpatrick(n_spins: int, seed: int, field: float = 0.0) -> DenseEnergy:
    """Return H(s) = −Σ_{i<j} J_ij s_i s_j − h Σ s_i with J_ij ~ N(0, 1/N) of all pairs.

    D. Sherrington, S. Kirkpatrick, Phys. Rev. Lett. 35, 1792 (1975). The glass begins at β = 1.

    Raises
    ------
    ValueError : for fewer than two spins.
    """
    if n_spins < 2:
        raise ValueError(f"n_spins is {n_spins}; give at least two")
    pairs = all_pairs(n_spins)
    normal = Rng(seed).child("sherrington-kirkpatrick").generator.normal(size=len(pairs))
    return DenseEnergy(n_spins, pairs, normal / math.sqrt(n_spins), field)


def edwards_anderson(lattice: Lattice, seed: int, disorder: Disorder = "gaussian", field: float = 0.0) -> LatticeEnergy:
    """Return the glass on a lattice: every bond N(0, 1) ("gaussian") or ±1 with equal chance ("binary").

    S. F. Edwards, P. W. Anderson, J. Phys. F 5, 965 (1975).

    Raises
    ------
    ValueError : for another kind of disorder.
    """
    return LatticeEnergy(lattice, random_couplings(lattice.n_bonds, seed, disorder), field)


def random_regular(
    n_spins: int, degree: int, seed: int, disorder: Disorder = "gaussian", field: float = 0.0
) -> PairwiseEnergy:
    """Return the glass on a random graph in which every spin has ``degree`` neighbours, no pair more than once.

    Stubs are paired at random, and pairs that close on themselves or repeat are exchanged with random others; of more
    than half of all neighbours those that are missing are drawn.

    Raises
    ------
    ValueError : for a degree below 1, as large as the number of spins, or an odd number of stubs.
    """
    if not 1 <= degree < n_spins or n_spins * degree % 2:
        raise ValueError(
            f"degree {degree} of {n_spins} spins is impossible; take 1 ≤ degree < n_spins with an even product"
        )
    rng, missing = Rng(seed).child("regular", n_spins, degree), n_spins - 1 - degree
    edges = _paired_stubs(n_spins, degree, rng) if degree <= missing else _others(n_spins, missing, rng)
    return PairwiseEnergy(n_spins, edges, random_couplings(len(edges), seed, disorder), field)


def random_couplings(n: int, seed: int, disorder: Disorder) -> Floats:
    """Return n couplings, standard normal ("gaussian") or ±1 ("binary").

    Raises
    ------
    ValueError : for another kind of disorder.
    """
    generator = Rng(seed).child(disorder).generator
    if disorder == "gaussian":
        normal: Floats = generator.standard_normal(n)
        return normal
    if disorder == "binary":
        return (2 * generator.integers(0, 2, n) - 1).astype(np.float64)
    raise ValueError(f"disorder is {disorder!r}; it must be 'gaussian' or 'binary'")


def _paired_stubs(n_spins: int, degree: int, rng: Rng) -> Ints:
    """Return sorted edges (i < j) of a simple graph of that degree."""
    generator = rng.generator
    edges = generator.permutation(np.repeat(np.arange(n_spins), degree)).reshape(-1, 2)
    for _ in range(MAX_SWEEPS):
        bad = _bad_edges(edges)
        if not len(bad):
            return np.array(sorted(map(tuple, np.sort(edges, axis=1).tolist())), dtype=np.int64)
        for k in bad:
            other = generator.integers(len(edges))
            edges[k, 1], edges[other, 1] = edges[other, 1], edges[k, 1]
    raise RuntimeError(f"no simple graph of degree {degree} on {n_spins} spins was found; give another seed or degree")


def _others(n_spins: int, degree: int, rng: Rng) -> Ints:
    """Return the pairs that a random graph of that degree does not join."""
    pairs, absent = all_pairs(n_spins), np.zeros((n_spins, n_spins), dtype=bool)
    if degree:
        absent[tuple(_paired_stubs(n_spins, degree, rng).T)] = True
    kept: Ints = pairs[~absent[tuple(pairs.T)]]
    return kept


def _bad_edges(edges: Ints) -> Ints:
    """Return the numbers of edges that are loops, or that repeat an earlier edge."""
    ordered = np.sort(edges, axis=1)
    _, first = np.unique(ordered, axis=0, return_index=True)
    repeated = np.ones(len(edges), dtype=bool)
    repeated[first] = False
    return np.flatnonzero(repeated | (ordered[:, 0] == ordered[:, 1]))

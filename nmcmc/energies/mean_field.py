"""Systems in which every spin sees every other: Curie–Weiss, Hopfield, and dense couplings in general."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.parallel import for_chunks
from nmcmc.random import Rng
from nmcmc.types import Floats, Ints, Spins

DENSE = 0.25
"""Share of all pairs from which on a matrix is faster than a list of edges."""


def all_pairs(n_spins: int) -> Ints:
    """Return the edges of the complete graph, (n_spins(n_spins − 1)/2, 2): (0, 1), (0, 2), …, (1, 2), …"""
    return np.stack(np.triu_indices(n_spins, 1), axis=1).astype(np.int64)


class DenseEnergy(PairwiseEnergy):
    """H(s) = offset − Σ_(i,j) J_ij s_i s_j − Σ_i h_i s_i by the matrix of couplings; equals the edge sum, faster.

    Takes what `PairwiseEnergy` takes. The matrix has 8 n_spins² bytes.

    Examples
    --------
    >>> energy = DenseEnergy(3, all_pairs(3), [1.0, 2.0, -0.5], 0.5)
    >>> energy(np.array([[1, -1, 1]], dtype=np.int8))
    array([-2.])
    """

    def local_fields(self, spins: Spins) -> Floats:
        """Return Σ_j J_ij s_j + h_i for every site, (batch, n_spins): flipping s_i costs 2 s_i times this."""
        from nmcmc.kernels import dense as kernel

        spins, matrix = self.check_spins(spins), self.coupling_matrix
        out = np.empty(spins.shape)
        for_chunks(lambda a, b: kernel.affine(spins[a:b], matrix, self.fields, out[a:b]), len(spins), kernel.LANES)
        return out

    def _fill_energy(self, spins: Spins, out: Floats) -> None:
        from nmcmc.kernels import dense as kernel

        fields = np.empty(spins.shape)
        kernel.affine(spins, self.coupling_matrix, 2 * self.fields, fields)
        out[:] = self.offset - 0.5 * np.sum(spins * fields, axis=1)


class CurieWeissEnergy(PairwiseEnergy):
    """H(s) = offset − h Σ_i s_i − (J/N) Σ_{i<j} s_i s_j: the energy depends on M = Σ s_i only.

    Parameters
    ----------
    n_spins : number of spins N. coupling : J; the system orders at βJ = 1. field : h. offset : added to every energy.

    Raises
    ------
    ValueError : for no spins, or numbers that are not finite.

    Examples
    --------
    >>> energy = CurieWeissEnergy(4, coupling=1.0, field=0.5)
    >>> energy(np.ones((1, 4), dtype=np.int8))
    array([-3.5])
    """

    def __init__(self, n_spins: int, coupling: float = 1.0, field: float = 0.0, offset: float = 0.0):
        pairs = all_pairs(n_spins) if n_spins > 0 else np.empty((0, 2), dtype=np.int64)
        super().__init__(n_spins, pairs, coupling / max(n_spins, 1), field, offset)
        self.coupling, self.field = float(coupling), float(field)

    def of_magnetization(self, total: npt.NDArray[np.integer | np.floating]) -> Floats:
        """Return H for the sums M = Σ s_i: offset − hM − J(M² − N)/2N."""
        m = np.asarray(total, dtype=np.float64)
        return self.offset - self.field * m - self.coupling / (2 * self.n_spins) * (m**2 - self.n_spins)

    def _fill_energy(self, spins: Spins, out: Floats) -> None:
        from nmcmc.kernels import energy as kernel

        total = np.zeros(len(spins), dtype=np.int64)
        kernel.magnetization(spins, total)
        out[:] = self.of_magnetization(total)


class HopfieldEnergy(PairwiseEnergy):
    """H(s) = −(1/N) Σ_{i<j} Σ_μ ξ_i^μ ξ_j^μ s_i s_j = −(N/2) Σ_μ m_μ² + P/2: patterns stored by Hebb's rule.

    J. J. Hopfield, Proc. Natl. Acad. Sci. 79, 2554 (1982).

    Parameters
    ----------
    patterns : the ξ^μ, int8 ±1 (P, N).

    Raises
    ------
    ValueError : for patterns of another shape, or values other than ±1.

    Examples
    --------
    >>> energy = HopfieldEnergy(np.array([[1, -1, 1, 1]], dtype=np.int8))
    >>> energy(energy.patterns), energy.overlaps(energy.patterns)
    (array([-1.5]), array([[1.]]))
    """

    def __init__(self, patterns: Spins):
        patterns = np.ascontiguousarray(patterns)
        if patterns.ndim != 2 or 0 in patterns.shape or not np.all(np.abs(patterns) == 1):
            raise ValueError(f"patterns have shape {patterns.shape}; give at least one of ±1 values, (P, n_spins)")
        n_spins = patterns.shape[1]
        pairs, whole = all_pairs(n_spins), patterns.astype(np.float64)
        products = (whole.T @ whole)[pairs[:, 0], pairs[:, 1]]  # whole numbers: exact in any order
        super().__init__(n_spins, pairs, products / n_spins)
        self.patterns = patterns.astype(np.int8)

    def overlaps(self, spins: Spins) -> Floats:
        """Return m_μ = Σ_i ξ_i^μ s_i/N, (batch, P), for int8 spins (batch, n_spins)."""
        return self._sums(self.check_spins(spins)) / self.n_spins

    def _sums(self, spins: Spins) -> Floats:
        sums: Floats = spins.astype(np.float64) @ self.patterns.T.astype(np.float64)
        return sums

    def _fill_energy(self, spins: Spins, out: Floats) -> None:
        squares = np.sum(self._sums(spins) ** 2, axis=1)
        out[:] = 0.5 * (len(self.patterns) - squares / self.n_spins)


def hopfield(n_spins: int, n_patterns: int, seed: int) -> HopfieldEnergy:
    """Return a Hopfield system with n_patterns independent random patterns, the same for the same seed."""
    if n_spins < 1 or n_patterns < 1:
        raise ValueError(f"n_spins is {n_spins} and n_patterns {n_patterns}; give at least one of each")
    generator = Rng(seed).child("hopfield").generator
    return HopfieldEnergy(2 * generator.integers(0, 2, (n_patterns, n_spins), dtype=np.int8) - 1)


def fastest(
    n_spins: int, edges: Ints, couplings: Floats, fields: Floats | float = 0.0, offset: float = 0.0
) -> PairwiseEnergy:
    """Return the pairwise energy of these arrays as the class that evaluates it fastest: the same H in any case.

    All pairs in the order of `all_pairs` with equal couplings and fields: `CurieWeissEnergy`; a quarter of all pairs or
    more: `DenseEnergy`; else `PairwiseEnergy`.
    """
    energy = PairwiseEnergy(n_spins, edges, couplings, fields, offset)
    n_pairs = n_spins * (n_spins - 1) // 2
    if n_pairs == 0 or len(energy.edges) < DENSE * n_pairs:
        return energy
    j, h = energy.couplings, energy.fields
    if np.all(j == j[0]) and np.all(h == h[0]) and np.array_equal(energy.edges, all_pairs(n_spins)):
        uniform = CurieWeissEnergy(n_spins, n_spins * j[0], h[0], offset)
        uniform.couplings = j  # J/N · N need not be J to the last bit
        return uniform
    return DenseEnergy(n_spins, edges, couplings, fields, offset)

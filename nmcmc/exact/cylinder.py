"""log Z of a cylinder with fields on its end rows, exactly and for any width, by free fermions: halves of wide tori."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.parts import Mask, checked_mask, given_part
from nmcmc.parallel import for_chunks
from nmcmc.types import Floats, Spins

Complex = npt.NDArray[np.complex128]
_SOFTEST, _LEAST = 1e-6, 1e-9
"""Least L ε at which the softest mode is told from zero, and what may be left of a sum that cancels."""


def log_z_of_rows(energy: PairwiseEnergy, beta: float, spins: Spins, given: Mask) -> Floats:
    """Return log Σ_b exp(−βH(a, b)), (batch,), b some successive rows of axis 0 of a lattice and a all others, exactly.

    The rows are a cylinder, on whose ends the given spins act as fields. The cost is (2 width)³ for each configuration,
    whatever the number of rows.

    Parameters
    ----------
    energy : of a two-dimensional lattice, periodic along axis 1, without fields, J uniform along each axis, J_1 > 0.
    spins : int8 (batch, n_spins); those of b do not matter. given : which spins are a, (n_spins,).

    Raises
    ------
    ValueError : for another system or part, or a β so large that both ends of the cylinder are locked to each other.
    FloatingPointError : for a configuration whose fields on both ends contradict each other too much.
    """
    cylinder = cylinder_of(energy, beta, given)
    density, fields = given_part(energy, spins, given)
    rows = beta * fields.reshape(len(spins), cylinder.rows, cylinder.columns)
    last = rows[:, -1] if cylinder.rows > 1 else np.zeros_like(rows[:, 0])
    total: Floats = beta * density + cylinder.log_z_in_fields(rows[:, 0], last)
    return total


def cylinder_of(energy: PairwiseEnergy, beta: float, given: Mask) -> Cylinder:
    """Return the cylinder of the spins that are not given; raise ValueError where `log_z_of_rows` does."""
    beta, given = Boltzmann(energy, beta).beta, checked_mask(given, energy.n_spins)
    couplings = energy.axis_couplings if isinstance(energy, LatticeEnergy) else None
    if not isinstance(energy, LatticeEnergy) or couplings is None or len(couplings) != 2:
        raise ValueError("free fermions need a two-dimensional lattice with couplings that are uniform along each axis")
    if energy.has_field or not energy.lattice.periodic[1] or couplings[1] <= 0 or beta == 0:
        raise ValueError("free fermions need beta > 0, no field, and axis 1 periodic with J > 0")
    free = ~given.reshape(energy.lattice.extents)
    rows = np.flatnonzero(free.any(axis=1))
    if not len(rows) or not free[rows].all() or len(rows) == len(free) or np.any(np.diff(rows) != 1):
        raise ValueError("free fermions sum successive rows of axis 0, one or more but not all of them")
    cylinder = Cylinder(len(rows), free.shape[1], beta * float(couplings[0]), beta * float(couplings[1]))
    if cylinder.columns * cylinder.levels[0] < _SOFTEST:
        raise ValueError(f"beta {beta:g} is too large for free fermions of {len(rows)} rows")
    return cylinder


@dataclass(frozen=True)
class Cylinder:
    """R rows of L spins around a cylinder, bonds K_0 along it and K_1 > 0 around it, K = βJ.

    The transfer matrix V adds a column of R spins; log Z = log Tr V^L. In the Majoranas a_j = (Π_{k<j} σx_k) σz_j and
    b_j = (Π_{k<j} σx_k) σy_j it is Gaussian, V = U^½ W U^½, U = exp(K_0 Σ i b_j a_{j+1}), W = exp(K_1* Σ i a_j b_j)
    with tanh K_1* = exp(−2K_1): B. Kaufman, Phys. Rev. 76, 1232 (1949); T. D. Schultz, D. C. Mattis, E. H. Lieb, Rev.
    Mod. Phys. 36, 856 (1964). Spins of the first row are σz = a_1, of the last row σz = −i P b_R with the parity P, so
    that their correlations are Pfaffians of contractions: with Tr V^L for an even number of spins of the last row, with
    Tr V^L P for an odd number.

    Attributes
    ----------
    rows, columns : R and L. along, around : K_0 and K_1.
    """

    rows: int
    columns: int
    along: float
    around: float

    @property
    def log_z(self) -> float:
        """log Z without fields: (2 sinh 2K_1)^{RL/2} Π_k 2cosh(L ε_k/2)."""
        exponent = 0.5 * self.columns * self.levels
        # log 2 sinh x = x + log(1 − e^−2x)
        each = 2 * self.around + math.log(-math.expm1(-4 * self.around))
        return 0.5 * self.rows * self.columns * each + float(np.logaddexp(exponent, -exponent).sum())

    def log_z_in_fields(self, first: Floats, last: Floats) -> Floats:
        """Return log Z with β times fields on the spins of the first and of the last row, (batch, L) each.

        Z/Z_0 = Π cosh h ⟨Π(1 + s tanh h)⟩ is a sum over all even subsets of these 2L spins of Pfaffians, which is again
        a Pfaffian (`kernels.pfaffian.subset_sums`). With the fields of the last row turned over, half the sum and half
        the difference are the terms with an even and an odd number of its spins.
        """
        fields = np.concatenate([last, first], axis=1)
        turned = fields * np.repeat([-1.0, 1.0], self.columns)
        sums = [_subset_sums(g, np.tanh(h)) for g in self.contractions for h in (fields, turned)]
        top = np.max([log for log, _ in sums], axis=0)
        even, even_turned, odd, odd_turned = (phase * np.exp(log - top) for log, phase in sums)
        total = (0.5 * (even + even_turned) - 0.5j * self.ratio * (odd - odd_turned)).real
        if not np.all(total > _LEAST):
            raise FloatingPointError(
                f"log Z of {self.rows} rows cancels to {float(np.min(total)):.1e} in configuration {np.argmin(total)}, "
                "whose fields on both ends contradict each other; take a smaller beta"
            )
        cosh = np.logaddexp(fields, -fields) - math.log(2)
        result: Floats = self.log_z + cosh.sum(axis=1) + top + np.log(total)
        return result

    @cached_property
    def levels(self) -> Floats:
        """The levels ε_k ≥ 0 of V, (R,), in rising order."""
        return self._modes[0]

    @property
    def ratio(self) -> float:
        """Tr V^L P/Tr V^L = Π_k tanh(L ε_k/2)."""
        return float(np.prod(np.tanh(0.5 * self.columns * self.levels)))

    @cached_property
    def contractions(self) -> tuple[Complex, Complex]:
        """Contractions g of the border spins' fermions with Tr V^L and with Tr V^L P, last row first, (2L, 2L) each.

        For ψ_i before φ_j, d columns later, g = 2 Σ_k u_ik u*_jk e^{−dε_k}/(1 ± e^{−Lε_k}) over both signs of ε_k,
        and g is skew. In one column the first row's fermion comes first.
        """
        levels, modes = self._modes
        distance = np.arange(self.columns)[:, None]
        ends = modes[[2 * self.rows - 1, 0]]
        found = []
        for sign in (1.0, -1.0):
            share = 2 / (1 + sign * np.exp(-self.columns * levels))
            down = np.einsum("ik,dk,jk->ijd", ends, share * np.exp(-distance * levels), ends.conj())
            up = np.einsum("ik,dk,jk->ijd", ends.conj(), share * np.exp((distance - self.columns) * levels), ends)
            found.append(_in_order(down + sign * up))
        return found[0], found[1]

    @cached_property
    def _modes(self) -> tuple[Floats, Complex]:
        """Levels ≥ 0 and their modes in a_1, b_1, a_2, … (2R, R); modes of the negative levels are the conjugates."""
        dual = -0.5 * math.log(math.tanh(self.around))
        bonds = _boosted(self.rows, range(1, 2 * self.rows - 1, 2), self.along)
        values, modes = np.linalg.eigh(bonds @ _boosted(self.rows, range(0, 2 * self.rows, 2), 2 * dual) @ bonds)
        return np.log(np.maximum(values[self.rows :], 1.0)), modes[:, self.rows :]


def _boosted(rows: int, starts: range, angle: float) -> Complex:
    """Return the matrix that mixes Majoranas i and i + 1 by an angle for all starts i, (2R, 2R), Hermitian."""
    matrix = np.eye(2 * rows, dtype=np.complex128)
    for i in starts:
        matrix[i, i] = matrix[i + 1, i + 1] = math.cosh(angle)
        matrix[i, i + 1], matrix[i + 1, i] = -1j * math.sinh(angle), 1j * math.sinh(angle)
    return matrix


def _in_order(contraction: Complex) -> Complex:
    """Return the skew matrix (2L, 2L) of contractions (2, 2, L) of kinds (last row, first row) and distances."""
    n = contraction.shape[2]
    x, kind = np.tile(np.arange(n), 2), np.repeat([0, 1], n)
    place = 2 * x - kind  # in one column the first row comes first
    before = place[:, None] < place
    distance = np.where(before, x - x[:, None], 0)
    upper = np.where(before, contraction[kind[:, None], kind, distance], 0)
    skew: Complex = upper - upper.T
    return skew


def _subset_sums(contractions: Complex, weights: Floats) -> tuple[Floats, Complex]:
    """Return the logarithms and phases of the sums over subsets, (batch,) each."""
    from nmcmc.kernels.pfaffian import subset_sums

    log, phase = np.empty(len(weights)), np.empty(len(weights), dtype=np.complex128)
    for_chunks(lambda a, b: subset_sums(contractions, weights[a:b], log[a:b], phase[a:b]), len(weights))
    return log, phase

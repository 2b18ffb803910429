"""Conditional partition functions log Z(a) = log Σ_b exp(−βH(a, b)): a part of the spins given, the others summed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Boundary, Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact import transfer_matrix
from nmcmc.types import Floats, Spins

Mask = npt.NDArray[np.bool_]


def checkerboard(lattice: Lattice) -> Mask:
    """Return which sites have an even sum of coordinates, (n_spins,): every second one, as on a chessboard."""
    even: Mask = np.indices(lattice.extents).sum(axis=0).ravel() % 2 == 0
    return even


def first_half(lattice: Lattice) -> Mask:
    """Return the sites of the first half of the rows of axis 0, (n_spins,)."""
    return np.arange(lattice.n_spins) < lattice.extents[0] // 2 * (lattice.n_spins // lattice.extents[0])


def log_z_of_free_spins(energy: PairwiseEnergy, beta: float, spins: Spins, given: Mask) -> Floats:
    """Return log Σ_b exp(−βH(a, b)), (batch,), where no two of the spins b interact: Σ_b ln 2cosh(β field) − βH_a.

    Parameters
    ----------
    spins : int8 (batch, n_spins); those of b do not matter.
    given : which spins are a, (n_spins,). On a chessboard either colour will do.

    Raises
    ------
    ValueError : if two spins that are not given interact, or for another mask.
    """
    beta, given = Boltzmann(energy, beta).beta, _checked(given, energy.n_spins)
    inside = ~given[energy.edges] & (energy.couplings != 0)[:, None]
    if np.any(inside.all(axis=1)):
        i, j = energy.edges[inside.all(axis=1)][0]
        raise ValueError(f"sites {i} and {j} interact and are both to be summed out; give one of the two")
    field = beta * energy.local_fields(spins)[:, ~given]
    known = np.where(given, spins, 0).astype(np.float64)
    i, j = energy.edges.T
    density = (known[:, i] * known[:, j]) @ energy.couplings + known @ energy.fields - energy.offset
    total: Floats = beta * density + np.logaddexp(field, -field).sum(axis=1)
    return total


def log_z_of_strip(energy: LatticeEnergy, beta: float, spins: Spins, given: Mask) -> Floats:
    """Return log Σ_b exp(−βH(a, b)), (batch,), where b are whole neighbouring rows along axis 0: by transfer matrix.

    Costs rows × columns × 2^(rows or columns) steps of 100 ns per configuration with open columns, the square of the
    power on a torus, once for every different setting of the rows next to b.

    Raises
    ------
    ValueError : if the spins to be summed are not neighbouring rows of a two-dimensional lattice, or too many.
    """
    beta, given = Boltzmann(energy, beta).beta, _checked(given, energy.n_spins)
    lattice = energy.lattice
    if len(lattice.extents) != 2:
        raise ValueError(f"the lattice {lattice} has not two dimensions; strips are rows of two-dimensional ones")
    rows = np.flatnonzero(~given.reshape(lattice.extents).all(axis=1))
    block = np.zeros(lattice.extents, dtype=bool)
    block[rows] = True
    if len(rows) < 2 or np.any(np.diff(rows) != 1) or np.any(block.ravel() == given):
        raise ValueError("the spins to be summed out must be two or more whole neighbouring rows along axis 0")
    free = ~given
    inside = free[energy.edges].all(axis=1)
    known = np.where(given, energy.check_spins(spins), 0).astype(np.int8)
    fields = energy.local_fields(known)[:, free]
    i, j = energy.edges.T
    density = (known[:, i].astype(np.float64) * known[:, j]) @ energy.couplings + known @ energy.fields - energy.offset
    along: Boundary = "periodic" if lattice.periodic[1] else "open"
    strip = Lattice((len(rows), lattice.extents[1]), ("open", along))
    different, place = np.unique(fields, axis=0, return_inverse=True)
    sums = [transfer_matrix.strip(LatticeEnergy(strip, energy.couplings[inside], row), beta).log_z for row in different]
    total: Floats = beta * density + np.array(sums)[place.ravel()]
    return total


def _checked(given: Mask, n_spins: int) -> Mask:
    given = np.asarray(given)
    if given.shape != (n_spins,) or given.dtype != np.bool_:
        raise ValueError(f"given has shape {given.shape} and type {given.dtype}; give one bool per spin, ({n_spins},)")
    return given

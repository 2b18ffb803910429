"""Parts of a system, and log Z(a) = log Σ_b exp(−βH(a, b)) of spins a given the others b summed out one by one.

Where spins of b interact, `exact.elimination` sums them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice
from nmcmc.energies.pairwise import PairwiseEnergy
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
    beta, given = Boltzmann(energy, beta).beta, checked_mask(given, energy.n_spins)
    inside = ~given[energy.edges] & (energy.couplings != 0)[:, None]
    if np.any(inside.all(axis=1)):
        i, j = energy.edges[inside.all(axis=1)][0]
        raise ValueError(f"sites {i} and {j} interact and are both to be summed out; give one of the two")
    density, field = given_part(energy, spins, given)
    total: Floats = beta * density + np.logaddexp(beta * field, -beta * field).sum(axis=1)
    return total


def given_part(energy: PairwiseEnergy, spins: Spins, given: Mask) -> tuple[Floats, Floats]:
    """Return −H of the given spins alone, (batch,), and the fields that they put on the others, (batch, n_others)."""
    known = np.where(given, energy.check_spins(spins), 0).astype(np.int8)
    i, j = energy.edges.T
    density = (known[:, i].astype(np.float64) * known[:, j]) @ energy.couplings + known @ energy.fields - energy.offset
    return density, energy.local_fields(known)[:, ~given]


def checked_mask(given: Mask, n_spins: int) -> Mask:
    """Return a mask of one bool per spin; raise ValueError for anything else."""
    given = np.asarray(given)
    if given.shape != (n_spins,) or given.dtype != np.bool_:
        raise ValueError(f"given has shape {given.shape} and type {given.dtype}; give one bool per spin, ({n_spins},)")
    return given

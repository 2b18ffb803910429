"""Exact sums over chains, strips, cylinders and narrow tori with any couplings and fields."""

from __future__ import annotations

import math

import numpy as np

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.thermodynamics import MagneticThermodynamics
from nmcmc.parallel import for_chunks
from nmcmc.types import Floats

MAX_BITS = 16
"""The frontier may hold 2¹⁶ configurations: width 16, or 8 if the lattice is also periodic along its length."""


def strip(energy: LatticeEnergy, beta: float) -> MagneticThermodynamics:
    """Return log Z and exact means of a chain or a two-dimensional lattice by transferring site by site.

    The sum over the spins behind a frontier of one row is kept for each of the row's 2^w configurations, as log weight,
    mean and variance of the energy, and moments of M: log Z and the energy come without cancellation. The cost is
    N·2^w, or N·4^w if the lattice is periodic along the transfer; the cheaper axis is chosen.

    Raises
    ------
    ValueError : for three dimensions, for a lattice wider than 16 (8 if periodic both ways), or a beta that is negative
        or not finite.
    """
    beta = Boltzmann(energy, beta).beta
    axis, bits = _transfer_axis(energy.lattice)
    if bits > MAX_BITS:
        raise ValueError(
            f"the transfer matrix of a {energy.lattice} lattice with boundary {energy.lattice.boundary} is out of "
            f"reach; its narrow side may have {MAX_BITS} sites, or {MAX_BITS // 2} if both axes are periodic"
        )
    across, along, fields = rows_along(energy, axis)
    if energy.lattice.periodic[axis]:
        states = _closed(across, along, fields, beta)
        log_repeats = 0.0
    else:
        states = _open(across, along, fields, beta)
        log_repeats = fields.shape[1] * math.log(2)
    return _summary(states, energy, beta, log_repeats)


def cost(lattice: Lattice) -> float:
    """Return the number of steps N·2^w or N·4^w that `strip` takes, about 100 ns each; infinite where it refuses."""
    if len(lattice.extents) > 2:
        return math.inf
    bits = _transfer_axis(lattice)[1]
    return lattice.n_spins * 2.0**bits if bits <= MAX_BITS else math.inf


def _transfer_axis(lattice: Lattice) -> tuple[int, int]:
    """Return the axis to transfer along and the bits of the sum's frontier, twice the width on a closed lattice."""
    if len(lattice.extents) > 2:
        raise ValueError(f"the lattice {lattice} has three dimensions; the transfer matrix takes one or two")
    width = [lattice.n_spins // extent for extent in lattice.extents]
    width = [0 if len(width) == 1 else w for w in width]
    bits = [max(w, 1) * (2 if periodic else 1) for w, periodic in zip(width, lattice.periodic, strict=True)]
    axis = int(np.argmin(bits))
    return axis, bits[axis]


def rows_along(energy: LatticeEnergy, axis: int) -> tuple[Floats, Floats, Floats]:
    """Return couplings to the left and to the row before, and fields, (length, width) with rows along the axis."""
    lattice = energy.lattice
    bonds = np.zeros((2, lattice.n_spins))
    bonds[: len(lattice.extents)][lattice.forward >= 0] = energy.couplings
    shape = lattice.extents if len(lattice.extents) == 2 else (*lattice.extents, 1)
    grids = [np.moveaxis(grid.reshape(shape), axis, 0) for grid in (bonds[1 - axis], bonds[axis], energy.fields)]
    across, along = np.roll(grids[0], 1, axis=1), np.roll(grids[1], 1, axis=0)
    return np.ascontiguousarray(across), np.ascontiguousarray(along), np.ascontiguousarray(grids[2])


def _open(across: Floats, along: Floats, fields: Floats, beta: float) -> Floats:
    """Sum from a free row before the first, which counts everything 2^width times."""
    from nmcmc.kernels import transfer_matrix as kernel

    states = np.zeros((2 ** fields.shape[1], 7))
    kernel.sweep(across, along, fields, beta, states)
    return states


def _closed(across: Floats, along: Floats, fields: Floats, beta: float) -> Floats:
    """Sum once from each setting of the last row back to it."""
    from nmcmc.kernels import transfer_matrix as kernel

    out = np.empty((2 ** fields.shape[1], 7))
    for_chunks(lambda a, b: kernel.closed_sweeps(a, across, along, fields, beta, out[a:b]), len(out))
    return out


def _summary(states: Floats, energy: LatticeEnergy, beta: float, log_repeats: float) -> MagneticThermodynamics:
    highest = float(states[:, 0].max())
    weights = np.exp(states[:, 0] - highest)
    z = math.fsum(weights)
    p, n = weights / z, energy.n_spins
    mean = float(p @ states[:, 1])
    return MagneticThermodynamics(
        n_spins=n,
        beta=beta,
        log_z=highest + math.log(z) - log_repeats - beta * energy.offset,
        energy=mean + energy.offset,
        energy_variance=float(p @ (states[:, 2] + (states[:, 1] - mean) ** 2)),
        magnetization=float(p @ states[:, 3]) / n,
        m2=float(p @ states[:, 4]) / n**2,
        m4=float(p @ states[:, 6]) / n**4,
    )

"""The Swendsen–Wang update."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Streams
from nmcmc.types import Info, Ints, Spins
from nmcmc.updates.compiled import ClusterUpdate

Words = npt.NDArray[np.uint64]


class SwendsenWang(ClusterUpdate):
    """Join spins over bonds active with 1 − exp(−2β|J|) where J s s > 0, and flip every cluster by a fair coin.

    Any couplings on any graph. Lattices with J ≥ 0 uniform along each axis take a faster loop, whose bond
    probabilities are rounded to multiples of 2⁻³². Its info is ``n_clusters``.

    Parameters
    ----------
    target : Boltzmann distribution of a `PairwiseEnergy` without fields.

    Raises
    ------
    TypeError : if the energy is not pairwise.
    ValueError : if the energy has a field.

    References
    ----------
    R. H. Swendsen and J.-S. Wang, Phys. Rev. Lett. 58, 86 (1987).

    Examples
    --------
    >>> from nmcmc.energies.boltzmann import Boltzmann
    >>> from nmcmc.energies.lattice import Lattice, LatticeEnergy
    >>> SwendsenWang(Boltzmann(LatticeEnergy(Lattice((4, 4))), beta=0.44)).n_spins
    16
    """

    def _run(self, spins: Spins, streams: Streams, out: Spins, count: Ints) -> None:
        from nmcmc.kernels import swendsen_wang as kernel

        if self._row_tables is not None and isinstance(self.energy, LatticeEnergy):
            shape = (-1, self.energy.lattice.extents[-1])
            rows, rows_out = spins.reshape(len(spins), *shape), out.reshape(*out.shape[:2], *shape)
            kernel.lattice_clusters(rows, streams, *self._row_tables, rows_out, count)
            return
        couplings, edges = self.energy.couplings, self.energy.edges
        kernel.swendsen_wang_steps(spins, streams, edges, couplings, self._bond_probability(couplings), out, count)

    @cached_property
    def _row_tables(self) -> tuple[Ints, Words, Words] | None:
        """Rows and bond thresholds for the fast loop, or None where it does not apply."""
        thresholds = self._axis_thresholds()
        if thresholds is None or not isinstance(self.energy, LatticeEnergy):
            return None
        *across, along = thresholds
        closing = along if self.energy.lattice.periodic[-1] else 0
        pairs = np.repeat(np.array(across, dtype=np.uint64), 2)
        return _earlier_rows(self.energy.lattice), pairs, np.array([along, closing], dtype=np.uint64)

    def _info(self, count: Ints) -> Info:
        return {"n_clusters": count}


def _earlier_rows(lattice: Lattice) -> Ints:
    """Return the rows (rows, 2·(axes − 1)) that each has bonds with and that come before it; −1 for none.

    For every axis the neighbour behind, and for its last row, if it is periodic, the first.
    """
    extent = lattice.extents[-1]
    rows = np.arange(lattice.n_spins // extent)
    earlier = np.full((len(rows), 2 * (len(lattice.extents) - 1)), -1, dtype=np.int64)
    for axis, forward in enumerate(lattice.forward[:-1]):
        following = np.where(forward[::extent] < 0, -1, forward[::extent] // extent)
        onward, closing = following > rows, (following >= 0) & (following < rows)
        earlier[following[onward], 2 * axis] = rows[onward]
        earlier[rows[closing], 2 * axis + 1] = following[closing]
    return earlier

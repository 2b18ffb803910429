"""The Wolff single-cluster update."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Streams
from nmcmc.types import Info, Ints, Spins
from nmcmc.updates.compiled import ClusterUpdate, counted


class Wolff(ClusterUpdate):
    """Grow a cluster from a random site over bonds active with 1 − exp(−2β|J|) where J s s > 0, and flip it.

    Lattices with J ≥ 0 uniform along each axis take a faster loop, whose bond probabilities are rounded to multiples
    of 2⁻³². Couplings of any sign are allowed; with frustration clusters still leave the target invariant but tend to
    span the whole system. Its info is ``cluster_size``, summed over the clusters of the step.

    Parameters
    ----------
    target : Boltzmann distribution of a `PairwiseEnergy` without fields.
    clusters : clusters per step, ≥ 1.

    Raises
    ------
    TypeError : if the energy is not pairwise.
    ValueError : if the energy has a field, or clusters < 1.

    References
    ----------
    U. Wolff, Phys. Rev. Lett. 62, 361 (1989).

    Examples
    --------
    >>> wolff = Wolff(Boltzmann(LatticeEnergy(Lattice((4, 4))), beta=0.44), clusters=2)
    >>> wolff.n_spins
    16
    """

    def __init__(self, target: Boltzmann, clusters: int = 1):
        super().__init__(target)
        self.clusters = counted("clusters", clusters)

    def _run(self, spins: Spins, streams: Streams, out: Spins, count: Ints) -> None:
        from nmcmc.kernels import wolff as kernel

        if self._lattice_tables is not None:
            kernel.lattice_clusters(spins, streams, *self._lattice_tables, self.clusters, out, count)
            return
        rows = self.energy.adjacency()
        kernel.clusters_of_any_couplings(
            spins, streams, *rows, self._bond_probability(rows[2]), self.clusters, out, count
        )

    @cached_property
    def _lattice_tables(self) -> tuple[npt.NDArray[np.uint32], tuple[np.uint64, ...]] | None:
        """Neighbours and bond thresholds for the fast loop, or None where it does not apply."""
        thresholds = self._axis_thresholds()
        if thresholds is None or not isinstance(self.energy, LatticeEnergy):
            return None
        return _neighbour_table(self.energy.lattice), tuple(np.uint64(threshold) for threshold in thresholds)

    def _info(self, count: Ints) -> Info:
        return {"cluster_size": count}


def _neighbour_table(lattice: Lattice) -> npt.NDArray[np.uint32]:
    """Return forward and backward neighbour along each axis, site by site and flat; n_spins beyond an open edge."""
    table = np.full((lattice.n_spins, 2 * len(lattice.extents)), lattice.n_spins, dtype=np.uint32)
    for axis, forward in enumerate(lattice.forward):
        sites = np.flatnonzero(forward >= 0)
        table[sites, 2 * axis] = forward[sites]
        table[forward[sites], 2 * axis + 1] = sites
    return table.ravel()

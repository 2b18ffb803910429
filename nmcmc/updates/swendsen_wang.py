"""The Swendsen–Wang update."""

from __future__ import annotations

from nmcmc.random import Streams
from nmcmc.types import Info, Ints, Spins
from nmcmc.updates.compiled import ClusterUpdate


class SwendsenWang(ClusterUpdate):
    """Join spins over bonds active with 1 − exp(−2β|J|) where J s s > 0, and flip every cluster by a fair coin.

    Any couplings on any graph. Its info is ``n_clusters``.

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
        from nmcmc.kernels.swendsen_wang import swendsen_wang_steps

        couplings = self.energy.couplings
        swendsen_wang_steps(spins, streams, self.energy.edges, couplings, self._bond_probability(couplings), out, count)

    def _info(self, count: Ints) -> Info:
        return {"n_clusters": count}

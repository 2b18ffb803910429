"""The single-spin Metropolis update."""

from __future__ import annotations

from typing import ClassVar

from nmcmc.updates.local import LocalUpdate


class Metropolis(LocalUpdate):
    """Flip single spins with probability min(1, exp(−βΔH)); parameters as in `LocalUpdate`.

    Its info is ``flip_fraction``, the flips per attempt. A flip that costs nothing is always accepted, so a
    checkerboard scan can be periodic on tiny lattices (at β = 0 it is on all): prefer the random scan there.

    References
    ----------
    N. Metropolis et al., J. Chem. Phys. 21, 1087 (1953).

    Examples
    --------
    >>> from nmcmc.energies.boltzmann import Boltzmann
    >>> from nmcmc.energies.lattice import Lattice, LatticeEnergy
    >>> Metropolis(Boltzmann(LatticeEnergy(Lattice((4, 6))), beta=0.4), scan="checkerboard").n_spins
    24
    """

    heat_bath: ClassVar[bool] = False

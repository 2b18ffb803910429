"""The single-spin heat-bath update."""

from __future__ import annotations

from typing import ClassVar

from nmcmc.updates.local import LocalUpdate


class HeatBath(LocalUpdate):
    """Redraw single spins given all others, P(s_i = +1) = 1/(1 + exp(−2β(Σ_j J_ij s_j + h_i))).

    Parameters as in `LocalUpdate`; its info is ``flip_fraction``, the flips per attempt.

    References
    ----------
    R. J. Glauber, J. Math. Phys. 4, 294 (1963).

    Examples
    --------
    >>> from nmcmc.energies.boltzmann import Boltzmann
    >>> from nmcmc.energies.lattice import Lattice, LatticeEnergy
    >>> HeatBath(Boltzmann(LatticeEnergy(Lattice((3, 3))), beta=0.4)).n_spins
    9
    """

    heat_bath: ClassVar[bool] = True

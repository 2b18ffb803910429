"""The Boltzmann distribution: the only home of β."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, overload

from nmcmc.types import Energy, Floats, Spins

if TYPE_CHECKING:
    from torch import Tensor

BETA_CRITICAL = 0.5 * math.log(1 + math.sqrt(2))
"""Inverse temperature ½ ln(1 + √2) at which the infinite square lattice with J = 1 orders (Onsager 1944)."""


class Boltzmann:
    """p(s) = exp(−βH(s))/Z, known up to Z: ``log_density`` = −βH(s).

    Parameters
    ----------
    energy : the Hamiltonian.
    beta : inverse temperature ≥ 0, k_B = 1.

    Raises
    ------
    ValueError : if beta is negative or not finite.

    Examples
    --------
    >>> from nmcmc.energies.lattice import Lattice, LatticeEnergy
    >>> Boltzmann(LatticeEnergy(Lattice((4, 4))), beta=0.44).n_spins
    16
    """

    def __init__(self, energy: Energy, beta: float):
        if not (math.isfinite(beta) and beta >= 0):
            raise ValueError(f"beta is {beta}; it must be a finite number ≥ 0")
        self.energy, self._beta = energy, float(beta)

    @property
    def beta(self) -> float:
        """Inverse temperature."""
        return self._beta

    def at(self, beta: float) -> Boltzmann:
        """Return the same system at another β."""
        return Boltzmann(self.energy, beta)

    @property
    def n_spins(self) -> int:
        """Number of spins."""
        return self.energy.n_spins

    @overload
    def log_density(self, spins: Spins) -> Floats: ...
    @overload
    def log_density(self, spins: Tensor) -> Tensor: ...
    def log_density(self, spins: Any) -> Any:
        """Return −βH(s) in float64, (batch,), for spins (batch, n_spins)."""
        return -self.beta * self.energy(spins)

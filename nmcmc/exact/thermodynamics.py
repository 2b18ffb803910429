"""What a partition function and its first two derivatives say, and what moments of the magnetisation add."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Thermodynamics:
    """Exact log Z, ⟨H⟩ and var H of a system of n_spins spins at β, and what follows from them (k_B = 1).

    ``energy`` is ⟨H⟩ and ``energy_variance`` ⟨H²⟩ − ⟨H⟩², both of the whole system.
    """

    n_spins: int
    beta: float
    log_z: float
    energy: float
    energy_variance: float

    @property
    def energy_squared(self) -> float:
        """⟨H²⟩."""
        return self.energy_variance + self.energy**2

    @property
    def energy_per_spin(self) -> float:
        """⟨H⟩/N."""
        return self.energy / self.n_spins

    @property
    def specific_heat(self) -> float:
        """β²(⟨H²⟩ − ⟨H⟩²)/N."""
        return self.beta**2 * self.energy_variance / self.n_spins

    @property
    def free_energy(self) -> float:
        """F = −log Z/β; −∞ at β = 0."""
        return -self.log_z / self.beta if self.beta > 0 else -math.inf

    @property
    def free_energy_per_spin(self) -> float:
        """F/N."""
        return self.free_energy / self.n_spins

    @property
    def entropy(self) -> float:
        """S = β⟨H⟩ + log Z."""
        return self.beta * self.energy + self.log_z

    @property
    def entropy_per_spin(self) -> float:
        """S/N."""
        return self.entropy / self.n_spins


@dataclass(frozen=True)
class MagneticThermodynamics(Thermodynamics):
    """Thermodynamics with moments ⟨m⟩, ⟨m²⟩, ⟨m⁴⟩ of the magnetisation m = Σ s_i/N."""

    magnetization: float
    m2: float
    m4: float

    @property
    def binder(self) -> float:
        """1 − ⟨m⁴⟩/(3⟨m²⟩²)."""
        return 1 - self.m4 / (3 * self.m2**2)

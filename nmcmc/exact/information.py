"""Exact mutual information and relative entropy, by enumeration and transfer matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact import transfer_matrix
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.exact.parts import Mask
from nmcmc.types import Energy, Floats

MAX_WIDTH = 9
"""Widest lattice of `halves`, which multiplies matrices of 2^width rows."""


def marginal(energy: Energy, beta: float, given: Mask) -> Floats:
    """Return p(a) of the given spins of at most 20, by enumeration; a's bits count in the order of the sites."""
    states = all_states(energy.n_spins)[:, given] > 0
    index = states @ (1 << np.arange(states.shape[1]))
    p: Floats = np.bincount(index, probabilities(energy, beta), minlength=2 ** states.shape[1]).astype(np.float64)
    return p


def mutual_information(energy: Energy, beta: float, given: Mask) -> float:
    """Return I(a; b) = S(a) + S(b) − S(a, b) in nats of the given spins and the others, at most 20 in all."""
    parts = [marginal(energy, beta, mask) for mask in (given, ~given)]
    return sum(map(_entropy, parts)) - _entropy(probabilities(energy, beta))


def decimated_divergence(energy: PairwiseEnergy, betas: tuple[float, float], given: Mask) -> float:
    """Return D(p_1(a)‖p_2(a)) in nats of the given spins at two temperatures, others summed out; at most 20 spins."""
    first, second = (marginal(energy, beta, given) for beta in betas)
    return float(np.sum(first * np.log(first / second)))


def divergence(energy_1: float, log_z_1: float, log_z_2: float, betas: tuple[float, float]) -> float:
    """Return D(p_1‖p_2) = (β_2 − β_1)⟨H⟩_1 + log Z_2 − log Z_1 from exact values."""
    return (betas[1] - betas[0]) * energy_1 + log_z_2 - log_z_1


def halves(energy: LatticeEnergy, beta: float) -> float:
    """Return I(a; b) in nats of the two halves of a strip or torus, cut across axis 0 as `parts.first_half` does.

    I = log Z − ⟨βH_ab + log Z_b(∂a) + log Z_a(∂b)⟩, H_ab the bonds between halves, Z_b(∂a) = Σ_b exp(−βH_b − βH_ab),
    and ∂ the first and last row of a half. The sum over the inside of a half is a product of row-to-row matrices.

    Raises
    ------
    ValueError : if axis 1 is longer than 9, or axis 0 shorter than 4.
    """
    beta, lattice = Boltzmann(energy, beta).beta, energy.lattice
    if len(lattice.extents) != 2 or lattice.extents[1] > MAX_WIDTH or lattice.extents[0] < 4:
        raise ValueError(f"the lattice is {lattice}; give two axes, the first ≥ 4 and the second at most {MAX_WIDTH}")
    rows, cut = _Rows.of(energy, beta), lattice.extents[0] // 2
    a, b = rows.product(0, cut), rows.product(cut, lattice.extents[0])
    near, far = rows.bonds(cut), rows.bonds(0)  # ∂a last → ∂b first, ∂b last → ∂a first
    n, f = np.exp(near), np.exp(far)
    z_b, z_a = (n @ b @ f).T, (f @ a @ n).T
    z = float(np.sum(a * z_b))
    between = np.sum(near * n * (b @ f @ a).T) + np.sum(far * f * (a @ n @ b).T)
    return float((between - np.sum(a * z_b * np.log(z_b)) - np.sum(b * z_a * np.log(z_a))) / z + math.log(z))


@dataclass(frozen=True)
class _Rows:
    """β times couplings to the left and to the row before, and fields, (length, width), with all settings of a row."""

    across: Floats
    along: Floats
    fields: Floats
    states: Floats

    @classmethod
    def of(cls, energy: LatticeEnergy, beta: float) -> _Rows:
        across, along, fields = (beta * grid for grid in transfer_matrix.rows_along(energy, 0))
        return cls(across, along, fields, all_states(fields.shape[1]).astype(np.float64))

    def bonds(self, r: int) -> Floats:
        """Return −βH between row r − 1 and row r, (settings, settings)."""
        bonds: Floats = (self.states * self.along[r]) @ self.states.T
        return bonds

    def inside(self, r: int) -> Floats:
        """Return −βH inside row r, (settings,)."""
        width = self.states.shape[1]
        left = np.roll(self.states, 1, axis=1) * self.states @ self.across[r] if width > 1 else 0.0
        density: Floats = left + self.states @ self.fields[r]
        return density

    def product(self, start: int, stop: int) -> Floats:
        """Return Σ exp(−βH) over rows start + 1 … stop − 2 given the first and last, up to a factor."""
        total = np.diag(np.exp(self.inside(start) - self.inside(start).max()))
        for r in range(start + 1, stop):
            density = self.bonds(r) + self.inside(r)
            total = total @ np.exp(density - density.max())
            total /= total.max()
        return total


def _entropy(p: Floats) -> float:
    positive = p[p > 0]
    return float(-positive @ np.log(positive))

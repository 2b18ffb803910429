"""Decimation: relative entropy of two temperatures after every second spin has been dropped, again and again."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.elimination import check_order, log_z_given
from nmcmc.exact.parts import Mask
from nmcmc.types import Floats, Spins


def kept_spins(lattice: Lattice, steps: int) -> Mask:
    """Return which sites are left after so many decimations, (n_spins,): every second one is kept in each.

    On a chain those at multiples of 2^steps. In two dimensions a decimation keeps one colour of a chessboard, whose
    diagonals are the axes of a square lattice √2 times as wide: after 2k steps the sites at multiples of 2^k are left,
    after one more those of them with an even sum of multiples.

    Raises
    ------
    ValueError : for three dimensions, or a periodic extent that the sublattice does not fit.
    """
    dimensions = len(lattice.extents)
    if dimensions > 2 or steps < 0:
        raise ValueError(f"the lattice is {lattice} and steps is {steps}; give one or two dimensions and steps ≥ 0")
    spacing, fold = 2 ** (steps // dimensions), 2 ** -(-steps // dimensions)
    closed = [n for n, periodic in zip(lattice.extents, lattice.periodic, strict=True) if periodic]
    if any(n % fold for n in closed):
        raise ValueError(f"{steps} decimations of the lattice {lattice} need periodic extents divisible by {fold}")
    multiples, rest = np.divmod(np.indices(lattice.extents), spacing)
    odd = multiples.sum(axis=0) % 2 if fold > spacing else 0
    kept: Mask = ((rest == 0).all(axis=0) & (odd == 0)).ravel()
    return kept


def decimated_log_ratios(energy: LatticeEnergy, betas: tuple[float, float], spins: Spins, steps: int) -> list[Floats]:
    """Return log Z_2(a) − log Z_1(a) of the spins a left after 0, 1, … ``steps`` decimations of states, (batch,) each.

    Of states at the first β, `analysis.information.relative_entropy` makes D(p_1‖p_2) of each: the flow of the relative
    entropy, which can only fall. The spins that are dropped are summed exactly (`log_z_given`): on tori up to 8×8 for
    all steps, on 16×16 for two, on open lattices up to a width of 18 for all.

    Raises
    ------
    ValueError : as `kept_spins` and `log_z_given`, before anything is summed.
    """
    kept = [kept_spins(energy.lattice, step) for step in range(steps + 1)]
    for mask in kept:
        check_order(energy, max(betas), mask)
    first, second = betas
    return [log_z_given(energy, second, spins, mask) - log_z_given(energy, first, spins, mask) for mask in kept]


@dataclass(frozen=True)
class Decimation:
    """A ring at two temperatures after decimation: spins left, bonds K = βJ, and D(p_1‖p_2) per original spin."""

    n_spins: int
    bonds: tuple[float, float]
    divergence: float


def decimate(bond: float) -> float:
    """Return K' = ½ ln cosh 2K of a chain after every second spin has been summed out: tanh K' = tanh² K.

    L. P. Kadanoff, Physics 2, 263 (1966); D. R. Nelson and M. E. Fisher, Ann. Phys. 91, 226 (1975).
    """
    return math.atanh(math.tanh(bond) ** 2)


def ring_divergence(n_spins: int, bonds: tuple[float, float]) -> float:
    """Return D(p_1‖p_2) in nats of rings of n_spins ≥ 3 spins without field with bonds K = βJ.

    log Z = n ln 2cosh K + ln(1 + tⁿ), t = tanh K; ⟨s s'⟩ = (t + tⁿ⁻¹)/(1 + tⁿ).
    """
    (k, t), (other, u) = ((bond, math.tanh(bond)) for bond in bonds)
    correlation = (t + t ** (n_spins - 1)) / (1 + t**n_spins)
    difference = n_spins * math.log(math.cosh(other) / math.cosh(k)) + math.log1p(u**n_spins) - math.log1p(t**n_spins)
    return n_spins * (k - other) * correlation + difference


def decimation_flow(n_spins: int, bonds: tuple[float, float], steps: int) -> list[Decimation]:
    """Return a ring at two temperatures, and after each of ``steps`` decimations: D falls, for spins are forgotten.

    Raises
    ------
    ValueError : unless n_spins is divisible by 2^steps with at least 3 spins left.
    """
    if steps < 0 or n_spins % 2**steps or n_spins // 2**steps < 3:
        raise ValueError(f"a ring of {n_spins} spins cannot be halved {steps} times with 3 spins or more left")
    flow, here = [], bonds
    for step in range(steps + 1):
        n = n_spins // 2**step
        flow.append(Decimation(n, here, ring_divergence(n, here) / n_spins))
        here = decimate(here[0]), decimate(here[1])
    return flow

"""Whatever is exactly known about a system at affordable cost."""

from __future__ import annotations

import math

import numpy as np

from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.energies.mean_field import CurieWeissEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact import curie_weiss, enumeration, kaufman, transfer_matrix
from nmcmc.exact.thermodynamics import Thermodynamics
from nmcmc.types import Energy

AFFORDABLE_STEPS = 2.0**25
"""Transfer-matrix steps that `exact_values` spends at most: a few seconds."""

NAMES = (
    "log_z",
    "free_energy_per_spin",
    "energy_per_spin",
    "specific_heat",
    "entropy_per_spin",
    "magnetization",
    "abs_magnetization",
    "m2",
    "m4",
    "binder",
    "susceptibility",
)


def exact_values(energy: Energy, beta: float) -> dict[str, float]:
    """Return the exact values that are known for the system at β, name → value; empty if there are none.

    Enumeration (up to 24 spins) and the sum over magnetisations (Curie–Weiss) give all of `NAMES`, the transfer matrix
    (chains and narrow lattices) all but ``abs_magnetization`` and ``susceptibility``, Kaufman's formula (tori with one
    coupling per axis and no field) those without magnetisation. Values that are not finite (F at β = 0) are left out.

    Raises
    ------
    ValueError : if beta is negative or not finite.

    Examples
    --------
    >>> from nmcmc.energies.lattice import Lattice, LatticeEnergy
    >>> round(exact_values(LatticeEnergy(Lattice((16, 16))), 0.44)["energy_per_spin"], 6)
    -1.447743
    """
    result = _result(energy, beta)
    values = {name: float(getattr(result, name)) for name in NAMES if hasattr(result, name)}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _result(energy: Energy, beta: float) -> Thermodynamics | None:
    if isinstance(energy, CurieWeissEnergy):
        return curie_weiss.sum_over_magnetization(energy, beta)
    if isinstance(energy, PairwiseEnergy) and energy.n_spins <= enumeration.MAX_SPINS:
        return enumeration.enumerate_system(energy, beta)
    if not isinstance(energy, LatticeEnergy):
        return None
    if transfer_matrix.cost(energy.lattice) <= AFFORDABLE_STEPS:
        return transfer_matrix.strip(energy, beta)
    return _kaufman(energy, beta)


def _kaufman(energy: LatticeEnergy, beta: float) -> Thermodynamics | None:
    extents, couplings = energy.lattice.extents, energy.axis_couplings
    if len(extents) != 2 or not all(energy.lattice.periodic) or energy.has_field or couplings is None:
        return None
    if energy.offset != 0 or np.any((couplings < 0) & (np.array(extents) % 2 == 1)):
        return None
    if beta * np.abs(couplings).sum() > kaufman.COLDEST:
        return None
    return kaufman.torus((extents[0], extents[1]), beta, (float(couplings[0]), float(couplings[1])))

"""The square-lattice Ising model without field: finite tori (Kaufman) and the infinite lattice (Onsager, Yang).

Worked in `mpmath` with digits to spare: at low temperature the modes' contributions to the specific heat cancel down
to exp(−8βJ), which no float64 sum survives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import mpmath

from nmcmc.exact.thermodynamics import Thermodynamics

_STEP_DIGITS = 16
_SPARE_DIGITS = 40


def torus(extents: tuple[int, int], beta: float, coupling: float | tuple[float, float] = 1.0) -> Thermodynamics:
    """Return log Z, ⟨H⟩ and var H of the L₁ × L₂ torus with couplings (J₁, J₂) along its axes and no field.

    Correct to float64 for every β; the two derivatives are central differences with a step of 1e-16 in numbers long
    enough for it. An L × L torus takes O(L) operations: milliseconds, half a second at L = 1024.

    Parameters
    ----------
    extents : two integers ≥ 2; a periodic extent of 2 has two bonds between neighbours, as in `Lattice`.
    beta : inverse temperature ≥ 0.
    coupling : J, or (J₁, J₂). A negative one needs an even extent along its axis, where flipping every other layer
        changes its sign.

    Raises
    ------
    ValueError : for other extents, a beta that is negative or not finite, or a frustrated torus.

    References
    ----------
    B. Kaufman, Phys. Rev. 76, 1232 (1949), equation 60.
    """
    couplings = _checked_couplings(extents, beta, coupling)
    with mpmath.workdps(_digits(beta, couplings)):
        b, h = mpmath.mpf(beta), mpmath.mpf(10) ** -_STEP_DIGITS
        below, here, above = (_log_z(extents, [x * abs(j) for j in couplings]) for x in (b - h, b, b + h))
        slope, curvature = (above - below) / (2 * h), (above - 2 * here + below) / h**2
        n_spins = extents[0] * extents[1]
        return Thermodynamics(n_spins, float(beta), float(here), float(-slope), float(curvature))


def _checked_couplings(
    extents: tuple[int, int], beta: float, coupling: float | tuple[float, float]
) -> tuple[float, float]:
    if len(extents) != 2 or min(extents) < 2:
        raise ValueError(f"torus extents are {extents}; give two integers ≥ 2")
    _check_beta(beta)
    couplings = coupling if isinstance(coupling, tuple) else (coupling, coupling)
    if not beta * sum(abs(j) for j in couplings) <= COLDEST:
        raise ValueError(
            f"beta (|J1| + |J2|) is {beta * sum(abs(j) for j in couplings):g}; at most {COLDEST:g} is summed"
        )
    for length, j in zip(extents, couplings, strict=True):
        if j < 0 and length % 2:
            raise ValueError(
                f"coupling {j} along an axis of odd extent {length} is frustrated; Kaufman's formula is used for "
                "J ≥ 0 or even extents: use exact.enumeration or exact.transfer_matrix"
            )
    return couplings


def _check_beta(beta: float) -> None:
    if not (math.isfinite(beta) and beta >= 0):
        raise ValueError(f"beta is {beta}; it must be a finite number ≥ 0")


COLDEST = 1000.0
"""Largest β(|J₁| + |J₂|): the digits that are needed grow with it."""


def _digits(beta: float, couplings: tuple[float, float]) -> int:
    """Enough digits that exp(−4β(J₁ + J₂)), the weight of one flipped spin, survives a second difference."""
    return math.ceil(4 * beta * sum(abs(j) for j in couplings) / math.log(10)) + 2 * _STEP_DIGITS + _SPARE_DIGITS


def _log_z(extents: tuple[int, int], k: list[Any]) -> Any:
    """Log Z for K = βJ ≥ 0 along the two axes, L₁ = m steps of the transfer matrix, L₂ = n modes each way.

    Kaufman's modes cosh γ_q = (cosh 2K₁ cosh 2K₂ − sinh 2K₂ cos q)/sinh 2K₁ enter as
    2 sinh(2K₁) exp(γ) = 2(c + d) and exp(−γ) = sinh(2K₁)/(c + d), which stay finite at β = 0.
    """
    m, n = extents
    s1, c1, s2, c2 = mpmath.sinh(2 * k[0]), mpmath.cosh(2 * k[0]), mpmath.sinh(2 * k[1]), mpmath.cosh(2 * k[1])
    total = mpmath.mpf(0)
    for first in (1, 0):
        prefactor, plus, minus = mpmath.mpf(1), mpmath.mpf(1), mpmath.mpf(1)
        for r in range(first, 2 * n, 2):
            c = c1 * c2 - s2 * mpmath.cospi(mpmath.mpf(r) / n)
            d = mpmath.sqrt((c - s1) * (c + s1))
            decay = (s1 / (c + d)) ** m
            prefactor *= 2 * (c + d)
            plus *= 1 + decay
            minus *= 1 - decay
        # γ_0 = 2(K₂ − K₁*) is negative above the critical temperature, and sinh with it.
        total += mpmath.sqrt(prefactor**m) * (plus + (minus if first or s1 * s2 > 1 else -minus))
    return mpmath.log(total / 2)


@dataclass(frozen=True)
class InfiniteLattice:
    """Free energy F/N = −log Z/(βN) and energy ⟨H⟩/N of the infinite square lattice."""

    free_energy_per_spin: float
    energy_per_spin: float


def onsager(beta: float) -> InfiniteLattice:
    """Return F/N and ⟨H⟩/N of the infinite square lattice with J = 1 and no field; F/N is −∞ at β = 0.

    Raises
    ------
    ValueError : if beta is negative or not finite.

    References
    ----------
    L. Onsager, Phys. Rev. 65, 117 (1944).
    """
    _check_beta(beta)
    if beta == 0:
        return InfiniteLattice(-math.inf, 0.0)
    with mpmath.workdps(_SPARE_DIGITS + math.ceil(4 * beta)):
        s, c = mpmath.sinh(2 * mpmath.mpf(beta)), mpmath.cosh(2 * mpmath.mpf(beta))
        modulus, complement = 2 * s / c**2, (s**2 - 1) / c**2
        integral = mpmath.quad(
            lambda phi: mpmath.log((1 + mpmath.sqrt(1 - (modulus * mpmath.sin(phi)) ** 2)) / 2), [0, mpmath.pi / 2]
        )
        log_z = mpmath.log(2 * c) + integral / mpmath.pi
        singular = complement * mpmath.ellipk(modulus**2) if complement else 0
        return InfiniteLattice(float(-log_z / beta), float(-c / s * (1 + 2 / mpmath.pi * singular)))


def spontaneous_magnetization(beta: float) -> float:
    """Return (1 − sinh(2β)⁻⁴)^(1/8) below the critical temperature of the infinite lattice with J = 1, else 0.

    Raises
    ------
    ValueError : if beta is negative or not finite.

    References
    ----------
    C. N. Yang, Phys. Rev. 85, 808 (1952).
    """
    _check_beta(beta)
    sinh = math.sinh(min(2 * beta, 300.0))
    return (1 - sinh**-4) ** 0.125 if sinh > 1 else 0.0

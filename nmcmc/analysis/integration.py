"""Thermodynamic integration: log Z(β) = log Z(0) − ∫_0^β ⟨H⟩ dβ', with an error of the quadrature."""

from __future__ import annotations

import numpy as np

from nmcmc.analysis.quantity import Quantity
from nmcmc.types import Floats


def nodes(beta: float, panels: int) -> Floats:
    """Return the panels + 1 points of Clenshaw–Curtis quadrature on 0 … β: β (1 − cos(πj/panels))/2.

    Raises
    ------
    ValueError : for a beta that is not positive, or panels that are not an even number ≥ 4.
    """
    if not beta > 0:
        raise ValueError(f"beta is {beta}; log Z(0) = N ln 2 needs no integration, give beta > 0")
    if panels < 4 or panels % 2:
        raise ValueError(f"panels is {panels}; give an even number ≥ 4: every second point makes the coarser rule")
    return 0.5 * beta * (1 - np.cos(np.pi * np.arange(panels + 1) / panels))


def weights(beta: float, panels: int) -> Floats:
    """Return the weights of `nodes`: exact for polynomials of degree ``panels``.

    C. W. Clenshaw and A. R. Curtis, Numer. Math. 2, 197 (1960).
    """
    theta = np.pi * np.arange(panels + 1) / panels
    k = np.arange(1, panels // 2 + 1)
    factor = np.where(k == panels // 2, 1.0, 2.0) / (4 * k**2 - 1)
    rule: Floats = (1 - np.cos(2 * np.outer(theta, k)) @ factor) / panels
    rule[1:-1] *= 2
    return 0.5 * beta * rule


def integrated_log_z(beta: float, energies: list[Quantity], n_spins: int) -> Quantity:
    """Return log Z(β) = N ln 2 − Σ_j weight_j ⟨H⟩_j from ⟨H⟩ at the points `nodes`, in their order.

    The systematic error is that of the quadrature, from the difference D to the rule of every second point: what of |D|
    exceeds 3 of its own standard errors, which is the error of the coarser rule, plus S (|D|/S)^{3/2} for what hides in
    the noise, S = Σ_j |weight_j (⟨H⟩_j − ⟨H⟩_0)| the size of the integral. (The rule converges geometrically, so that
    its error goes at least like a power of D larger than one.) Where |D| exceeds 5 % of S the points are too few, which
    the result says.

    Raises
    ------
    ValueError : for other numbers of points than `nodes` takes.
    """
    panels = len(energies) - 1
    nodes(beta, panels)
    fine, coarse = weights(beta, panels), weights(beta, panels // 2) if panels > 4 else np.array([1, 4, 1]) * beta / 6
    total = _weighted(fine, energies)
    difference = total - _weighted(coarse, energies[::2])
    means = np.array([energy.value for energy in energies])
    size, off = float(np.abs(fine * (means - means[0])).sum()), abs(difference.value)
    share = off / size if size > 0 else 0.0
    systematic = max(0.0, off - 3 * difference.estimate().error) + size * share**1.5
    log_z = n_spins * float(np.log(2)) - total
    reasons = log_z.reasons + (("too few points for the integral over beta",) if share > 0.05 else ())
    return Quantity(log_z.value, log_z.influences, log_z.systematic + systematic, reasons)


def _weighted(rule: Floats, energies: list[Quantity]) -> Quantity:
    return sum((w * energy for w, energy in zip(rule.tolist(), energies, strict=True)), Quantity(0.0))

"""Mutual information of two parts of a system and relative entropy of two temperatures, from sampled states.

Everything rests on conditional partition functions: log Z(a) = log Σ_b exp(−βH(a, b)) of a part a with the rest b
summed out, so that p(a) = Z(a)/Z. `exact.parts` has them where they are exact: for one sublattice of a
two-colourable system, and for strips. All functions return a `Quantity`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nmcmc.analysis.free_energy import importance_log_z, weighted_mean
from nmcmc.analysis.importance import dominated
from nmcmc.analysis.quantity import Quantity, checked_values, mean_of
from nmcmc.types import Floats


def weighted_mutual_information(
    log_density: Floats,
    log_z_a: Floats,
    log_z_b: Floats,
    log_weight: Floats,
    source: str = "draws",
    log_z: Quantity | float | None = None,
) -> Quantity:
    """Return I(a; b) = log Z + ⟨log_density − log Z(a) − log Z(b)⟩ in nats from draws of q and their weights, all (n,).

    I = ⟨log p(a, b)/(p(a) p(b))⟩ with p(a) = Z(a)/Z; the first term is log mean w and the second a weighted mean, of
    the same draws, whose errors are taken together. P. Białas, P. Korcyl, T. Stebel, D. Zapolski (2023),
    arXiv:2304.13412.

    Parameters
    ----------
    log_density : −βH(a, b). log_z_a, log_z_b : log Σ_b exp(−βH) at the draw's a, log Σ_a exp(−βH) at its b.
    log_weight : −βH − log q. log_z : log Z if it is known from elsewhere.
    """
    terms = weighted_mean(log_density - log_z_a - log_z_b, log_weight, source)
    return terms + (importance_log_z(log_weight, source) if log_z is None else log_z)


def chain_mutual_information(
    log_density: Floats, log_z_a: Floats, log_z_b: Floats, log_z: Quantity | float, source: str = "chain"
) -> Quantity:
    """Return I(a; b) = log Z + ⟨log_density − log Z(a) − log Z(b)⟩ from states of a chain of p, (n_chains, n_draws).

    log Z is exact, or a `Quantity`; one from the same chain has the same source, and errors are taken together.
    """
    return mean_of(log_density - log_z_a - log_z_b, source) + log_z


def bracketed(lower: Quantity, upper: Quantity) -> Quantity:
    """Return the middle of a lower and an upper bound, half of their distance a systematic error.

    Not reliable if the lower bound is 5 σ above the upper one: the states that made the bounds are not those of p.
    """
    gap = (upper - lower).estimate()
    middle = 0.5 * (lower + upper)
    crossed = ("the lower bound is above the upper one: the states are not those of the target",)
    reasons = middle.reasons + (crossed if gap.value < -5 * gap.error else ())
    return replace(middle, systematic=middle.systematic + max(gap.value, 0.0) / 2, reasons=reasons)


def log_z_difference(log_ratio: Floats, source: str = "chain") -> Quantity:
    """Return log⟨exp(log_ratio)⟩ over states of a chain: log Z_2 − log Z_1 for the log ratio of two densities.

    Not reliable if one state has 5 % of the sum: the two distributions hardly overlap, use
    `free_energy.temperatures_log_z`.
    """
    log_ratio = checked_values(log_ratio)
    top = float(log_ratio.max())
    w = np.exp(log_ratio - top)
    reasons = ("one state carries more than 5 % of the sum of ratios",) if dominated(w) else ()
    return Quantity(top + math.log(w.mean()), {source: w / w.mean() - 1}, reasons=reasons)


def relative_entropy(log_ratio: Floats, source: str = "chain") -> Quantity:
    """Return D(p_1‖p_2) = log(Z_2/Z_1) − ⟨log_ratio⟩_1 in nats, log_ratio = log_density_2 − log_density_1, ≥ 0.

    For two temperatures log_ratio = −(β_2 − β_1)H, and D = (β_2 − β_1)⟨H⟩_1 + log Z_2 − log Z_1. For what is left of
    them after part of the spins has been summed out, it is log Z_2(a) − log Z_1(a) of the remaining spins a: D can only
    become smaller. Both terms come from one chain at p_1, and errors are taken together.
    """
    return log_z_difference(log_ratio, source) - mean_of(log_ratio, source)

"""Observables at a β nearby from one chain, and how far that may be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.observables import formulas, moments
from nmcmc.analysis.quantity import Quantity, checked_values, function_of
from nmcmc.types import Estimate, Floats

LEAST_STATES = 100.0
"""Effectively independent states below which a reweighted mean is not believed."""


def effective_states(energies: Floats, beta_step: float, values: Floats | None = None) -> float:
    """Return the effectively independent states behind a mean at β + Δβ; arrays (n_chains, n_draws).

    The smaller of two numbers: (Σw)²/Σw²/(2 τ_int) of the weights w = exp(−Δβ H), which falls with the overlap of the
    two energy distributions, like exp(−Δβ² var H) for Gaussian ones; and 3 (Σu²)²/Σu⁴/(2 τ_int) of the terms
    u = w (O − ⟨O⟩) of which the observable's error is made, n/(2 τ_int) where they are Gaussian. Those of H² and m⁴
    come from tails that fewer states reach. Chains whose energy never changes have none.
    """
    energies = checked_values(energies)
    return _independent(energies, _states(_shares(energies, beta_step), [] if values is None else [values]))


def _states(w: Floats, values_list: Sequence[Floats]) -> float:
    """Return the smallest number of draws that carry the weight w, or the error of one of the weighted means."""
    means = [float(np.sum(w * values) / w.sum()) for values in values_list]
    return min([_kish(w), *(carriers(w * (v - mean)) for v, mean in zip(values_list, means, strict=True))])


def _independent(energies: Floats, number: float) -> float:
    if np.ptp(energies) == 0:
        return 0.0
    tau = estimate_mean(energies).tau_int
    return number / (2 * max(tau, 0.5) if math.isfinite(tau) else 1.0)


def carriers(terms: Floats) -> float:
    """Return the number of terms that carry the error: all of them if Gaussian, and where there is no error."""
    scale = float(np.abs(terms).max())
    return 3 * _kish((terms / scale) ** 2) if scale > 0 else float(terms.size)


def reweighted(values: Floats, energies: Floats, beta_step: float, source: str = "chain") -> Quantity:
    """Return ⟨O⟩ at β + Δβ, Σ w O/Σ w with w = exp(−Δβ H), from a chain at β; values and H (n_chains, n_draws).

    Not reliable if fewer than 100 effectively independent states carry the weight, whose error bars then miss what the
    chain has not visited. A. M. Ferrenberg and R. H. Swendsen, Phys. Rev. Lett. 61, 2635 (1988).

    Raises
    ------
    ValueError : for shapes that differ, or too few draws. FloatingPointError : for what is not finite.
    """
    values, energies = checked_values(values), checked_values(energies)
    if values.shape != energies.shape:
        raise ValueError(f"values have shape {values.shape} and energies {energies.shape}; give those of one chain")
    w = _shares(energies, beta_step)
    w = w / w.mean()
    mean, n = float(np.mean(w * values)), effective_states(energies, beta_step, values)
    return Quantity(mean, {source: w * (values - mean)}, reasons=_reasons(n))


def _reasons(n: float) -> tuple[str, ...]:
    return (f"only {n:.0f} independent states carry the weight at this beta",) if n < LEAST_STATES else ()


def reweighted_function(
    function: Callable[..., float], values_list: Sequence[Floats], energies: Floats, beta_step: float
) -> Estimate:
    """Return f(⟨a⟩, ⟨b⟩, …) at β + Δβ from a chain at β; arrays (n_chains, n_draws)."""
    quantity = function_of(function, [reweighted(values, energies, beta_step) for values in values_list])
    if not quantity.reasons:
        n = min(_independent(checked_values(energies), carriers(terms)) for terms in quantity.influences.values())
        quantity = replace(quantity, reasons=_reasons(n))
    return quantity.estimate()


def reweight(series: Mapping[str, Floats], n_spins: int, beta: float, to_beta: float) -> dict[str, Estimate]:
    """Return the quantities of `observables.derive` (but correlation_length) at ``to_beta`` from a chain at ``beta``.

    Parameters
    ----------
    series : "energy" (total H) and "magnetization" (per spin), (n_chains, n_draws).

    Raises
    ------
    KeyError : if one is missing. ValueError, FloatingPointError : as `reweighted`; ValueError for a negative β.
    """
    if not (math.isfinite(to_beta) and to_beta >= 0):
        raise ValueError(f"to_beta is {to_beta}; it must be a finite number ≥ 0")
    energies = series["energy"]
    recorded = moments(energies / n_spins, series["magnetization"])
    return {
        name: reweighted_function(function, [recorded[moment] for moment in names], energies, to_beta - beta)
        for name, (function, names) in formulas(n_spins, to_beta).items()
    }


def reweighting_range(energies: Floats, beta: float, values: Floats | None = None) -> tuple[float, float]:
    """Return the interval of β around a chain's own in which reweighting has 100 independent states or more.

    Without ``values`` it is that of the specific heat, in which `reweight` believes it: of (H − ⟨H⟩)², ⟨H⟩ that of the
    other β, and of the two means that it is made of. It is (β, β) for a chain that has fewer itself, and for one whose
    energy never changes: nothing says how much another β would differ.
    """
    energies = checked_values(energies)
    return _reach(energies, beta, -1.0, values), _reach(energies, beta, 1.0, values)


def _reach(energies: Floats, beta: float, direction: float, values: Floats | None) -> float:
    worth, shifted = _independent(energies, 1.0), energies - energies.mean()

    def enough(step: float) -> bool:
        w = _shares(energies, direction * step)
        squares = (shifted - float(np.sum(w * shifted) / w.sum())) ** 2
        return worth * _states(w, [shifted, shifted**2, squares] if values is None else [values]) >= LEAST_STATES

    if not (worth > 0 and enough(0.0)):
        return beta
    # The number may rise again beyond, where all weight lies on a few states that are alike: the first step counts.
    low, stride = 0.0, 0.25 / float(energies.std())
    while low < 20.0 / float(energies.std()) and enough(low + stride):
        low += stride
    high = low + stride
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if enough(middle) else (low, middle)
    return max(0.0, beta + direction * low)


def _kish(w: Floats) -> float:
    return float(w.sum() ** 2 / np.sum(w**2))


def _shares(energies: Floats, beta_step: float) -> Floats:
    exponents = -beta_step * energies
    w: Floats = np.exp(exponents - exponents.max())
    return w

"""Estimates from independent draws of a sampler and their log weights −βH − log q; safe against overflow.

Errors are those of the linearised estimator (delta method): the standard deviation of its influence function/√n.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from nmcmc.analysis.autocorrelation import (
    checked_series,
    curvature_bias,
    estimate_mean,
    linearise,
    without_bias,
)
from nmcmc.analysis.intervals import error_of_mean
from nmcmc.analysis.observables import formulas, moments
from nmcmc.analysis.tails import heavy, heavy_for_ess, pareto_k
from nmcmc.types import Estimate, Floats

ESS_DRAWS = 10_000
"""Fewer draws than this say too little about the tail of the weights to quote an ess_fraction."""
LARGEST_SHARE = 0.05
"""If one draw carries more than this share of all weight, sums of weights are a matter of luck."""
_ROUNDING = 32 * float(np.finfo(np.float64).eps)


def checked_log_weight(log_weight: Floats) -> Floats:
    """Return the log weights as float64 (n,); −inf is a weight of zero.

    Raises
    ------
    ValueError : for another shape or fewer than two draws.
    FloatingPointError : for NaN, +inf, or if all weights are zero.
    """
    log_weight = np.asarray(log_weight, dtype=np.float64)
    if log_weight.ndim != 1 or len(log_weight) < 2:
        raise ValueError(f"log weights have shape {log_weight.shape}; give at least two independent draws, (n,)")
    bad = np.flatnonzero(np.isnan(log_weight) | (log_weight == np.inf))
    if bad.size:
        raise FloatingPointError(f"log weight {bad[0]} is {log_weight[bad[0]]}; check the sampler's log_prob")
    if log_weight.max() == -np.inf:
        raise FloatingPointError("all weights are zero: the sampler never draws a state of the target")
    return log_weight


def ess_fraction(log_weight: Floats) -> Estimate:
    """Return (Σw)²/(n Σw²) for log weights (n,).

    Reliable from 10⁴ draws on if no draw has 5 % of all weight and the weights' tail has a Pareto k ≤ 0.35.

    Examples
    --------
    >>> ess_fraction(np.repeat([0.0, -np.inf], 10_000)).value
    0.5
    """
    w = _relative_weights(log_weight)
    mean, mean_square = float(w.mean()), float(np.mean(w**2))
    value = mean**2 / mean_square
    influence = 2 * mean / mean_square * (w - mean) - value / mean_square * (w**2 - mean_square)
    reasons = [f"only {len(w)} draws; ess_fraction needs at least {ESS_DRAWS}"] if len(w) < ESS_DRAWS else []
    return _iid(value, influence, [*reasons, *dominated(w), *heavy_for_ess(w)], floor=_ROUNDING)


def weight_tail(log_weight: Floats) -> Estimate:
    """Return the Pareto shape k of the tail of the weights (`tails.pareto_k`) for log weights (n,)."""
    return pareto_k(_relative_weights(log_weight))


def kl(log_weight: Floats, log_z: float) -> Estimate:
    """Return KL(q‖p) = log Z − E_q[log w] in nats for log weights (n,) and the exact log Z."""
    if not math.isfinite(log_z):
        raise ValueError(f"log_z is {log_z}; give the exact, finite log Z of the target")
    log_weight = checked_log_weight(log_weight)
    if np.isneginf(log_weight).any():
        return _infinite(len(log_weight))
    mean = float(log_weight.mean())
    return _iid(log_z - mean, log_weight - mean, floor=_log_floor(log_weight))


def var_log_weight(log_weight: Floats) -> Estimate:
    """Return the variance of log w under q for log weights (n,); 0 if and only if q = p where q draws."""
    log_weight = checked_log_weight(log_weight)
    if np.isneginf(log_weight).any():
        return _infinite(len(log_weight))
    square = (log_weight - log_weight.mean()) ** 2
    value = float(log_weight.var(ddof=1))
    return _iid(value, square - value, floor=_log_floor(log_weight) ** 2)


def log_z(log_weight: Floats) -> Estimate:
    """Return log Ẑ = log mean w for log weights (n,); not reliable if one draw has 5 % of all weight."""
    w = _relative_weights(log_weight)
    value = float(np.max(log_weight)) + math.log(w.mean())
    return _iid(value, w / w.mean() - 1, dominated(w), floor=_log_floor(log_weight))


def free_energy_per_spin(log_weight: Floats, n_spins: int, beta: float) -> Estimate:
    """Return F/N = −log Ẑ/(βN) for log weights (n,).

    Raises
    ------
    ValueError : if beta is not positive: there is no free energy at infinite temperature.
    """
    if not beta > 0:
        raise ValueError(f"beta is {beta}; the free energy −log Z/beta needs beta > 0")
    return _scaled(log_z(log_weight), -1 / (beta * n_spins))


def variational_free_energy_per_spin(log_weight: Floats, n_spins: int, beta: float) -> Estimate:
    """Return F_q/N = −E_q[log w]/(βN), never below F/N but by noise, for log weights (n,).

    Raises
    ------
    ValueError : as `free_energy_per_spin`.
    """
    if not beta > 0:
        raise ValueError(f"beta is {beta}; the free energy F_q needs beta > 0")
    return _scaled(kl(log_weight, 0.0), 1 / (beta * n_spins))


def entropy_per_spin(energies: Floats, log_weight: Floats, n_spins: int, beta: float) -> Estimate:
    """Return S/N = (β⟨H⟩ + log Ẑ)/N with the joint error of both terms; energies H and log weights (n,)."""
    w = _relative_weights(log_weight)
    energies = _checked_values(energies, w)
    share = w / w.mean()
    mean = float(np.mean(share * energies))
    value = beta * mean + float(np.max(log_weight)) + math.log(w.mean())
    influence = beta * share * (energies - mean) + share - 1
    return _scaled(_iid(value, influence, dominated(w), floor=_log_floor(log_weight)), 1 / n_spins)


def importance_mean(values: Floats, log_weight: Floats) -> Estimate:
    """Return ⟨O⟩ = Σ w O/Σ w (neural importance sampling) for values and log weights (n,).

    Reference: K. A. Nicoli et al., Asymptotically unbiased estimation … (2020), arXiv:1910.13496.
    """
    return importance_function(lambda mean: mean, [values], log_weight)


def importance_function(function: Callable[..., float], values_list: Sequence[Floats], log_weight: Floats) -> Estimate:
    """Return f(⟨a⟩, ⟨b⟩, …) of self-normalised weighted means, its error by linearisation; arrays (n,).

    The bias of f at noisy means is removed to second order, as in `autocorrelation.estimate_function`.
    """
    w = _relative_weights(log_weight)
    share = w / w.mean()
    values_list = [_checked_values(values, w) for values in values_list]
    means = np.array([np.mean(share * values) for values in values_list])
    influences = [share * (values - mean) for values, mean in zip(values_list, means, strict=True)]
    steps = np.array([influence.std() for influence in influences]) / math.sqrt(len(w))
    value, slopes = linearise(function, means, steps)
    if not (math.isfinite(value) and np.all(np.isfinite(slopes))):
        why = "the quantity or its slope is not finite at the measured means"
        return Estimate(value, math.inf, n=len(w), reliable=False, why=why)
    influence = np.sum([slope * part for slope, part in zip(slopes, influences, strict=True)], axis=0)
    if influence.std() <= _ROUNDING * float(np.abs(slopes) @ np.abs(means)):
        return _iid(value, influence, ["the quantity does not vary"])
    covariance = np.atleast_2d(np.cov(np.stack(influences))) / len(w)
    return without_bias(_iid(value, influence, dominated(w)), curvature_bias(function, means, covariance))


def mode_drop(log_weight_draws: Floats, log_weight_chain: Floats) -> Estimate:
    """Return log(Ẑ · mean_chain(1/w)): the log of the share of p that the sampler covers; 0 if no mode is missing.

    Ẑ = E_q[w] comes from draws of the sampler and 1/Z = E_p[1/w] from a chain. The chain must be able to reach what
    the sampler misses (cluster updates, tempering): a chain whose only proposals are the sampler's own shares its
    blindness. The chain's error is that of the Γ-method.

    Parameters
    ----------
    log_weight_draws : (n,), independent draws of the sampler.
    log_weight_chain : (n_chains, n_draws), the same function log w of the states of a chain of the target.

    Raises
    ------
    ValueError, FloatingPointError : as `checked_log_weight` and `estimate_mean`; a chain has no state of weight 0.
    """
    forward = log_z(log_weight_draws)
    chain = checked_series(log_weight_chain)
    floor = _log_floor(np.append(chain.ravel(), forward.value))
    if max(np.ptp(chain), np.ptp(np.asarray(log_weight_draws))) <= floor:
        return Estimate(forward.value - float(chain.mean()), floor, n=chain.size)
    inverse = np.exp(chain.min() - chain)
    backward = estimate_mean(inverse)
    value = forward.value + math.log(backward.value) - float(chain.min())
    reasons = [forward.why, backward.why]
    if inverse.max() > LARGEST_SHARE * inverse.sum():
        reasons.append("one state of the chain carries more than 5 % of the mean of 1/w")
    why = "; ".join(reason for reason in reasons if reason)
    scale = 1 / backward.value
    error = math.hypot(forward.error, backward.error * scale, floor)
    parts = (forward.error * forward.error_error, backward.error * backward.error_error * scale**2)
    tau = backward.tau_int, backward.tau_int_error
    return Estimate(value, error, *tau, chain.size, not why, why, math.hypot(*parts) / error)


def derive_importance(
    energies: Floats, magnetizations: Floats, log_weight: Floats, n_spins: int, beta: float
) -> dict[str, Estimate]:
    """Return the quantities of `observables.derive` (but correlation_length) from weighted draws; arrays (n,)."""
    w = _relative_weights(log_weight)
    recorded = moments(_checked_values(energies, w) / n_spins, _checked_values(magnetizations, w))
    return {
        name: importance_function(function, [recorded[moment] for moment in names], log_weight)
        for name, (function, names) in formulas(n_spins, beta).items()
    }


def _relative_weights(log_weight: Floats) -> Floats:
    log_weight = checked_log_weight(log_weight)
    w: Floats = np.exp(log_weight - log_weight.max())
    return w


def _checked_values(values: Floats, w: Floats) -> Floats:
    values = np.asarray(values, dtype=np.float64)
    if values.shape != w.shape:
        raise ValueError(f"values have shape {values.shape}; give one per log weight, {w.shape}")
    if not np.all(np.isfinite(values)):
        raise FloatingPointError(f"value {np.flatnonzero(~np.isfinite(values))[0]} is not finite")
    return values


def dominated(w: Floats) -> list[str]:
    """Return complaints if one of the weights, of any shape, has more than 5 % of their sum, or their tail is heavy."""
    share = float(w.max() / w.sum())
    alone = [f"one draw carries {100 * share:.0f} % of all weight"] if share > LARGEST_SHARE else []
    return alone + heavy(w.ravel())


def _log_floor(log_weight: Floats) -> float:
    """Return the rounding error of log weights: what an exact sampler has for a statistical error."""
    return _ROUNDING * float(np.max(np.abs(log_weight), initial=1.0, where=np.isfinite(log_weight)))


def _iid(value: float, influence: Floats, reasons: Sequence[str] = (), floor: float = 0.0) -> Estimate:
    """Return a value with the error of the mean of its influence function; the error's own error is from kurtosis."""
    error, error_error = error_of_mean(influence)
    why = "; ".join(reasons)
    return Estimate(
        value, math.hypot(error, floor), n=len(influence), reliable=not why, why=why, error_error=error_error
    )


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    return replace(
        estimate,
        value=factor * estimate.value,
        error=abs(factor) * estimate.error,
        error_error=abs(factor) * estimate.error_error,
    )


def _infinite(n: int) -> Estimate:
    return Estimate(math.inf, math.inf, n=n, reliable=False, why="a weight is zero: q draws states outside the target")

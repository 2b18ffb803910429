"""Acceptance rate and τ_int of independence Metropolis–Hastings, predicted from the weights of draws alone.

The n draws are taken for the state space: proposals have q_i = 1/n, the target is π_i ∝ w_i. With the states ordered
by falling weight and S_k = Σ_{i≥k} π_i, the chain's eigenvalues are λ_k = Σ_i q_i max(0, 1 − w_i/w_k), k = 1 … n − 1,
besides 1, and the eigenvector of λ_k is 0 before k, S_{k+1} at k and −π_k after k. Its squared overlap with an
observable O is c_k = π_k S_{k+1}/S_k (O_k − Ō_{>k})², where Ō_{>k} is the mean of O under π over the states after k.

Reference: J. S. Liu, Metropolized independent sampling with comparisons to rejection sampling and importance
sampling, Statistics and Computing 6, 113 (1996).
"""

from __future__ import annotations

import math

import numpy as np

from nmcmc.analysis.autocorrelation import linearise
from nmcmc.analysis.importance import checked_log_weight, dominated
from nmcmc.analysis.observables import formulas, moments
from nmcmc.types import Estimate, Floats

_GROUPS = 10
_ROUNDING = 64 * float(np.finfo(np.float64).eps)


def eigenvalues(log_weight: Floats, probability: Floats | None = None) -> Floats:
    """Return λ_k = Σ_i q_i max(0, 1 − w_i/w_k), (n,) in the order given: the chance to stay at state k.

    That of the state of least weight, always 0, stands for the stationary eigenvalue 1. Sorting makes it O(n log n).

    Parameters
    ----------
    log_weight : of draws, or of all states of a small system, (n,).
    probability : q of the states, (n,), adding up to 1; by default 1/n, that of draws.

    Raises
    ------
    ValueError : if there is not a probability for each weight. ValueError, FloatingPointError : as
        `importance.checked_log_weight`.
    """
    log_weight = checked_log_weight(log_weight)
    n = len(log_weight)
    q = np.full(n, 1 / n) if probability is None else np.asarray(probability, dtype=np.float64)
    if q.shape != (n,):
        raise ValueError(f"probability has shape {q.shape}; give one per log weight, {log_weight.shape}")
    order = np.argsort(-log_weight, kind="stable")
    w, q = _falling_weights(log_weight[order]), q[order]
    ratio = np.divide(_sum_after(q * w), w, out=np.full(n, np.inf), where=w > 0)
    result = np.empty(n)
    result[order] = 1 - np.minimum(np.cumsum(q) + ratio, 1.0)
    return result


def predicted_acceptance(log_weight: Floats) -> Estimate:
    """Return E[min(1, w'/w)] over states ~ p and proposals ~ q, (Σ_ij min(w_i, w_j))/(n Σw), for log weights (n,).

    The error is that of the linearised estimator. Pairs of a draw with itself count: an upward bias of less than 1/n.
    Not reliable if one draw has 5 % of all weight.
    """
    log_weight = np.sort(checked_log_weight(log_weight))[::-1]
    w = _falling_weights(log_weight)
    minimum = w * _leaving(w)
    mean, rate = float(w.mean()), float(minimum.mean() / w.mean())
    influence = (2 * (minimum - minimum.mean()) - rate * (w - mean)) / mean
    why = "; ".join(dominated(w))
    return Estimate(rate, float(influence.std(ddof=1)) / math.sqrt(len(w)), n=len(w), reliable=not why, why=why)


def predicted_tau_int(values: Floats, log_weight: Floats) -> Estimate:
    """Return τ_int = ½ + Σ_k c_k λ_k/(1 − λ_k)/Σ_k c_k of an observable in updates; values and log weights (n,).

    The error is a jackknife over ten groups of draws. Large weights make τ_int, and draws that contain none
    underestimate it; not reliable if one draw has 5 % of all weight, or with fewer than 100 draws.

    Raises
    ------
    ValueError : if the values have another shape or do not vary where the weights are not zero.
    FloatingPointError : for NaN or infinite values, or as `checked_log_weight`.
    """
    log_weight = checked_log_weight(log_weight)
    values = np.asarray(values, dtype=np.float64)
    if values.shape != log_weight.shape:
        raise ValueError(f"values have shape {values.shape}; give one per log weight, {log_weight.shape}")
    if not np.all(np.isfinite(values)):
        raise FloatingPointError("the values contain NaN or infinity; they must be finite")
    tau = _tau_int(values, log_weight)
    if len(values) < 100:
        return Estimate(tau, math.nan, n=len(values), reliable=False, why="fewer than 100 draws")
    group = np.arange(len(values)) % _GROUPS
    left_out = np.array([_tau_int(values[group != k], log_weight[group != k]) for k in range(_GROUPS)])
    error = math.sqrt((_GROUPS - 1) / _GROUPS * float(np.sum((left_out - left_out.mean()) ** 2)))
    why = "; ".join(dominated(np.exp(log_weight - log_weight.max())))
    return Estimate(tau, error, n=len(values), reliable=not why, why=why)


def predicted_tau_exp(log_weight: Floats) -> Estimate:
    """Return τ_exp = −1/ln λ_1, λ_1 = 1 − w̄/w_max, the decay time of the chain's slowest mode, for log weights (n,).

    No observable decays slower, as far as the largest weight has been seen: larger ones among the states that were not
    drawn make the true τ_exp larger. A `windows.TailWindow` with this τ_exp adds what an observable shows of it. The
    error is what the largest of as many draws would scatter by, π/√6 times the mean excess of the ten largest log
    weights over the next one (Hill 1975), and what w̄ does. Not reliable as `predicted_acceptance`.
    """
    falling = np.sort(checked_log_weight(log_weight))[::-1]
    w = _falling_weights(falling)
    slowest = 1 - min(float(w.mean()), 1.0)
    tau = -1 / math.log(slowest) if slowest > 0 else 0.0
    top = falling[: min(11, int(np.count_nonzero(w)))]
    scatter = math.pi / math.sqrt(6) * float(np.mean(top - top[-1]))
    # For slow modes τ ≈ w_max/w̄, and w_max is 1 here.
    of_mean = tau**2 / slowest * float(w.std(ddof=1)) / math.sqrt(len(w)) if slowest > 0 else 0.0
    error = math.hypot(scatter / float(w.mean()), of_mean)
    why = "; ".join(dominated(w))
    return Estimate(tau, error, n=len(w), reliable=not why, why=why)


def predict(
    energies: Floats, magnetizations: Floats, log_weight: Floats, n_spins: int, beta: float
) -> dict[str, Estimate]:
    """Return τ_int of every quantity of `importance.derive_importance` that varies, from weighted draws; arrays (n,).

    A function of means has the τ_int of its linearised fluctuation Σ_k ∂f/∂a_k (a_k − ā_k), as in
    `autocorrelation.estimate_function`.
    """
    log_weight = checked_log_weight(log_weight)
    share = np.exp(log_weight - log_weight.max())
    share /= share.sum()
    recorded = moments(np.asarray(energies, dtype=np.float64) / n_spins, np.asarray(magnetizations, dtype=np.float64))
    predictions = {}
    for name, (function, names) in formulas(n_spins, beta).items():
        columns = [recorded[moment] for moment in names]
        means = np.array([share @ column for column in columns])
        steps = np.array([column.std() for column in columns]) / math.sqrt(len(share))
        _, slopes = linearise(function, means, steps)
        if not np.all(np.isfinite(slopes)):
            continue
        fluctuation = np.sum([s * (c - m) for s, c, m in zip(slopes, columns, means, strict=True)], axis=0)
        scale = float(np.abs(slopes) @ np.abs(means))
        if float(share @ fluctuation**2) > (_ROUNDING * scale) ** 2:
            predictions[name] = predicted_tau_int(fluctuation, log_weight)
    return predictions


def _tau_int(values: Floats, log_weight: Floats) -> float:
    order = np.argsort(-log_weight, kind="stable")
    w = _falling_weights(log_weight[order])
    overlap = _overlaps(values[order], w)
    if not overlap.sum() > (_ROUNDING * np.abs(values).max()) ** 2 * w.sum():
        raise ValueError("the values do not vary; they have no autocorrelation time")
    leaving = _leaving(w)
    return float(0.5 + overlap @ ((1 - leaving) / leaving) / overlap.sum())


def _falling_weights(falling_log_weight: Floats) -> Floats:
    w: Floats = np.exp(falling_log_weight - falling_log_weight[0])
    return w


def _leaving(w: Floats) -> Floats:
    """Return 1 − λ_k = (k + Σ_{i>k} w_i/w_k)/n for falling weights; a state of weight zero is always left."""
    ratio = np.divide(_sum_after(w), w, out=np.full(len(w), np.inf), where=w > 0)
    leaving: Floats = np.minimum((np.arange(1, len(w) + 1) + ratio) / len(w), 1.0)
    return leaving


def _overlaps(values: Floats, w: Floats) -> Floats:
    """Return π_k S_{k+1}/S_k (O_k − Ō_{>k})², up to a common factor, for falling weights; 0 where S_{k+1} is 0."""
    values = values - np.average(values, weights=w)
    after = _sum_after(w)
    below = np.divide(_sum_after(w * values), after, out=np.zeros(len(w)), where=after > 0)
    factor = w * np.divide(after, after + w, out=np.zeros(len(w)), where=after > 0)
    return factor * (values - below) ** 2


def _sum_after(terms: Floats) -> Floats:
    """Return Σ_{i>k} of the terms, for every k; from the smallest weights up, so that none is lost to rounding."""
    return np.append(np.cumsum(terms[:0:-1])[::-1], 0.0)

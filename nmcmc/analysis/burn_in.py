"""Have the chains forgotten where they started? The cut that serves the mean best, and whether it is needed."""

from __future__ import annotations

import math

import numpy as np

from nmcmc.analysis.autocorrelation import autocorrelation, checked_series, variance_of_chain_mean
from nmcmc.analysis.modes import normal_scores
from nmcmc.analysis.reliability import chi_square_deviate
from nmcmc.types import Estimate, Floats

SIGNIFICANT_SIGMA = 5.0
LEAST_DRAWS = 8
_CUTS = 200
_LONGER = "draw more after a longer warm-up"
_ROUNDING = 64 * float(np.finfo(np.float64).eps)


def burn_in(series: Floats) -> Estimate:
    """Return how many draws at the start of every chain still remember it; 0 if the chains look stationary.

    The cut d minimises Σ_c Σ_{i>d} (a_ci − ā_c)²/(n − d)², the squared error of the means of what is left (MSER), for
    d ≤ n/2 on a grid whose spacing is the error given. It counts only if the means of the first d draws differ from
    those of the rest by 5 σ, in normal scores of the ranks; then the estimate is not reliable, and says what to do.
    σ is that of the rest without a straight line through every chain, so that a trend does not hide behind the
    autocorrelations that it makes. Chains of fewer than eight draws tell nothing.

    A drift below the fluctuations is worth no cut to MSER, though it may shift the mean by many errors. So the halves
    of every chain are compared in the same way, also at 5 σ; if they differ, n/2 is returned.

    Parameters
    ----------
    series : (n_chains, n_draws).

    Raises
    ------
    ValueError, FloatingPointError : as `autocorrelation.checked_series`.

    References
    ----------
    K. P. White Jr., Simulation 69, 323 (1997).

    Examples
    --------
    >>> series = np.random.default_rng(1).standard_normal((4, 1000))
    >>> burn_in(series).value
    0.0
    >>> burn_in(series + 10 * np.exp(-np.arange(1000) / 20)).value > 20
    True
    """
    series = checked_series(series)
    n = series.shape[1]
    if n < LEAST_DRAWS:
        return Estimate(
            0.0, 1.0, n=series.size, reliable=False, why=f"chains of {n} draws are too short to see a start"
        )
    step = max(1, n // (2 * _CUTS))
    cuts = np.arange(0, n // 2 + 1, step)
    best = int(cuts[np.argmin(_squared_errors(series, cuts))])
    if np.ptp(series[:, best:]) == 0:
        return Estimate(0.0, float(step), n=series.size)
    scores = normal_scores(series)
    sigma = _deviation(scores, best) if best > 0 else 0.0
    if sigma >= SIGNIFICANT_SIGMA:
        why = f"the first {best} of {n} draws still remember the start ({min(sigma, 999):.0f} sigma)"
        longer = best > 0.4 * n or _drift(scores[:, best:]) >= SIGNIFICANT_SIGMA
        advice = _LONGER if longer else f"add {2 * best} to the warm-up"
        return Estimate(float(best), float(step), n=series.size, reliable=False, why=f"{why}: {advice}")
    sigma = _drift(scores)
    if sigma < SIGNIFICANT_SIGMA:
        return Estimate(0.0, float(step), n=series.size)
    why = f"the first half of {n} draws differs from the second ({min(sigma, 999):.0f} sigma): the chains drift"
    return Estimate(float(n // 2), float(step), n=series.size, reliable=False, why=f"{why}; {_LONGER}")


def _squared_errors(series: Floats, cuts: Floats) -> Floats:
    """Return Σ_c variance of chain c after each cut/(number of draws left)."""
    series = series - series.mean(axis=1, keepdims=True)
    left = series.shape[1] - cuts
    sums, squares = (
        np.concatenate([np.cumsum(x[:, ::-1], axis=1)[:, ::-1], np.zeros((len(x), 1))], axis=1)[:, cuts]
        for x in (series, series**2)
    )
    result: Floats = np.sum(squares / left - (sums / left) ** 2, axis=0) / left
    return result


def _deviation(scores: Floats, cut: int) -> float:
    """Return by how many σ the means of the draws before and after the cut differ, over all chains together.

    Of normal scores: rare and large values of m⁴ or a squared energy, which the cut would pick, are no memory.
    """
    first, rest = scores[:, :cut], scores[:, cut:]
    level = without_trend(rest)
    if np.abs(level).max() <= _ROUNDING * np.abs(scores).max():
        return math.inf
    # A line less leaves n − 2 degrees of freedom to each chain, and makes short ones look anticorrelated.
    variance, tau = float(np.sum(level**2)) / (rest.size - 2 * len(rest)), max(autocorrelation(level).tau_int, 0.5)
    spread = variance * (min(1.0, 2 * tau / cut) + min(1.0, 2 * tau / rest.shape[1]))
    return _deviate(first.mean(axis=1) - rest.mean(axis=1), spread)


def _drift(scores: Floats) -> float:
    """Return by how many σ the means of both halves of the chains differ, with τ_int at its upper 2 σ.

    The fluctuations are those of half chains without a straight line each: a drift must not be its own excuse.
    """
    half = scores.shape[1] // 2
    first, second = scores[:, :half], scores[:, -half:]
    level = without_trend(np.concatenate([first, second]))
    difference = first.mean(axis=1) - second.mean(axis=1)
    if np.abs(level).max() <= _ROUNDING * np.abs(scores).max():
        return math.inf if np.any(difference) else 0.0
    return _deviate(difference, 2 * variance_of_chain_mean(level))


def _deviate(differences: Floats, variance: float) -> float:
    """Return χ² = Σ_c difference²/variance as a normal deviate."""
    chi_square = float(np.sum(differences**2)) / variance
    return chi_square_deviate(chi_square, len(differences)) if math.isfinite(chi_square) else math.inf


def without_trend(series: Floats) -> Floats:
    """Return the series (n_chains, n_draws) less the straight line that fits each chain best."""
    time = np.arange(series.shape[1]) - (series.shape[1] - 1) / 2
    level = series - series.mean(axis=1, keepdims=True)
    result: Floats = level - (level @ time / (time @ time))[:, None] * time
    return result

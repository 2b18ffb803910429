"""Binning and jackknife: errors of chains without a single autocorrelation, to check the Γ-method against.

A mean of bins of length B has B times its variance V_B → 2τ_int Γ(0) as B grows, V_B ≈ V_∞ (1 − b/B). Two lengths
remove the leading bias: V_∞ ≈ 2 V_2B − V_B. The difference of this from the plain V_2B is what makes intervals of short
chains cover; its price is a variance of five times as many bins' worth, and degrees of freedom say so.

References: H. Flyvbjerg and H. G. Petersen, J. Chem. Phys. 91, 461 (1989), on bins; B. Efron, Ann. Stat. 7, 1 (1979),
on the jackknife; D. N. Politis and J. P. Romano, J. Time Ser. Anal. 16, 67 (1995), on the removal of the bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from nmcmc.analysis import reliability
from nmcmc.analysis.autocorrelation import (
    bins,
    checked_series,
    disagreement,
    equal_series,
    excess_kurtosis,
    linear_part,
    standing_still,
)
from nmcmc.types import Estimate, Floats

LEAST_BINS, MOST_BINS = 8, 128
"""Fewer bins say too little about a variance; more cost time and tell nothing new."""
_ROUNDING = 64 * float(np.finfo(np.float64).eps)


def binned_mean(series: Floats) -> Estimate:
    """Return ⟨a⟩ ± √((2V_2B − V_B)/N) of a series (n_chains, n_draws) from the spread of means of bins.

    B is the least length with B ≥ 2 V_B/V_1, some 2.7 τ_int of an exponential; τ_int is (2V_2B − V_B)/(2V_1). Not
    reliable if bins so long are too few, if a chain stands still, or if the chains disagree.

    Raises
    ------
    ValueError, FloatingPointError : as `autocorrelation.checked_series`.
    """
    return jackknife_function(lambda mean: mean, [checked_series(series)])


def jackknife_function(function: Callable[..., float], series_list: Sequence[Floats]) -> Estimate:
    """Return f(⟨a⟩, ⟨b⟩, …), its bias removed, with the error of a delete-one-bin jackknife.

    f_k leaves out bin k of n: the bias is (n − 1)(f̄ − f) and the error squared (n − 1)/n Σ_k (f_k − f̄)² = V_B/N; from
    bins of lengths B and 2B both are put together as 2V_2B − V_B. B is that of `binned_mean` for the linearised f.

    Parameters
    ----------
    function : takes one float per series.
    series_list : series of one simulation, all of one shape (n_chains, n_draws).

    Raises
    ------
    ValueError : if the shapes differ. ValueError, FloatingPointError : as `autocorrelation.checked_series`.
    """
    series_list = equal_series(series_list)
    part = linear_part(function, series_list)
    if not part.finite:
        return part.nothing()
    value, fluctuation = part.value, part.fluctuation
    n, n_draws, variance = fluctuation.size, fluctuation.shape[1], float(np.mean(fluctuation**2))
    if variance <= (_ROUNDING * part.scale) ** 2:
        runs = reliability.longest_runs(series_list)
        why = reliability.stuck(runs, n_draws, 0.5) or "the quantity does not vary"
        return Estimate(value, 0.0, math.nan, math.nan, n, False, why)
    length, reached = bin_length(fluctuation)
    (short, short_bias), (long, long_bias) = (_jackknife(function, series_list, b) for b in (length, 2 * length))
    found = max(2 * long - short, 0.5 * short)
    value -= 2 * long_bias - short_bias
    dof = max((n_draws // length) * len(fluctuation) / 5, 1.0)
    tau, error = found / (2 * variance), math.sqrt(found / n)
    reasons = [
        "" if reached else f"bins of {length} draws are shorter than 2 V_B/V_1: draw more",
        standing_still(fluctuation, series_list),
        reliability.too_short(n_draws, tau),
        disagreement(fluctuation),
    ]
    why = "; ".join(reason for reason in reasons if reason)
    spread = math.sqrt(2 / dof + 2 * max(tau, 0.5) * excess_kurtosis(fluctuation) / n)
    return Estimate(value, error, tau, tau * spread, n, not why, why, 0.5 * error * spread, length)


def bin_length(series: Floats) -> tuple[int, bool]:
    """Return the least B ≥ 2 V_B/V_1 of a series (n_chains, n_draws) that varies, and whether bins of 2B suffice."""
    single = float(series.var())
    length, variance = 1, single
    for length in _lengths(series.shape):
        variance = length * float(bins(series, length).var(ddof=1))
        if length * single >= 2 * variance:
            return length, True
    return length, False


def _lengths(shape: tuple[int, ...]) -> Iterator[int]:
    """Yield lengths that grow by a quarter, between the most and the least bins."""
    n_chains, n_draws = shape
    length = max(1, -(-n_draws * n_chains // MOST_BINS))
    yield min(length, max(n_draws // 2, 1))
    longest = min(n_draws // 2, n_draws * n_chains // (2 * LEAST_BINS))
    while (longer := max(length + 1, round(1.25 * length))) <= longest:
        length = longer
        yield length


def _jackknife(function: Callable[..., float], series_list: Sequence[Floats], length: int) -> tuple[float, float]:
    """Return V_B, N times the jackknife's variance, and the bias of f at the means."""
    columns = np.stack([bins(series, length) for series in series_list])
    n, total = columns.shape[1], columns.sum(axis=1)
    left_out = np.array([function(*row) for row in ((total[:, None] - columns) / (n - 1)).T])
    mean = float(left_out.mean())
    variance = (n - 1) / n * float(np.sum((left_out - mean) ** 2))
    return n * length * variance, (n - 1) * (mean - float(function(*(total / n))))

"""Does every chain see every phase? R̂ of chains from different starts, signs of m, overlaps of replicas.

A sampler that misses a phase can have a perfect ess and a chain of its own proposals a short τ_int: both know only what
the sampler draws. What gives it away are chains that start elsewhere, a symmetry that the draws break, and
`importance.mode_drop`.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from nmcmc.analysis.autocorrelation import checked_series, disagreement, estimate_mean
from nmcmc.types import Estimate, Floats, Spins

LARGEST_RHAT = 1.01
"""Chains are taken to have mixed up to here (Vehtari et al. 2021), or as long as chance explains more."""

LEAST_DRAWS = 8


def split_rhat(series: Floats) -> Estimate:
    """Return R̂ = √((W(n − 1)/n + B/n)/W) of rank-normalised half chains, the larger one of a and |a − median|.

    Every chain is cut in two halves of n draws, values are replaced by normal scores of their ranks, W is the mean
    variance within and B/n the variance of the means of half chains: 1 if all have seen the same distribution. Ranks
    make it blind to the scale of the values, the second series sees chains that differ in width. Not reliable if
    R̂ > 1.01 and the means also differ by 5 σ of what their autocorrelations allow, or if half chains never move. An
    R̂ above 1.01 that chance explains (short chains of long τ_int) is only a number.

    Parameters
    ----------
    series : (n_chains, n_draws ≥ 8), from starts as different as the states of the target.

    Raises
    ------
    ValueError, FloatingPointError : as `autocorrelation.checked_series`, and for fewer than 8 draws.

    References
    ----------
    A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Bürkner, Bayesian Anal. 16, 667 (2021), arXiv:1903.08008.

    Examples
    --------
    >>> series = np.random.default_rng(1).random((4, 1000))
    >>> split_rhat(series).reliable, split_rhat(series + [[0], [0], [0], [1]]).reliable
    (True, False)
    """
    halves = _halves(checked_series(series))
    if np.all(np.ptp(halves, axis=1) == 0):
        return Estimate(math.inf, math.inf, n=halves.size, reliable=False, why="no chain ever moves")
    return max((_rhat(normal_scores(x)) for x in (halves, np.abs(halves - np.median(halves)))), key=lambda e: e.value)


def share_up(magnetization: Floats) -> Estimate:
    """Return the share of draws with m > 0 (those with m = 0 count half); ½ if H(s) = H(−s).

    Parameters
    ----------
    magnetization : (n_chains, n_draws).

    Raises
    ------
    ValueError, FloatingPointError : as `autocorrelation.estimate_mean`.
    """
    return estimate_mean(signs_up(magnetization))


def signs_up(magnetization: Floats) -> Floats:
    """Return 1 where m > 0, ½ where m = 0, and 0 elsewhere."""
    up: Floats = np.heaviside(magnetization, 0.5)
    return up


def replica_overlaps(spins: Spins) -> Floats:
    """Return q = Σ_i s_i s'_i/N of independent chains two by two at the same time, (n_chains // 2, n_kept).

    Without a field q is symmetric about 0, whatever the order is: magnetic, antiferromagnetic or that of a glass.

    Parameters
    ----------
    spins : configurations of chains (n_chains ≥ 2, n_kept, n_spins).

    Raises
    ------
    ValueError : for another shape.
    """
    if spins.ndim != 3 or len(spins) < 2:
        raise ValueError(f"spins have the shape {spins.shape}; give (n_chains, n_kept, n_spins) of at least two chains")
    pairs = len(spins) // 2
    products = np.einsum("ckn,ckn->ck", spins[0 : 2 * pairs : 2], spins[1 : 2 * pairs : 2], dtype=np.int64)
    overlaps: Floats = products / spins.shape[2]
    return overlaps


def normal_scores(values: Floats) -> Floats:
    """Return Φ⁻¹((r − ⅜)/(n + ¼)) of the ranks r of the values among all n of them; equal ones share a mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - 0.5 * (count - 1)
    inverse = NormalDist().inv_cdf
    scores = np.array([inverse(p) for p in ((rank - 0.375) / (values.size + 0.25)).tolist()])
    return scores[place].reshape(values.shape)


def _halves(series: Floats) -> Floats:
    n_draws = series.shape[1]
    if n_draws < LEAST_DRAWS:
        raise ValueError(f"chains have {n_draws} draws; split R̂ needs at least {LEAST_DRAWS}")
    return np.concatenate([series[:, : n_draws // 2], series[:, (n_draws + 1) // 2 :]])


def _rhat(scores: Floats) -> Estimate:
    m, n = scores.shape
    means, within = scores.mean(axis=1), float(scores.var(axis=1, ddof=1).mean())
    if within == 0:  # |a − median| may be constant where a is not, or all chains stand still apart
        apart = float(np.ptp(means)) > 0
        why = "every chain stands still, each elsewhere" if apart else ""
        return Estimate(math.inf if apart else 1.0, math.inf if apart else 0.0, n=m * n, reliable=not why, why=why)
    between = float(means.var(ddof=1))
    rhat = math.sqrt((n - 1) / n + between / within)
    error = between / within / (2 * rhat) * math.sqrt(2 / (m - 1))
    apart_by = disagreement(scores) if rhat > LARGEST_RHAT else ""
    why = f"split R̂ = {rhat:.3f} > {LARGEST_RHAT}; {apart_by}" if apart_by else ""
    return Estimate(rhat, error, n=m * n, reliable=not why, why=why)

"""How heavy is the tail of the weights? The Pareto shape k says whether their sums can be believed at all.

Above a high threshold weights are distributed like P(w > u + x) = (1 + kx/σ)^{−1/k}. Moments of order 1/k and above do
not exist, or, where weights are bounded, come from draws that are too rare to be seen: beyond k = ½ the variance of the
weights (and with it the ess) is beyond reach, from k = 0.7 on averages converge too slowly for any practical number of
draws, at 1 the mean (Z itself) is lost.

References: A. Vehtari, D. Simpson, A. Gelman, Y. Yao and J. Gabry, Pareto smoothed importance sampling (2015–2024),
arXiv:1507.02646; J. Zhang and M. A. Stephens, Technometrics 51, 316 (2009), for the fit.
"""

from __future__ import annotations

import math

import numpy as np

from nmcmc.types import Estimate, Floats

LARGEST_K = 0.7
"""With a heavier tail, sums of weights are not believed."""
LARGEST_ESS_K = 0.35
"""With a heavier tail the error of ess, which needs the fourth moment of the weights (k < ¼), is not believed.

Of lognormal weights exp(σz), 10⁴ draws, at most 17 % are called reliable and are off by more than 1.96 errors.
"""
LEAST_TAIL = 40
"""Fewer weights in the tail say too little about its shape."""
LEAST_SHARE = 0.01
"""Where less than this share of all weight lies above the threshold, a tail of any shape changes next to nothing."""
_PRIOR_DRAWS, _PRIOR_K = 10, 0.5


def pareto_k(weights: Floats) -> Estimate:
    """Return the Pareto shape k of the largest min(n/5, 3√n) weights (n,), ±|1 + k|/√M; −∞ for weights without a tail.

    Not reliable beyond 0.7, unless the tail carries less than 1 % of all weight and no shape of it matters, or if the
    tail has fewer than 40 weights.

    Examples
    --------
    >>> uniform = np.random.default_rng(1).random(40_000)
    >>> abs(pareto_k(uniform**-0.5).deviation(0.5)) < 5, pareto_k(uniform**-0.5).reliable
    (True, True)
    >>> pareto_k(1 / uniform).why.split(":")[0]
    'the weights have a tail of Pareto k = 1.11 > 0.7'
    """
    excess, _ = _tail(weights)
    if len(excess) < 5:
        return Estimate(-math.inf, 0.0, n=len(weights))
    k, _ = generalised_pareto(excess)
    error = abs(1 + k) / math.sqrt(len(excess))
    why = _complaint(k) if float(excess.sum()) >= LEAST_SHARE * float(weights.sum()) else ""
    if len(excess) < LEAST_TAIL:
        why = f"only {len(excess)} weights are in the tail; its shape needs {LEAST_TAIL}"
    return Estimate(k, error, n=len(weights), reliable=not why, why=why)


def heavy(weights: Floats) -> list[str]:
    """Return a complaint if the tail of the weights (n,) has k > 0.7 and carries 1 % of their sum, else nothing."""
    why = _complaint(_shape_that_counts(weights))
    return [why] if why else []


def heavy_for_ess(weights: Floats) -> list[str]:
    """Return a complaint if the tail of the weights (n,) has 0.35 < k ≤ 0.7 and carries 1 % of their sum.

    Beyond 0.7 `heavy` says more than that.
    """
    k = _shape_that_counts(weights)
    if not LARGEST_ESS_K < k <= LARGEST_K:
        return []
    return [
        f"the weights have a tail of Pareto k = {k:.2f} > {LARGEST_ESS_K}: the largest ones, too rare to be seen, "
        "decide on ess, which is likely to be smaller"
    ]


def _shape_that_counts(weights: Floats) -> float:
    """Return k, or −∞ for a tail of fewer than 40 weights or of less than 1 % of all weight."""
    excess, threshold = _tail(weights)
    carried = float(excess.sum()) + threshold * len(excess)
    if len(excess) < LEAST_TAIL or float(excess.sum()) < LEAST_SHARE * float(weights.sum()) or carried == 0:
        return -math.inf
    return generalised_pareto(excess)[0]


def generalised_pareto(excess: Floats) -> tuple[float, float]:
    """Return k and σ of P(X > x) = (1 + kx/σ)^{−1/k} from at least five positive excesses in rising order.

    The estimator of Zhang and Stephens is a mean over θ = −k/σ, weighted by the profile likelihood
    n(ln(−θ/k(θ)) − k(θ) − 1) on a grid, k(θ) = mean ln(1 − θx). As in PSIS, k is pulled towards ½ as by ten more draws.
    """
    n = len(excess)
    size = 30 + math.isqrt(n)
    grid = (1 - np.sqrt(size / (np.arange(1, size + 1) - 0.5))) / (3 * excess[int(n / 4 + 0.5) - 1]) + 1 / excess[-1]
    shapes = np.mean(np.log1p(-grid[:, None] * excess), axis=1)
    rates = np.divide(-grid, shapes, out=np.full(size, 1 / np.mean(excess)), where=shapes != 0)  # their limit at θ = 0
    likelihood = n * (np.log(rates) - shapes - 1)
    posterior = np.exp(likelihood - likelihood.max())
    theta = float(grid @ posterior / posterior.sum())
    k = float(np.mean(np.log1p(-theta * excess)))
    return (n * k + _PRIOR_DRAWS * _PRIOR_K) / (n + _PRIOR_DRAWS), -k / theta


def _complaint(k: float) -> str:
    if not k > LARGEST_K:
        return ""
    return (
        f"the weights have a tail of Pareto k = {k:.2f} > {LARGEST_K}: draws that are too rare to be seen decide, and "
        "neither ess nor errors can be believed; train longer, or use a chain of other updates"
    )


def _tail(weights: Floats) -> tuple[Floats, float]:
    """Return in rising order by how much the largest weights exceed the next smaller one, and that threshold."""
    n = len(weights)
    size = math.ceil(min(0.2 * n, 3 * math.sqrt(n)))
    largest = np.sort(np.partition(weights, n - size - 1)[n - size - 1 :])
    excess = largest[1:] - largest[0]
    return excess[excess > 0], float(largest[0])

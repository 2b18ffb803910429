"""Confidence intervals that know that their own error bar is an estimate."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from nmcmc.types import Estimate, Floats

ONE_SIGMA = math.erf(math.sqrt(0.5))
"""The chance, 68.27 %, that a normal deviate lies within ± one σ."""
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(48)


def interval(estimate: Estimate, level: float = ONE_SIGMA) -> tuple[float, float]:
    """Return value ± t error, which covers the true value with probability ``level``; ±∞ where there is no error.

    t is the quantile of Student's distribution with as many degrees of freedom as the error is worth. For long chains
    it is that of the normal distribution: 1 for 68.27 %, 1.96 for 95 %.

    Parameters
    ----------
    estimate : with the error of its error; an ``error_error`` of 0 means that the error is known.
    level : between 0 and 1.

    Raises
    ------
    ValueError : for a level that is not between 0 and 1.

    Examples
    --------
    >>> low, high = interval(Estimate(1.0, 0.1), 0.95)
    >>> round(low, 3), round(high, 3)
    (0.804, 1.196)
    """
    if not math.isfinite(estimate.error):
        quantile(level)
        return -math.inf, math.inf
    reach = quantile(level, degrees_of_freedom(estimate)) * estimate.error
    return estimate.value - reach, estimate.value + reach


def error_of_mean(fluctuation: Floats) -> tuple[float, float]:
    """Return σ/√(n − 1) of independent draws (n,), σ² = mean (x − x̄)², and its one-σ error from their kurtosis.

    var σ̂² = (mean (x − x̄)⁴ − σ⁴)/n, and the error of a root is half that of what is below it.
    """
    n, square = len(fluctuation), (fluctuation - fluctuation.mean()) ** 2
    variance = float(square.mean())
    error = math.sqrt(variance / (n - 1))
    return error, 0.5 * error * float(square.std()) / (variance * math.sqrt(n)) if variance > 0 else 0.0


def degrees_of_freedom(estimate: Estimate) -> float:
    """Return ν = ½ (error/error_error)², the draws that would fix a normal variance as well as this one; at least 1.

    A variance from ν degrees of freedom has the relative error √(2/ν), half of which is that of its root
    (Satterthwaite 1946).
    """
    if not (estimate.error_error > 0 and estimate.error > 0):
        return math.inf
    return max(0.5 * (estimate.error / estimate.error_error) ** 2, 1.0)


def quantile(level: float, dof: float = math.inf) -> float:
    """Return t with P(|T| < t) = level for Student's T with dof ≥ 1 degrees of freedom, by Newton's method.

    With T = √ν tan θ, P(|T| < t) = 2 c_ν ∫_0^θ cos^{ν−1}, c_ν = Γ((ν + 1)/2)/(√π Γ(ν/2)).

    Raises
    ------
    ValueError : for a level that is not between 0 and 1, or dof < 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"the level is {level}; an interval covers with a probability between 0 and 1, as 0.95")
    if not dof >= 1:
        raise ValueError(f"dof is {dof}; a t quantile needs at least one degree of freedom")
    normal = NormalDist().inv_cdf(0.5 + level / 2)
    if dof > 1e6:
        return normal
    scale = 2 * math.exp(math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2)) / math.sqrt(math.pi)
    low, high = 0.0, math.pi / 2
    theta = math.atan(normal / math.sqrt(dof))
    for _ in range(60):
        nodes = 0.5 * theta * (1 + _NODES)
        excess = scale * 0.5 * theta * float(_NODE_WEIGHTS @ np.cos(nodes) ** (dof - 1)) - level
        low, high = (theta, high) if excess < 0 else (low, theta)
        step = theta - excess / (scale * math.cos(theta) ** (dof - 1))
        step = step if low < step < high else 0.5 * (low + high)
        if abs(step - theta) < 1e-13 * theta:
            break
        theta = step
    return math.sqrt(dof) * math.tan(theta)

"""Where to stop the sum τ_int = ½ + Σρ(t): beyond the window ρ(t) is more noise than memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nmcmc.types import Floats


@dataclass(frozen=True)
class WindowedSum:
    """A sum ½ + Σ_{t=1}^{W} ρ(t) that stopped at the lag W; ``tail`` estimates the rest, with its error."""

    window: int
    tau_int: float
    tail: float = 0.0
    tail_error: float = 0.0


class Window(Protocol):
    """A rule that stops the sum over ρ(t), t = 0 … len(rho) − 1, of a series of n draws in all chains together."""

    def __call__(self, rho: Floats, n: int) -> WindowedSum:
        """Return the sum, and the lag at which it stops."""
        ...


@dataclass(frozen=True)
class AutomaticWindow:
    """Stop at the smallest W with exp(−W/τ) < τ/√(WN), τ = s/ln((2τ_W + 1)/(2τ_W − 1)) (Wolff 2004, eq. 50–52).

    There statistical and systematic error of the sum balance. Below τ_W = ½ (anticorrelated draws) τ_W is mirrored at
    ½, so that alternating series are summed as far.

    Parameters
    ----------
    s : ratio of the decay time of ρ to τ_int that is assumed, 1 … 2; more sums further.

    Raises
    ------
    ValueError : if s is not positive.
    """

    s: float = 1.5

    def __post_init__(self) -> None:
        if not 0 < self.s < math.inf:
            raise ValueError(f"s is {self.s}; the window needs a finite s > 0, usually 1 … 2")

    def __call__(self, rho: Floats, n: int) -> WindowedSum:
        """Return the sum, and the lag at which it stops."""
        lags = np.arange(1, len(rho))
        excess = np.maximum(np.abs(np.cumsum(rho[1:])), 1e-12)
        tau = self.s / np.log1p(1 / excess)
        return _stopped(rho, np.exp(-lags / tau) < tau / np.sqrt(lags * n))


@dataclass(frozen=True)
class SokalWindow:
    """Stop at the smallest W ≥ c τ_W, for ρ that decays like exp(−t/τ_int) or faster.

    Below τ_W = ½ (anticorrelated draws) terms of both signs cancel, and τ_W says nothing about how far ρ reaches; there
    W is compared with ½ + Σ_{t=1}^{W} |ρ(t)|.

    Parameters
    ----------
    c : at 5 an exponential has e⁻⁵ left; emcee, which sums twice τ_int, calls it 5 as well and sums twice as far.

    Raises
    ------
    ValueError : if c is not positive.

    References
    ----------
    N. Madras and A. D. Sokal, J. Stat. Phys. 50, 109 (1988), appendix C.
    """

    c: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.c < math.inf:
            raise ValueError(f"c is {self.c}; the window needs a finite c > 0, usually 5 … 10")

    def __call__(self, rho: Floats, n: int) -> WindowedSum:
        """Return the sum, and the lag at which it stops."""
        excess = np.cumsum(rho[1:])
        reach = np.where(excess < 0, np.cumsum(np.abs(rho[1:])), excess)
        return _stopped(rho, np.arange(1, len(rho)) >= self.c * (0.5 + reach))


@dataclass(frozen=True)
class TailWindow:
    """Stop where ρ(W) is less than n_sigma of its errors, and add the tail τ_exp |ρ(W + 1)| of a slow mode.

    For observables that hardly see the slowest mode of the chain: what is known of the slow mode, its decay time τ_exp,
    comes from other observables or, for a neural chain, from its largest weight. The tail is as noisy as ρ(W + 1) is:
    of a mode whose share of ρ is smaller than that noise it may miss a part: the sum is no upper bound of τ_int.

    Parameters
    ----------
    tau_exp : exponential autocorrelation time of the chain, in updates.
    n_sigma : how many errors of ρ(W) count as nothing left.

    Raises
    ------
    ValueError : if one of them is not positive.

    References
    ----------
    S. Schaefer, R. Sommer and F. Virotta, Nucl. Phys. B 845, 93 (2011), arXiv:1009.5228.
    """

    tau_exp: float
    n_sigma: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.tau_exp < math.inf and 0 < self.n_sigma < math.inf):
            raise ValueError(f"tau_exp is {self.tau_exp}, n_sigma is {self.n_sigma}; both must be positive and finite")

    def __call__(self, rho: Floats, n: int) -> WindowedSum:
        """Return the sum, the lag at which it stops, and the tail beyond."""
        last = max(len(rho) // 2 - 1, 1)
        window = next((t for t in range(1, last) if rho[t] < self.n_sigma * rho_error(rho, t, n)), last)
        tail = self.tau_exp * abs(float(rho[window + 1]))
        tau = 0.5 + float(np.sum(rho[1 : window + 1]))
        return WindowedSum(window, tau, tail, self.tau_exp * rho_error(rho, window + 1, n))


def rho_error(rho: Floats, lag: int, n: int) -> float:
    """Return the one-σ error of ρ(t): √(Σ_{k≥1} (ρ(k + t) + ρ(k − t) − 2ρ(k)ρ(t))²/n), with lags up to len(rho).

    Reference: M. Lüscher (2005), hep-lat/0409106, eq. E.11.
    """
    k = np.arange(1, len(rho) - lag)
    return math.sqrt(float(np.sum((rho[k + lag] + rho[np.abs(k - lag)] - 2 * rho[k] * rho[lag]) ** 2)) / n)


def _stopped(rho: Floats, enough: npt.NDArray[Any]) -> WindowedSum:
    """Return the sum up to the first lag that is enough, or over all lags; ``enough[0]`` belongs to lag 1."""
    stops = np.flatnonzero(enough)
    window = int(stops[0]) + 1 if stops.size else len(rho) - 1
    return WindowedSum(window, 0.5 + float(np.sum(rho[1 : window + 1])))

"""The Γ-method: autocorrelation functions, τ_int and honest errors of means and of functions of means.

Reference: U. Wolff, Monte Carlo errors with less errors (2004), hep-lat/0306017; equation numbers are his.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nmcmc.analysis import reliability
from nmcmc.analysis.windows import AutomaticWindow, Window
from nmcmc.types import Estimate, Floats

_ROUNDING = 64 * float(np.finfo(np.float64).eps)
LARGEST_VALUE = 1e140
"""Sums of squares of larger numbers overflow."""
_AUTOMATIC = AutomaticWindow()


@dataclass(frozen=True)
class Autocorrelation:
    """What the Γ-method finds in one series.

    Attributes
    ----------
    rho : normalised autocorrelation function Γ(t)/Γ(0) for t = 0 … n_draws // 2.
    window : lag W at which the sum over ρ stops.
    tau_int, tau_int_error : ½ + Σ_{t=1}^{W} ρ(t) in updates, with the tail if the window has one; its one-σ error.
    error, error_error : one-σ error of the mean over all chains, and the error of that error (eq. 42, and a part that
        comes from the kurtosis of means of 2W + 1 draws).
    """

    rho: Floats
    window: int
    tau_int: float
    tau_int_error: float
    error: float
    error_error: float


def autocorrelation_function(series: Floats, max_lag: int | None = None) -> Floats:
    """Return Γ(t) = Σ_c Σ_i (a_ci − ā)(a_c,i+t − ā) / (n_chains (n_draws − t)), t = 0 … max_lag (eq. 31).

    Parameters
    ----------
    series : (n_chains, n_draws); ā is the mean over all of it.
    max_lag : largest lag < n_draws; by default n_draws // 2.

    Raises
    ------
    ValueError : for another shape, fewer than four draws, or a lag beyond the chain.
    FloatingPointError : if the series contains NaN or infinity.
    """
    series = checked_series(series)
    n_chains, n_draws = series.shape
    max_lag = n_draws // 2 if max_lag is None else max_lag
    if not 0 <= max_lag < n_draws:
        raise ValueError(f"max_lag is {max_lag}; chains of {n_draws} draws have lags 0 … {n_draws - 1}")
    size = _fast_length(n_draws + max_lag)
    power = np.zeros(size // 2 + 1)
    mean = series.mean()
    for chain in series:
        power += np.abs(np.fft.rfft(chain - mean, size)) ** 2
    gamma: Floats = np.fft.irfft(power, size)[: max_lag + 1] / (n_chains * (n_draws - np.arange(max_lag + 1)))
    return gamma


def autocorrelation(series: Floats, window: Window = _AUTOMATIC) -> Autocorrelation:
    """Return ρ(t), τ_int = ½ + Σ_{t=1}^{W} ρ(t), the error of the mean, their errors, and the window W.

    Γ is corrected for the subtracted mean (eq. 49). If noise makes the sum vanish, W = 0 and τ_int = ½, too large.

    Parameters
    ----------
    series : (n_chains, n_draws), n_draws ≥ 4.
    window : rule that stops the sum: `AutomaticWindow`, `SokalWindow`, or `TailWindow` with a slow mode's tail.

    Raises
    ------
    ValueError, FloatingPointError : as `autocorrelation_function`; ValueError for a series that does not vary.
    """
    gamma = autocorrelation_function(series)
    if gamma[0] <= (_ROUNDING * np.abs(series).max()) ** 2:
        raise ValueError("the series does not vary; it has no autocorrelation time")
    found = _windowed(gamma, series.size, window)
    pieces = bins(checked_series(series), min(2 * found.window + 1, np.shape(series)[1] // 2))
    spread = 0.5 * found.error * math.sqrt(excess_kurtosis(pieces) / len(pieces))
    return replace(found, error_error=math.hypot(found.error_error, spread))


def excess_kurtosis(series: Floats) -> float:
    """Return E[δ⁴]/E[δ²]² − 3 of the fluctuations δ about the common mean, or 0 where it is less.

    A variance from n independent values has the relative variance (2 + excess)/n. With n = N/(2W + 1) the first part is
    the Γ-method's, for Gaussian series; large fluctuations that come rarely, such as long stays in states of large
    weight, make the means of bins of 2W + 1 draws other than Gaussian, and errors less certain.
    """
    square = (series - np.mean(series)) ** 2
    if not np.any(square):
        return 0.0
    return max(float(np.mean((square / np.mean(square)) ** 2)) - 3, 0.0)


def estimate_mean(series: Floats, window: Window = _AUTOMATIC, moves: Floats | None = None) -> Estimate:
    """Return ⟨a⟩ ± √(2 τ_int Γ(0)/N) of a series (n_chains, n_draws), with τ_int and a verdict.

    The estimate is not reliable, and says why, if a chain stands still, is shorter than 50 τ_int, if its
    autocorrelations do not decay, or if the chains disagree. A constant series has error 0 and is never reliable.

    Parameters
    ----------
    series, window : as in `autocorrelation`.
    moves : a series of the same shape that changes whenever the state does, such as a number of the configuration: a
        chain stands still only where both stay the same.

    Raises
    ------
    ValueError, FloatingPointError : as `autocorrelation_function`.

    Examples
    --------
    >>> estimate = estimate_mean(np.random.default_rng(1).random((4, 1000)))
    >>> abs(estimate.deviation(0.5)) < 5, estimate.reliable
    (True, True)
    >>> estimate_mean(np.ones((2, 1000))).why
    'chain 0 never moves in 1000 draws'
    """
    series = checked_series(series)
    mean = float(series.mean())
    watched = [series] if moves is None else [series, checked_series(moves)]
    return _estimate(mean, series - mean, watched, float(np.abs(series).max()), window)


def estimate_function(
    function: Callable[..., float], series_list: Sequence[Floats], window: Window = _AUTOMATIC
) -> Estimate:
    """Return f(⟨a⟩, ⟨b⟩, …) with the error and τ_int of its linearised fluctuation Σ_k ∂f/∂a_k (a_k − ā_k) (eq. 14).

    The value is f(ā, b̄, …) less its bias to second order, that of means of finite chains (`curvature_bias`), which is
    estimated from bins of 2W + 1 draws. The estimate is not reliable where that bias is larger than the error.

    Where f or its slope is not finite the value or the error is not either, and the estimate is not reliable.

    Parameters
    ----------
    function : takes one float per series.
    series_list : series of one simulation, all of one shape (n_chains, n_draws).
    window : as in `autocorrelation`.

    Raises
    ------
    ValueError : if the shapes differ. ValueError, FloatingPointError : as `autocorrelation_function`.
    """
    series_list = equal_series(series_list)
    part = linear_part(function, series_list)
    if not part.finite:
        return part.nothing()
    estimate = _estimate(part.value, part.fluctuation, series_list, part.scale, window)
    if not estimate.error > 0:
        return estimate
    length = min(2 * estimate.window + 1, series_list[0].shape[1] // 2)
    columns = np.stack([bins(series, length) for series in series_list])
    covariance = np.atleast_2d(np.cov(columns)) / columns.shape[1]
    return without_bias(estimate, curvature_bias(function, part.means, covariance))


@dataclass(frozen=True)
class LinearPart:
    """A function of means near the means: f ≈ value + mean of the fluctuation.

    Attributes
    ----------
    value, means : f(ā, b̄, …), and the means ā, b̄, …, (n_series,).
    fluctuation : Σ_k ∂f/∂a_k (a_k − ā_k), (n_chains, n_draws).
    scale : Σ_k |∂f/∂a_k ā_k|, of which rounding errors are a small part.
    """

    value: float
    means: Floats
    fluctuation: Floats
    scale: float

    @property
    def finite(self) -> bool:
        """Whether f and its slopes are finite."""
        return math.isfinite(self.value) and math.isfinite(self.scale)

    def nothing(self) -> Estimate:
        """Return the estimate of a quantity that is not finite."""
        why = "the quantity or its slope is not finite at the measured means"
        return Estimate(self.value, math.inf, math.nan, math.nan, self.fluctuation.size, False, why)


def linear_part(function: Callable[..., float], series_list: Sequence[Floats]) -> LinearPart:
    """Return the linear part of a function of the means of series of one simulation, all of one shape."""
    means = np.array([series.mean() for series in series_list])
    steps = np.array([series.std() for series in series_list]) / math.sqrt(series_list[0].size)
    value, slopes = linearise(function, means, steps)
    fluctuation = np.zeros(series_list[0].shape)
    with np.errstate(invalid="ignore"):
        for slope, series, mean in zip(slopes, series_list, means, strict=True):
            fluctuation += slope * (series - mean)
        return LinearPart(value, means, fluctuation, float(np.abs(slopes) @ np.abs(means)))


def equal_series(series_list: Sequence[Floats]) -> list[Floats]:
    """Return series as `checked_series` does; raise ValueError unless all have one shape."""
    checked = [checked_series(series) for series in series_list]
    if len({series.shape for series in checked}) != 1:
        raise ValueError(f"the series have shapes {[series.shape for series in checked]}; they must be equal")
    return checked


def linearise(function: Callable[..., float], means: Floats, steps: Floats) -> tuple[float, Floats]:
    """Return f(means) and its slopes by central differences; a step of 0 (a constant) has slope 0."""
    slopes = np.zeros(len(means))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for k in np.flatnonzero(steps):
            shift = np.zeros(len(means))
            shift[k] = steps[k]
            slopes[k] = (function(*(means + shift)) - function(*(means - shift))) / (2 * steps[k])
        return float(function(*means)), slopes


def curvature_bias(function: Callable[..., float], means: Floats, covariance: Floats) -> float:
    """Return E[f(ā)] − f(E[ā]) ≈ ½ Σ_kl ∂²f/∂a_k∂a_l cov(ā_k, ā_l), by differences along the covariance's axes.

    With cov(ā) = Σ_j v_j v_jᵀ this is ½ Σ_j (f(ā + v_j) + f(ā − v_j) − 2f(ā)); NaN where f is not finite there.
    """
    sizes, axes = np.linalg.eigh(covariance)
    steps = (axes * np.sqrt(np.maximum(sizes, 0))).T
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        middle = function(*means)
        bends = [function(*(means + step)) + function(*(means - step)) - 2 * middle for step in steps]
    return 0.5 * float(np.sum(bends))


def without_bias(estimate: Estimate, bias: float) -> Estimate:
    """Return the estimate less its bias; one whose bias is larger than its error, or unknown, is not reliable."""
    if abs(bias) <= estimate.error:
        return replace(estimate, value=estimate.value - bias)
    why = "the quantity bends too much within the errors of its means: draw more"
    return replace(estimate, reliable=False, why=f"{estimate.why}; {why}" if estimate.why else why)


def bins(series: Floats, length: int) -> Floats:
    """Return the means of successive bins of every chain, (n_bins,); draws left over at the start are dropped."""
    n_chains, n_draws = series.shape
    kept = n_draws // length * length
    rows = np.ascontiguousarray(series[:, n_draws - kept :]).reshape(n_chains * (kept // length), length)
    means: Floats = rows.mean(axis=1)
    return means


def checked_series(series: Floats) -> Floats:
    """Return the series as float64 (n_chains, n_draws ≥ 4) of finite numbers; raise otherwise."""
    series = np.asarray(series, dtype=np.float64)
    if series.ndim != 2 or series.shape[0] < 1 or series.shape[1] < 4:
        raise ValueError(f"the series has shape {series.shape}; give (n_chains, n_draws) with at least 4 draws")
    if not np.all(np.isfinite(series)):
        chain, draw = np.argwhere(~np.isfinite(series))[0]
        raise FloatingPointError(
            f"the series is {series[chain, draw]} at chain {chain}, draw {draw}; it must be finite"
        )
    if (largest := float(np.abs(series).max())) > LARGEST_VALUE:
        raise FloatingPointError(
            f"the series reaches {largest:.3g}, and its squares overflow; scale it to {LARGEST_VALUE:g} or less"
        )
    return series


def variance_of_chain_mean(series: Floats) -> float:
    """Return the variance of one chain's mean from fluctuations within chains, with τ_int at its upper 2 σ."""
    within = series - series.mean(axis=1, keepdims=True)
    gamma = autocorrelation_function(within)
    if gamma[0] <= (_ROUNDING * np.abs(series).max()) ** 2:
        return 0.0
    found = _windowed(gamma, series.size, _AUTOMATIC)
    n_draws = series.shape[1]
    # Each chain lost its own mean, so the correction of eq. 49 goes with the length of one chain.
    correction = max(1 - (2 * found.window + 1) / n_draws, 0.1)
    return float(2 * (found.tau_int + 2 * found.tau_int_error) * gamma[0] / n_draws / correction)


def disagreement(series: Floats) -> str:
    """Say whether the means of chains (n_chains, n_draws) differ by more than they fluctuate themselves, or nothing."""
    return reliability.disagreement(series.mean(axis=1), variance_of_chain_mean(series)) if len(series) > 1 else ""


def standing_still(fluctuation: Floats, raw: Sequence[Floats]) -> str:
    """Say which chain stands still for longer than the draws outside its longest run explain, or nothing.

    A run of R of N draws that is δ off the mean ± σ of the rest shifts the mean by Rδ/N. Runs with
    R max(δ/σ, 1) ≤ √(2τN), which shift it by less than its error, are what a chain of uneven weights is made of.

    Parameters
    ----------
    fluctuation : of the quantity, (n_chains, n_draws); τ_int is its, with the longest run set to the mean of the rest.
    raw : the series that all stand still in a run, of the same shape.
    """
    runs = reliability.longest_runs(raw)
    n_draws = fluctuation.shape[1]
    if not reliability.stuck(runs, n_draws, 0.5):
        return ""
    run = reliability.longest_run(raw)
    unchanged = reliability.share_unchanged(raw, run)
    if run.all() or np.ptp(fluctuation[~run]) == 0:
        return reliability.stuck(runs, n_draws, 0.5, unchanged)
    mean, sigma = float(fluctuation[~run].mean()), float(fluctuation[~run].std())
    tau = autocorrelation(np.where(run, 0.0, fluctuation - mean)).tau_int
    shift = max(abs(float(fluctuation[run].mean()) - mean) / sigma, 1.0)
    if runs.max() < n_draws and runs.max() * shift <= math.sqrt(2 * max(tau, 0.5) * fluctuation.size):
        return ""
    return reliability.stuck(runs, n_draws, tau, unchanged)


def _estimate(value: float, fluctuation: Floats, raw: Sequence[Floats], scale: float, window: Window) -> Estimate:
    n_draws = fluctuation.shape[1]
    if float(np.mean(fluctuation**2)) <= (_ROUNDING * scale) ** 2:
        why = reliability.stuck(reliability.longest_runs(raw), n_draws, 0.5) or "the quantity does not vary"
        return Estimate(value, 0.0, math.nan, math.nan, fluctuation.size, False, why)
    found = autocorrelation(fluctuation, window)
    reasons = [
        standing_still(fluctuation, raw),
        reliability.too_short(n_draws, found.tau_int),
        "autocorrelations do not decay within half a chain" if found.window == n_draws // 2 else "",
        disagreement(fluctuation),
    ]
    why = "; ".join(reason for reason in reasons if reason)
    numbers = (value, found.error, found.tau_int, found.tau_int_error, fluctuation.size)
    return Estimate(*numbers, not why, why, found.error_error, found.window)


def _windowed(gamma: Floats, n: int, rule: Window) -> Autocorrelation:
    rho = gamma / gamma[0]
    found = rule(rho, n)
    window, tau = found.window, found.tau_int + found.tail
    if tau <= 0:
        window, tau = 0, 0.5
    # Γ(t) + C/N for every t, with C = 2τ Γ(0) (eq. 49), then C and Γ(0) anew.
    variance = 2 * tau * gamma[0] * (1 + (2 * window + 1) / n)
    tau *= (1 + (2 * window + 1) / n) / (1 + 2 * tau / n)
    error = math.sqrt(variance / n)
    # eq. 42; anticorrelated draws get the error of independent ones, the formula would vanish for them.
    tau_error = 2 * max(tau - found.tail, 0.5) * math.sqrt(max(window + 0.5 - tau, 0.5) / n)
    tau_error = math.hypot(tau_error, found.tail_error)
    error_error = math.hypot(error * math.sqrt((window + 0.5) / n), 0.5 * error * found.tail_error / tau)
    return Autocorrelation(rho, window, tau, tau_error, error, error_error)


def _fast_length(n: int) -> int:
    """Return the smallest 2^i, 3·2^i or 9·2^i ≥ n with i ≥ 1: lengths that the FFT likes."""
    return min(odd << i for i in range(1, n.bit_length() + 1) for odd in (1, 3, 9) if odd << i >= n)

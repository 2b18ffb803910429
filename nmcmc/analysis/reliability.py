"""When an error bar of a Markov chain must not be believed: criteria over plain numbers, each with its sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nmcmc.types import Floats, Ints

TAUS_NEEDED = 50
"""A chain shorter than this many τ_int is too short to know its own (emcee asks for 50 of its τ, twice ours)."""
DISAGREEMENT_SIGMA = 5.0
"""Chains whose means scatter this many σ more than their own fluctuations allow have not seen the same states."""


def longest_runs(series_list: Sequence[Floats]) -> Ints:
    """Return, for every chain, the longest run of draws in which no series changes; arrays (n_chains, n_draws)."""
    changed = np.any([series[:, 1:] != series[:, :-1] for series in series_list], axis=0)
    n_draws = changed.shape[1] + 1
    return np.array([np.diff(np.flatnonzero(row), prepend=-1, append=n_draws - 1).max() for row in changed])


def longest_run(series_list: Sequence[Floats]) -> npt.NDArray[np.bool_]:
    """Return which draws belong to the longest run of all chains, (n_chains, n_draws); the first one of equals."""
    runs = longest_runs(series_list)
    chain, run = int(runs.argmax()), int(runs.max())
    changed = np.any([series[chain, 1:] != series[chain, :-1] for series in series_list], axis=0)
    ends = np.append(np.flatnonzero(changed), len(changed))
    end = int(ends[np.diff(ends, prepend=-1).argmax()]) + 1
    inside = np.zeros(series_list[0].shape, dtype=np.bool_)
    inside[chain, end - run : end] = True
    return inside


def share_unchanged(series_list: Sequence[Floats], left_out: npt.NDArray[np.bool_] | None = None) -> float:
    """Return the share of steps in which no series changes; arrays (n_chains, n_draws), without the draws left out."""
    unchanged = np.all([series[:, 1:] == series[:, :-1] for series in series_list], axis=0)
    if left_out is not None:
        unchanged = unchanged[~(left_out[:, 1:] & left_out[:, :-1])]
    return float(np.mean(unchanged)) if unchanged.size else 0.0


def longest_by_chance(n: int, tau_int: float, unchanged: float = 0.0) -> float:
    """Return the longest run that n draws of a τ_int and a share of ``unchanged`` steps explain.

    The larger of (10 + 2 ln(n/τ)) τ (a two-state process, whose runs are the longest for its τ, has mean runs of 2τ,
    and among n/(2τ) of them the longest is about 2τ ln(n/τ)) and (10 + ln n)/ln(1/s), s the share of unchanged steps:
    among independent draws of which most have one and the same value, such as the ground state, the longest run is
    about ln n/ln(1/s).
    """
    tau = max(tau_int, 0.5)
    chance = (10 + math.log(n)) / -math.log(unchanged) if 0 < unchanged < 1 else 0.0
    return max((10 + 2 * math.log(n / tau)) * tau, chance)


def stuck(runs: Ints, n_draws: int, tau_int: float, unchanged: float = 0.0) -> str:
    """Say which chain never moves, or stands still for longer than `longest_by_chance`, or nothing.

    A long run makes τ_int and the share of unchanged steps larger, and would excuse itself: give those of the draws
    outside the longest run.
    """
    worst, run = int(runs.argmax()), int(runs.max())
    if run == n_draws:
        return f"chain {worst} never moves in {n_draws} draws"
    if run > longest_by_chance(n_draws * len(runs), tau_int, unchanged):
        return f"chain {worst} stands still for {run} of {n_draws} draws"
    return ""


def too_short(n_draws: int, tau_int: float) -> str:
    """Say how many more draws every chain needs to reach 50 τ_int, or nothing."""
    needed = math.ceil(TAUS_NEEDED * max(tau_int, 0.5))
    if n_draws >= needed:
        return ""
    return (
        f"chains of {n_draws} draws are shorter than {TAUS_NEEDED} tau_int = {needed}: "
        f"draw at least {needed - n_draws} more per chain"
    )


def disagreement(means: Floats, variance_of_mean: float) -> str:
    """Say whether the chains' means differ at 5 σ, or nothing: χ² = Σ_c (ā_c − ā)²/σ² with n_chains − 1 degrees."""
    k = len(means) - 1
    if k < 1 or np.ptp(means) == 0:
        return ""
    chi_square = float(np.sum((means - means.mean()) ** 2)) / variance_of_mean if variance_of_mean > 0 else math.inf
    z = chi_square_deviate(chi_square, k)
    if z < DISAGREEMENT_SIGMA:
        return ""
    return f"the means of the {k + 1} chains disagree at {min(z, 999):.0f} sigma: they have not seen the same states"


def chi_square_deviate(chi_square: float, k: float) -> float:
    """Return χ² with k degrees of freedom as a normal deviate, ((χ²/k)^⅓ − 1 + 2/(9k))/√(2/(9k)).

    Reference: E. B. Wilson and M. M. Hilferty, PNAS 17, 684 (1931).
    """
    return float(((chi_square / k) ** (1 / 3) - 1 + 2 / (9 * k)) / math.sqrt(2 / (9 * k)))

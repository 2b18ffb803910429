"""Self-test of what is said of chains: every rule for an error, burn-in and R̂, on series that are exactly known."""

from __future__ import annotations

import math

import numpy as np

from nmcmc.analysis.autocorrelation import autocorrelation, estimate_mean
from nmcmc.analysis.burn_in import burn_in
from nmcmc.analysis.intervals import degrees_of_freedom
from nmcmc.analysis.modes import split_rhat
from nmcmc.analysis.resampling import binned_mean, jackknife_function
from nmcmc.analysis.windows import SokalWindow, TailWindow
from nmcmc.experiment.checks import Checks, calibration, exact, statistical
from nmcmc.experiment.verify_estimators import MEMORY, ar1
from nmcmc.random import Rng
from nmcmc.types import Estimate

N_REPLICAS = 400
TAU = (1 + MEMORY) / (2 * (1 - MEMORY))
SLOW, SLOW_SHARE = 0.98, 0.1
"""A mode whose decay takes 50 draws, and how much of the variance it has."""


def error_checks(rng: Rng) -> Checks:
    """Yield the checks of binning and jackknife, of the other windows, of burn-in and of R̂."""
    yield from _resampling(rng.child("resampling"))
    yield from _windows(rng.child("windows"))
    yield from _burn_in(rng.child("burn-in"))
    yield from _rhat(rng.child("rhat"))


def _resampling(rng: Rng) -> Checks:
    """The error of a mean, √(2τ/N), and whether pulls of a mean and of a variance, which is 1, are what they say."""
    series = ar1((40, 10_000), rng.child("long"))
    found = binned_mean(series)
    yield statistical(
        "binning, AR(1): error", Estimate(found.error, found.error_error), math.sqrt(2 * TAU / series.size)
    )
    replicas = ar1((N_REPLICAS, 4, 2000), rng.child("short"))
    means = [_pull(binned_mean(row), 0.0) for row in replicas]
    yield calibration("binning, AR(1): squared pulls", np.array(means))
    variances = [_pull(jackknife_function(_variance, [row, row**2]), 1.0) for row in replicas]
    yield calibration("jackknife, variance of AR(1): squared pulls", np.array(variances))


def _pull(estimate: Estimate, known: float) -> float:
    """Return (value − known)/error with the variance 1: that of Student's t is ν/(ν − 2), and bins leave a small ν."""
    return estimate.deviation(known) * math.sqrt(1 - 2 / degrees_of_freedom(estimate))


def _variance(mean: float, square: float) -> float:
    return square - mean**2


def _windows(rng: Rng) -> Checks:
    """Sokal's window, which leaves e⁻⁵ of an exponential, and a tail, which adds what a slow mode has beyond it."""
    found = autocorrelation(ar1((40, 10_000), rng.child("one mode")), SokalWindow())
    yield statistical("Sokal's window, AR(1): tau_int", Estimate(found.tau_int, found.tau_int_error), TAU)
    slow, fast = ar1((40, 10_000), rng.child("slow"), SLOW), ar1((40, 10_000), rng.child("fast"), 0.0)
    series = math.sqrt(SLOW_SHARE) * slow + math.sqrt(1 - SLOW_SHARE) * fast
    found = autocorrelation(series, TailWindow(-1 / math.log(SLOW)))
    tau = 0.5 + SLOW_SHARE * SLOW / (1 - SLOW)
    yield statistical("tail, two modes: tau_int", Estimate(found.tau_int, found.tau_int_error), tau)


def _burn_in(rng: Rng) -> Checks:
    """Nothing is cut of stationary chains; what is left of chains that start far off has the mean 0 of later draws."""
    alarms = [not burn_in(row).reliable for row in ar1((100, 4, 1000), rng.child("stationary"))]
    yield exact("burn-in, stationary: false alarms of 100", float(sum(alarms)), 0.0, 0.0)
    series = ar1((20, 2000), rng.child("late")) + 8 * np.exp(-np.arange(2000) / 50)
    found = burn_in(series)
    yield exact("burn-in, start far off: is seen", float(found.reliable), 0.0, 0.0)
    yield statistical("burn-in, start far off: mean after the cut", estimate_mean(series[:, int(found.value) :]), 0.0)


def _rhat(rng: Rng) -> Checks:
    """R̂ = √(1 + (2τ/n)/(1 − 2τ/n) − 1/n) of half chains of n draws, and chains of which some are elsewhere."""
    series, n = ar1((100, 10_000), rng), 5000
    expected = math.sqrt(1 - 1 / n + 2 * TAU / (n - 2 * TAU))
    found = split_rhat(series)
    yield statistical("R̂, AR(1)", found, expected)
    yield exact("R̂, AR(1): reliable", float(found.reliable), 1.0, 0.0)
    apart = series + np.where(np.arange(len(series)) < 50, 0.0, 0.5)[:, None]
    yield exact("R̂, half of the chains elsewhere: reliable", float(split_rhat(apart).reliable), 0.0, 0.0)

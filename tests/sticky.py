"""Chains with a known autocorrelation time: a state stays with a given probability, else it is drawn anew."""

import numpy as np


def sticky(p, n_chains, n_draws, stay, rng):
    """Return indices (n_chains, n_draws) of a chain with distribution p and τ_int = (1 + stay)/(2 (1 − stay))."""
    fresh = rng.choice(len(p), (n_chains, n_draws), p=p)
    renewed = rng.random((n_chains, n_draws)) >= stay
    renewed[:, 0] = True
    last = np.maximum.accumulate(np.where(renewed, np.arange(n_draws), 0), axis=1)
    return np.take_along_axis(fresh, last, axis=1)


def assert_calibrated(estimates, exact):
    """Pulls have mean 0 and variance 1, each within 5 of its own standard errors."""
    pulls = np.array([estimate.deviation(exact) for estimate in estimates])
    n = len(pulls)
    assert abs(pulls.mean()) < 5 / np.sqrt(n), pulls.mean()
    assert abs(np.mean(pulls**2) - 1) < 5 * np.sqrt(2 / n), np.mean(pulls**2)

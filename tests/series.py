"""Series whose autocorrelations are known."""

import math

import numpy as np


def ar1(a, n_chains, n_draws, seed):
    """x_t = a x_{t−1} + √(1 − a²) ξ_t, mean 0, variance 1, ρ(t) = a^t; summed by (1 + aL)(1 + a²L²)(1 + a⁴L⁴)…"""
    series = np.random.default_rng(seed).standard_normal((n_chains, n_draws))
    series[:, 1:] *= math.sqrt(1 - a * a)
    lag = 1
    while lag < n_draws and abs(a) ** lag > 1e-18:
        series[:, lag:] += a**lag * series[:, :-lag]
        lag *= 2
    return series


def tau_of(a):
    return (1 + a) / (2 * (1 - a))

"""Curie–Weiss systems of any size: the sum over magnetisations."""

from __future__ import annotations

import math

import numpy as np

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.mean_field import CurieWeissEnergy
from nmcmc.exact.enumeration import Enumeration
from nmcmc.types import Floats


def sum_over_magnetization(energy: CurieWeissEnergy, beta: float) -> Enumeration:
    """Return log Z = log Σ_k C(N, k) exp(−βH(M = 2k − N)) and exact means, N + 1 terms.

    Weights are relative to the largest, means and variance relative to the energy there, and sums are exactly rounded.

    Raises
    ------
    ValueError : if beta is negative or not finite.

    Examples
    --------
    >>> round(sum_over_magnetization(CurieWeissEnergy(50), 1.0).log_z, 6)
    35.465014
    """
    n, beta = energy.n_spins, Boltzmann(energy, beta).beta
    total = 2 * np.arange(n + 1) - n
    h = energy.of_magnetization(total)
    log_weight = log_binomials(n) - beta * h
    largest = int(np.argmax(log_weight))
    weight = np.exp(log_weight - log_weight[largest])
    z = math.fsum(weight)

    def mean(values: Floats) -> float:
        return math.fsum(weight * values) / z

    m, excess = total / n, h - h[largest]
    shift = mean(excess)
    return Enumeration(
        n_spins=n,
        beta=beta,
        log_z=float(log_weight[largest]) + math.log(z),
        energy=float(h[largest]) + shift,
        energy_variance=mean((excess - shift) ** 2),
        magnetization=mean(m),
        m2=mean(m**2),
        m4=mean(m**4),
        abs_magnetization=mean(np.abs(m)),
    )


def log_binomials(n: int) -> Floats:
    """Return ln C(n, k) for k = 0 … n, (n + 1,)."""
    return np.array([math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(n + 1)])

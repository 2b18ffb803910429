"""The exact conditionals of a small pairwise system: what every autoregressive network tries to be."""

from __future__ import annotations

import numpy as np

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.types import Floats, Spins

MAX_SPINS = 16
"""Most spins: the sum over those that are left is repeated for every configuration."""


def partial_fields(energy: PairwiseEnergy, spins: Spins) -> Floats:
    """Return x_il = h_l + Σ_{j<i} J_jl s_j, (batch, n_spins, n_spins), recursively in i: an exact first layer."""
    matrix = energy.coupling_matrix
    fields = np.empty((len(spins), energy.n_spins, energy.n_spins))
    fields[:, 0] = energy.fields
    for i in range(1, energy.n_spins):
        fields[:, i] = fields[:, i - 1] + matrix[i - 1] * spins[:, i - 1, None]
    return fields


def conditional_logits(energy: PairwiseEnergy, beta: float, spins: Spins) -> Floats:
    """Return ln p(s_i = +1 | s_<i)/p(s_i = −1 | s_<i) = 2βx_ii + ln ρ⁺_i − ln ρ⁻_i, (batch, n_spins).

    ρ^±_i = Σ_{s_>i} exp β[Σ_{l>i} (x_il ± J_il) s_l + Σ_{i<l<l'} J_ll' s_l s_l'] is the partition function of the spins
    that are left. I. Biazzo (2023), arXiv:2302.08347.

    Raises
    ------
    ValueError : for more than 16 spins, or a beta that is negative or not finite.
    """
    if energy.n_spins > MAX_SPINS:
        raise ValueError(f"exact conditionals of {energy.n_spins} spins are out of reach; the limit is {MAX_SPINS}")
    beta, matrix = Boltzmann(energy, beta).beta, energy.coupling_matrix
    fields = partial_fields(energy, energy.check_spins(spins))
    logits = np.empty(spins.shape)
    for i in range(energy.n_spins):
        left, rest = fields[:, i, i + 1 :], matrix[i + 1 :, i + 1 :]
        ups, downs = (_log_sums(left + sign * matrix[i, i + 1 :], rest, beta) for sign in (1, -1))
        logits[:, i] = 2 * beta * fields[:, i, i] + ups - downs
    return logits


def _log_sums(fields: Floats, couplings: Floats, beta: float) -> Floats:
    """Return ln Σ_s exp β(fields · s + ½ s · couplings · s), (batch,), over all spins of the fields (batch, n)."""
    if fields.shape[1] == 0:
        return np.zeros(len(fields))
    states = all_states(fields.shape[1]).astype(np.float64)
    exponents = beta * (fields @ states.T + 0.5 * np.sum(states @ couplings * states, axis=1))
    sums: Floats = np.logaddexp.reduce(exponents, axis=1)
    return sums

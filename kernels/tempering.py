"""Parallel tempering: local updates at every temperature of a ladder, then exchanges of neighbours."""

import math

import numba as nb
import numpy as np

from .local import local_steps
from .rng import next_word, uniform


@nb.njit(cache=True, nogil=True)
def swap_probability(beta, other_beta, energy, other_energy):
    """Return min(1, exp((β − β')(H − H'))), with which two temperatures exchange their configurations."""
    return math.exp(min(0.0, (beta - other_beta) * (energy - other_energy)))


@nb.njit(cache=True, nogil=True)
def energy_of(s, start, neighbour, coupling, fields):
    """Return −½ Σ_i s_i Σ_j J_ij s_j − Σ_i h_i s_i of one configuration (n_spins,), each bond being listed twice."""
    total = 0.0
    for i in range(s.shape[0]):
        local = 2.0 * fields[i]
        for k in range(start[i], start[i + 1]):
            local += coupling[k] * s[neighbour[k]]
        total -= 0.5 * s[i] * local
    return total


@nb.njit(cache=True, nogil=True)
def _exchange(s, other):
    for i in range(s.shape[0]):
        s[i], other[i] = other[i], s[i]


@nb.njit(cache=True, nogil=True)
def tempering_steps(spins, streams, start, neighbour, coupling, fields, betas, sweeps, out, flips, swapped):
    """Make out.shape[2] steps of each ladder: Metropolis sweeps at every β, then exchanges of every second pair.

    spins (ladders, n_betas, n_spins) int8 and streams (ladders, n_betas, 4) are advanced in place. The first stream of
    a ladder says whether the pairs start at the first or at the second β; the stream of a pair's first β decides its
    exchange. Writes configurations to out (ladders, n_betas, steps, n_spins), flips and whether a configuration was
    exchanged to flips, swapped (ladders, n_betas, steps).
    """
    order, energies = np.empty(0, dtype=np.int64), np.empty(len(betas))
    for ladder in range(spins.shape[0]):
        s, stream = spins[ladder], streams[ladder]
        for step in range(out.shape[2]):
            for k in range(len(betas)):
                after, count = out[ladder, k : k + 1, step : step + 1], flips[ladder, k : k + 1, step : step + 1]
                system = (start, neighbour, coupling, fields, betas[k], order, False, sweeps)
                local_steps(s[k : k + 1], stream[k : k + 1], *system, after, count)
                energies[k] = energy_of(s[k], start, neighbour, coupling, fields)
                swapped[ladder, k, step] = 0
            first = np.int64(next_word(stream[0]) >> np.uint64(63))
            for k in range(first, len(betas) - 1, 2):
                if uniform(stream[k]) < swap_probability(betas[k], betas[k + 1], energies[k], energies[k + 1]):
                    _exchange(s[k], s[k + 1])
                    swapped[ladder, k, step] = swapped[ladder, k + 1, step] = 1
            for k in range(len(betas)):
                out[ladder, k, step] = s[k]

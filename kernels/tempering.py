"""Parallel tempering: local updates at every temperature of a ladder, then exchanges of neighbours."""

import math

import numba as nb
import numpy as np

from .local import energy_difference, fill_local_fields, sweep
from .rng import next_word, uniform


@nb.njit(cache=True, nogil=True)
def swap_probability(beta, other_beta, energy, other_energy):
    """Return min(1, exp((β − β')(H − H'))), with which two temperatures exchange their configurations."""
    return math.exp(min(0.0, (beta - other_beta) * (energy - other_energy)))


@nb.njit(cache=True, nogil=True)
def _exchange(s, other):
    for i in range(s.shape[0]):
        s[i], other[i] = other[i], s[i]


@nb.njit(cache=True, nogil=True)
def tempering_steps(spins, streams, system, betas, sweeps, out, flips, swapped):
    """Make out.shape[2] steps of each ladder: Metropolis sweeps at every β, then exchanges of every second pair.

    spins (ladders, n_betas, n_spins) int8 and streams (ladders, n_betas, 4) are advanced in place; the system is that
    of `kernels.local`. The first stream of a ladder says whether the pairs start at the first or at the second β; the
    stream of a pair's first β decides its exchange. Writes configurations to out (ladders, n_betas, steps, n_spins),
    flips and whether a configuration was exchanged to flips, swapped (ladders, n_betas, steps).
    """
    n_betas, n_spins = spins.shape[1:]
    random_sites, fields = np.empty(0, dtype=np.int64), system[4]
    local = np.empty((n_betas, n_spins))
    for ladder in range(spins.shape[0]):
        s, stream = spins[ladder], streams[ladder]
        for k in range(n_betas):
            fill_local_fields(s[k], system, local[k])
        for step in range(out.shape[2]):
            for k in range(n_betas):
                attempts = sweeps * n_spins
                count = sweep(s[k], local[k], stream[k], system, betas[k], random_sites, False, attempts)
                flips[ladder, k, step], swapped[ladder, k, step] = count, 0
            first = np.int64(next_word(stream[0]) >> np.uint64(63))
            for k in range(first, n_betas - 1, 2):
                apart = energy_difference(s[k], local[k], s[k + 1], local[k + 1], fields)
                if uniform(stream[k]) < swap_probability(betas[k], betas[k + 1], apart, 0.0):
                    _exchange(s[k], s[k + 1])
                    _exchange(local[k], local[k + 1])
                    swapped[ladder, k, step] = swapped[ladder, k + 1, step] = 1
            for k in range(n_betas):
                out[ladder, k, step] = s[k]

"""Single-spin updates of any pairwise system: Metropolis and heat bath, in random or in a given site order."""

import math

import numba as nb
import numpy as np

from .rng import below, uniform


@nb.njit(cache=True, nogil=True)
def flip_probability(cost, heat_bath):
    """Return the probability of a flip that raises βH by ``cost``: 1/(1 + e^cost) (heat bath) or min(1, e^−cost)."""
    if heat_bath:
        return 1.0 / (1.0 + math.exp(cost))
    return 1.0 if cost <= 0.0 else math.exp(-cost)


@nb.njit(cache=True, nogil=True)
def local_steps(spins, streams, start, neighbour, coupling, fields, beta, order, heat_bath, sweeps, out, flips):
    """Make out.shape[1] steps of ``sweeps`` sweeps of each chain.

    spins (chains, n_spins) int8 and streams (chains, 4) are advanced in place; start, neighbour, coupling are
    compressed rows; order (n_spins,) lists the sites of a sweep, or is empty for n_spins random sites. Writes every
    step's configuration to out (chains, steps, n_spins) and its number of flips to flips (chains, steps).
    """
    n_spins = spins.shape[1]
    for chain in range(spins.shape[0]):
        s, stream = spins[chain], streams[chain]
        for step in range(out.shape[1]):
            flipped = 0
            for attempt in range(sweeps * n_spins):
                site = np.int64(below(stream, n_spins)) if order.size == 0 else order[attempt % n_spins]
                local = fields[site]
                for k in range(start[site], start[site + 1]):
                    local += coupling[k] * s[neighbour[k]]
                if uniform(stream) < flip_probability(2.0 * beta * s[site] * local, heat_bath):
                    s[site] = -s[site]
                    flipped += 1
            out[chain, step] = s
            flips[chain, step] = flipped

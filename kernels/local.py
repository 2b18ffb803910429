"""Single-spin updates of any pairwise system: Metropolis and heat bath, in random or in a given site order.

Local fields h_i + Σ_j J_ij s_j are kept, so that an attempt reads one number and only a flip touches the neighbours. A
system is (start, neighbour, coupling, matrix, fields): couplings in compressed rows, or, unless it has no rows, in a
matrix (n, n). What acts on a site must be multiples of one power of two, few enough for sums to be exact
(`updates.local.on_a_grid`): then kept fields are those of the spins, whatever flips came before.
"""

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
def _add(local, system, i, change):
    """Add what changes in the local fields when s_i changes by ``change``."""
    start, neighbour, coupling, matrix, _ = system
    if matrix.shape[0] > 0:
        row = matrix[i]
        for j in range(row.shape[0]):
            local[j] += change * row[j]
    else:
        for k in range(start[i], start[i + 1]):
            local[neighbour[k]] += change * coupling[k]


@nb.njit(cache=True, nogil=True)
def fill_local_fields(s, system, local):
    """Write the local fields of one configuration s (n,) to local (n,)."""
    local[:] = system[4]
    for i in range(s.shape[0]):
        _add(local, system, i, np.float64(s[i]))


@nb.njit(cache=True, nogil=True)
def energy_difference(s, local, other, other_local, fields):
    """Return H(s) − H(other) with H = −½ Σ_i s_i (local_i + h_i), site by site: what both have in common drops out."""
    total = 0.0
    for i in range(s.shape[0]):
        total -= s[i] * (local[i] + fields[i]) - other[i] * (other_local[i] + fields[i])
    return 0.5 * total


@nb.njit(cache=True, nogil=True)
def sweep(s, local, stream, system, beta, order, heat_bath, attempts):
    """Attempt flips of s (n,), local fields and stream (4,) in place; return how many there were.

    order (n,) lists the sites of a sweep, or is empty for random sites.
    """
    n, flipped = s.shape[0], 0
    for attempt in range(attempts):
        site = np.int64(below(stream, n)) if order.size == 0 else order[attempt % n]
        if uniform(stream) < flip_probability(2.0 * beta * s[site] * local[site], heat_bath):
            _add(local, system, site, -2.0 * s[site])
            s[site] = -s[site]
            flipped += 1
    return flipped


@nb.njit(cache=True, nogil=True)
def local_steps(spins, streams, system, beta, order, heat_bath, sweeps, out, flips):
    """Make out.shape[1] steps of ``sweeps`` sweeps of each chain.

    spins (chains, n_spins) int8 and streams (chains, 4) are advanced in place. Writes every step's configuration to
    out (chains, steps, n_spins) and its number of flips to flips (chains, steps).
    """
    n_spins = spins.shape[1]
    local = np.empty(n_spins)
    for chain in range(spins.shape[0]):
        s = spins[chain]
        fill_local_fields(s, system, local)
        for step in range(out.shape[1]):
            flips[chain, step] = sweep(s, local, streams[chain], system, beta, order, heat_bath, sweeps * n_spins)
            out[chain, step] = s

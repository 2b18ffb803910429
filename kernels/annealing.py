"""Simulated annealing of any pairwise system, sixteen replicas side by side in vectors.

The replicas of a group visit the same site at the same time, each with a random number of its own; every site's local
field is kept, so that a flip touches its neighbours only.
"""

import numba as nb
import numpy as np

from .lanes import STATE, seed_lanes
from .rng import advance, next_word
from .simd import load, splat, store, where_less
from .simd_random import any_less, exponentials

LANES = 16
MAX_QUENCH = 10_000
"""Sweeps of the descent at the end; float32 fields of real couplings might go round in circles."""


@nb.njit(cache=True, nogil=True)
def _random_start(stream, s):
    """Fill s (n · LANES,) with ±1, sixteen bits of a word for each site."""
    for i in range(s.shape[0] // LANES):
        word = next_word(stream)
        for l in range(LANES):
            s[i * LANES + l] = np.float32(2.0) * np.float32((word >> np.uint64(48 + l)) & np.uint64(1)) - np.float32(1)


@nb.njit(cache=True, nogil=True)
def _local_fields(s, start, neighbour, coupling, fields, h):
    """Write Σ_j J_ij s_j + h_i of all lanes to h (n · LANES,)."""
    for i in range(fields.shape[0]):
        total = splat(fields[i])
        for k in range(start[i], start[i + 1]):
            total = total + splat(coupling[k]) * load(s, neighbour[k] * LANES)
        store(h, i * LANES, total)


@nb.njit(cache=True, nogil=True)
def _flip(s, h, i, flipped, start, neighbour, coupling):
    """Make ``flipped`` the spins of site i and bring its neighbours' fields up to date."""
    change = flipped - load(s, i * LANES)
    store(s, i * LANES, flipped)
    for k in range(start[i], start[i + 1]):
        j = neighbour[k] * LANES
        store(h, j, load(h, j) + splat(coupling[k]) * change)


@nb.njit(cache=True, nogil=True)
def _descend(s, h, start, neighbour, coupling, tolerance):
    """Flip every spin that lowers the energy by more than the tolerance until there is none."""
    zero, level = splat(np.float32(0.0)), splat(-tolerance)
    for _ in range(MAX_QUENCH):
        moved = False
        for i in range(start.shape[0] - 1):
            v = load(s, i * LANES)
            gain = v * load(h, i * LANES)
            if any_less(gain, level):
                moved = True
                _flip(s, h, i, where_less(gain, level, zero - v, v), start, neighbour, coupling)
        if not moved:
            return


@nb.njit(cache=True, nogil=True)
def anneal(spins, streams, start, neighbour, coupling, fields, twice_betas, tolerance, first, last):
    """Anneal the groups first ≤ g < last, each of LANES rows of spins, from random starts to a local minimum.

    Parameters
    ----------
    spins (groups · LANES, n_spins) int8 : result.
    streams (groups, 4) : advanced in place.
    start, neighbour, coupling float32, fields float32 : the system in compressed rows.
    twice_betas (sweeps,) float32 : 2β of each Metropolis sweep, in which every site is tried once, in order.
    tolerance : float32, what counts as no gain in the descent at the end.
    """
    n = fields.shape[0]
    s, h, state = np.empty(n * LANES, np.float32), np.empty(n * LANES, np.float32), np.empty(STATE, np.uint64)
    for group in range(first, last):
        _random_start(streams[group], s)
        seed_lanes(streams[group], state)
        a, b, c, counter = load(state, 0), load(state, 8), load(state, 16), state[24]
        _local_fields(s, start, neighbour, coupling, fields, h)
        zero = splat(np.float32(0.0))
        for sweep in range(twice_betas.shape[0]):
            scale = splat(twice_betas[sweep])
            for i in range(n):
                word, a, b, c, counter = advance(a, b, c, counter)
                v = load(s, i * LANES)
                cost, threshold = scale * v * load(h, i * LANES), exponentials(word)
                if any_less(cost, threshold):
                    _flip(s, h, i, where_less(cost, threshold, zero - v, v), start, neighbour, coupling)
        _local_fields(s, start, neighbour, coupling, fields, h)
        _descend(s, h, start, neighbour, coupling, tolerance)
        for l in range(LANES):
            row = spins[group * LANES + l]
            for i in range(n):
                row[i] = np.int8(s[i * LANES + l])

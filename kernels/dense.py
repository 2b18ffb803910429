"""Σ_j W_kj s_j for a dense matrix and many configurations, row by row in one order: no batch changes the rounding."""

import numba as nb
import numpy as np

from nmcmc.kernels.simd import load, splat, store

LANES = 8
GROUP = 6
"""Rows of weights whose sums for LANES configurations fit into the registers of all processors."""


@nb.njit(cache=True, nogil=True)
def affine(spins, weights, offsets, out):
    """Write offsets_k + Σ_j weights_kj s_j of each row of spins (batch, n) int8 to out (batch, k).

    LANES configurations are treated together, innermost in memory, and GROUP rows of weights, so that every spin is
    read once for all of them; the last group is filled up with the last row.
    """
    n_out, n = weights.shape
    x, total = np.empty(n * LANES), np.empty(GROUP * LANES)
    for begin in range(0, spins.shape[0], LANES):
        n_lanes = min(LANES, spins.shape[0] - begin)
        for l in range(LANES):
            for j in range(n):
                x[j * LANES + l] = spins[begin + min(l, n_lanes - 1), j]
        last = n_out - 1
        for k in range(0, n_out, GROUP):
            k1, k2, k3, k4, k5 = (
                min(k + 1, last),
                min(k + 2, last),
                min(k + 3, last),
                min(k + 4, last),
                min(k + 5, last),
            )
            a, b, c = splat(offsets[k]), splat(offsets[k1]), splat(offsets[k2])
            d, e, f = splat(offsets[k3]), splat(offsets[k4]), splat(offsets[k5])
            for j in range(n):
                s = load(x, j * LANES)
                a = a + splat(weights[k, j]) * s
                b = b + splat(weights[k1, j]) * s
                c = c + splat(weights[k2, j]) * s
                d = d + splat(weights[k3, j]) * s
                e = e + splat(weights[k4, j]) * s
                f = f + splat(weights[k5, j]) * s
            store(total, 0 * LANES, a)
            store(total, 1 * LANES, b)
            store(total, 2 * LANES, c)
            store(total, 3 * LANES, d)
            store(total, 4 * LANES, e)
            store(total, 5 * LANES, f)
            for g in range(min(GROUP, n_out - k)):
                for l in range(n_lanes):
                    out[begin + l, k + g] = total[g * LANES + l]

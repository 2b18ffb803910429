"""Σ_j W_kj s_j for a dense matrix and many configurations, row by row in one order: no batch changes the rounding."""

import numba as nb
import numpy as np

from nmcmc.kernels.simd import load, splat, store

LANES = 16
GROUP = 4


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
        for k in range(0, n_out, GROUP):
            k1, k2, k3 = min(k + 1, n_out - 1), min(k + 2, n_out - 1), min(k + 3, n_out - 1)
            a0, b0, c0, d0 = splat(offsets[k]), splat(offsets[k1]), splat(offsets[k2]), splat(offsets[k3])
            a1, b1, c1, d1 = a0, b0, c0, d0
            for j in range(n):
                x0, x1 = load(x, j * LANES), load(x, j * LANES + 8)
                w = splat(weights[k, j])
                a0, a1 = a0 + w * x0, a1 + w * x1
                w = splat(weights[k1, j])
                b0, b1 = b0 + w * x0, b1 + w * x1
                w = splat(weights[k2, j])
                c0, c1 = c0 + w * x0, c1 + w * x1
                w = splat(weights[k3, j])
                d0, d1 = d0 + w * x0, d1 + w * x1
            store(total, 0, a0)
            store(total, 8, a1)
            store(total, LANES, b0)
            store(total, LANES + 8, b1)
            store(total, 2 * LANES, c0)
            store(total, 2 * LANES + 8, c1)
            store(total, 3 * LANES, d0)
            store(total, 3 * LANES + 8, d1)
            for g in range(min(GROUP, n_out - k)):
                for l in range(n_lanes):
                    out[begin + l, k + g] = total[g * LANES + l]

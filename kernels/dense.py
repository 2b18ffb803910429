"""Σ_j W_kj s_j for a dense matrix and many configurations, row by row in one order: no batch changes the rounding."""

import numba as nb
import numpy as np

from nmcmc.kernels.simd import load, splat, store

LANES = 64


@nb.njit(cache=True, nogil=True)
def affine(spins, weights, offsets, out):
    """Write offsets_k + Σ_j weights_kj s_j of each row of spins (batch, n) int8 to out (batch, k).

    LANES configurations are treated together, innermost in memory, so that every weight is read once for all of them.
    """
    n_out, n = weights.shape
    x, total = np.empty(n * LANES), np.empty(LANES)
    for begin in range(0, spins.shape[0], LANES):
        n_lanes = min(LANES, spins.shape[0] - begin)
        x[:] = 0.0
        for l in range(n_lanes):
            for j in range(n):
                x[j * LANES + l] = spins[begin + l, j]
        for k in range(n_out):
            for half in range(0, LANES, 32):
                start = splat(offsets[k])
                a, b, c, d = start, start, start, start
                for j in range(n):
                    w, i = splat(weights[k, j]), j * LANES + half
                    a = a + w * load(x, i)
                    b = b + w * load(x, i + 8)
                    c = c + w * load(x, i + 16)
                    d = d + w * load(x, i + 24)
                store(total, half, a)
                store(total, half + 8, b)
                store(total, half + 16, c)
                store(total, half + 24, d)
            for l in range(n_lanes):
                out[begin + l, k] = total[l]

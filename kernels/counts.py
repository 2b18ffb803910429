"""Draws from networks that see the spins so far only through their number and how many of them are up."""

import math

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def draw(spins, uniforms, logits, log_q):
    """Draw spins (batch, n) int8 in turn with logits[i, number of up spins before i], and write log q (batch,)."""
    for b in range(spins.shape[0]):
        ups, total = 0, 0.0
        for i in range(spins.shape[1]):
            z = logits[i, ups]
            small = math.exp(-abs(z))
            up = uniforms[b, i] * (1.0 + small) < (1.0 if z > 0 else small)
            total += min(0.0, z if up else -z) - math.log1p(small)
            ups += up
            spins[b, i] = np.int8(1 if up else -1)
        log_q[b] = total

"""Draws from nets that read partial local fields: a new spin touches the fields of its neighbours only.

LANES configurations are treated together, innermost in memory, as in `masked_net`; the arithmetic of one does not
depend on the others.
"""

import math

import numba as nb
import numpy as np

from .masked_net import LANES, _accumulate, _accumulate_one, _decide, _fill, _fold, _tanh
from .simd import load, splat, store


@nb.njit(cache=True, nogil=True)
def _gather(weights, begin, sites, first, last, x, out, at):
    """Add Σ_f weights[begin + f] x[sites[first + f]] to the LANES values of out from ``at`` on."""
    for l in range(0, LANES, 16):
        total = load(out, at + l)
        for f in range(first, last):
            total = total + splat(weights[begin + f - first]) * load(x, sites[f] * LANES + l)
        store(out, at + l, total)


@nb.njit(cache=True, nogil=True)
def add_spin(later, site, strength, i, spin, x):
    """Add strength · spin to the fields of the later neighbours of site i; spin (LANES,) float32."""
    for k in range(later[i], later[i + 1]):
        w, at = splat(strength[k]), site[k] * LANES
        for l in range(0, LANES, 16):
            store(x, at + l, load(x, at + l) + w * load(spin, l))


@nb.njit(cache=True, nogil=True)
def draw(
    spins, uniforms, start, sites, later, later_site, strength,
    weights, middle, last, linear, own, hidden_bias, bias, first, stop, log_q,
):  # fmt: skip
    """Draw rows first ≤ b < stop of spins (batch, n_spins) int8 and write log q to log_q (batch,).

    Parameters
    ----------
    uniforms (batch, n_spins) : the number at a site decides its spin.
    start, sites : which fields spin i reads. later, later_site, strength : whose fields spin i changes, by 2βJ.
    weights (n_spins, width, reach), middle ((depth − 1) · n_spins, width, width), last (n_spins, width),
    linear (n_spins, reach), own, bias (n_spins,), hidden_bias (depth, n_spins, width) : float32.
    """
    n, width, reach = weights.shape
    depth = hidden_bias.shape[0]
    flat, flat_linear, flat_last = weights.ravel(), linear.ravel(), last.ravel()
    x, logit = np.empty(n * LANES, np.float32), np.empty(LANES, np.float32)
    hidden, below = np.empty(width * LANES, np.float32), np.empty(width * LANES, np.float32)
    number, product, total, spin = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES, np.float32)
    for begin in range(first, stop, LANES):
        x[:], product[:], total[:] = np.float32(0.0), 1.0, 0.0
        for i in range(n):
            _fill(logit, 0, bias, i, 1)
            _accumulate_one(own, i, 0, 1, x[i * LANES : (i + 1) * LANES], logit, 0)
            _gather(flat_linear, i * reach, sites, start[i], start[i + 1], x, logit, 0)
            _fill(hidden, 0, hidden_bias[0, i], 0, width)
            for w in range(width):
                _gather(flat, (i * width + w) * reach, sites, start[i], start[i + 1], x, hidden, w * LANES)
            _tanh(hidden, 0, width * LANES)
            for d in range(1, depth):
                hidden, below = below, hidden
                _fill(hidden, 0, hidden_bias[d, i], 0, width)
                _accumulate(middle[(d - 1) * n + i], 0, width, 0, width, below, hidden, 0)
                _tanh(hidden, 0, width * LANES)
            _accumulate_one(flat_last, i * width, 0, width, hidden, logit, 0)
            for l in range(LANES):
                number[l] = uniforms[min(begin + l, stop - 1), i]
            _decide(logit, 0, number, product, total)
            for l in range(LANES):
                spin[l] = np.float32(number[l])
                if begin + l < stop:
                    spins[begin + l, i] = np.int8(number[l])
            add_spin(later, later_site, strength, i, spin, x)
            _fold(i, product, total)
        for l in range(min(LANES, stop - begin)):
            log_q[begin + l] = total[l] - math.log(product[l])

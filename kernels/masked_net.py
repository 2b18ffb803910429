"""Draws from masked dense networks, spin by spin: every hidden unit is computed once, when its inputs are known.

LANES rows (configuration × block) are treated together, innermost in memory. The arithmetic of a row does not depend
on the rows beside it, so results do not depend on batch or threads.
"""

import math

import numba as nb
import numpy as np

from nmcmc.kernels.simd import load, maximum, minimum, splat, store

LANES = 64
CLIP = np.float32(7.9)
# tanh x = x P(x²)/Q(x²) on |x| ≤ 7.9, fitted by iteratively reweighted least squares: 1.5e-9 in exact arithmetic,
# 3.4e-7 in float32, clipping included.
P = np.array(
    [1.0, 0.13128124177, 0.0031536386814, 1.1689425264e-05, -2.2525069810e-08, 6.4826186083e-11, -1.1923853560e-13],
    dtype=np.float32,
)
Q = np.array([1.0, 0.46461454034, 0.024691849947, 0.00026193182567], dtype=np.float32)


@nb.njit(cache=True, nogil=True)
def _tanh(x, size):
    """Replace x (size,) float32 by tanh x."""
    for i in range(0, size, 16):
        t = minimum(splat(CLIP), maximum(splat(-CLIP), load(x, i)))  # this order lets NaN through
        z = t * t
        p = splat(P[6])
        for k in range(5, -1, -1):
            p = p * z + splat(P[k])
        q = splat(Q[3])
        for k in range(2, -1, -1):
            q = q * z + splat(Q[k])
        store(x, i, t * p / q)


@nb.njit(cache=True, nogil=True)
def _accumulate(weights, begin, n, x, out, at):
    """Add Σ_j weights[begin + j] x[j] over j < n, x (n · LANES), to out[at : at + LANES]."""
    a, b, c, d = load(out, at), load(out, at + 16), load(out, at + 32), load(out, at + 48)
    for j in range(n):
        w = splat(weights[begin + j])
        i = j * LANES
        a = a + w * load(x, i)
        b = b + w * load(x, i + 16)
        c = c + w * load(x, i + 32)
        d = d + w * load(x, i + 48)
    store(out, at, a)
    store(out, at + 16, b)
    store(out, at + 32, c)
    store(out, at + 48, d)


@nb.njit(cache=True, nogil=True)
def _decide(logit, uniform):
    """Return the spin that u < P(+1) = 1/(1 + exp(−logit)) decides, and P(spin)."""
    small = math.exp(-abs(logit))
    likely = 1.0 / (1.0 + small)
    up = likely if logit > 0 else small * likely
    if uniform < up:
        return 1.0, up
    return -1.0, likely if logit <= 0 else small * likely


@nb.njit(cache=True, nogil=True)
def draw(spins, border, line, uniforms, first, middle, last, skip, hidden_bias, bias, width, start, stop, log_q):
    """Draw the line of every block given its border, and write log q of each line.

    Parameters
    ----------
    spins (batch, n_sites) int8 : borders are read, lines are written.
    border (n_blocks, n_border), line (n_blocks, n_line) : sites of every block.
    uniforms (batch, n_sites) : the number at a site decides its spin.
    first (n_line · width, n_input), middle (depth − 1, n_line · width, n_line · width), last (n_line, n_line · width),
    skip (n_line, n_input) : masked float32 weights, inputs = border then line; hidden_bias (depth, n_line · width),
        bias (n_line).
    start, stop : rows b · n_blocks + k that this call computes.
    log_q (batch, n_blocks) : result.
    """
    n_blocks, n_border = border.shape
    n_line = line.shape[1]
    n_input, n_hidden, depth = n_border + n_line, n_line * width, hidden_bias.shape[0]
    first_, last_, skip_, middle_ = first.ravel(), last.ravel(), skip.ravel(), middle.ravel()
    x = np.empty(n_input * LANES, dtype=np.float32)
    hidden = [np.empty(n_hidden * LANES, dtype=np.float32) for _ in range(depth)]
    unit, logit = np.empty(width * LANES, dtype=np.float32), np.empty(LANES, dtype=np.float32)
    product, total = np.empty(LANES), np.empty(LANES)
    for begin in range(start, stop, LANES):
        for l in range(LANES):
            b, k = divmod(min(begin + l, stop - 1), n_blocks)
            product[l], total[l] = 1.0, 0.0
            for j in range(n_border):
                x[j * LANES + l] = spins[b, border[k, j]]
        for i in range(n_line):
            known = n_border + i
            for d in range(depth):
                for g in range(width):
                    row = i * width + g
                    for l in range(LANES):
                        unit[g * LANES + l] = hidden_bias[d, row]
                    if d == 0:
                        _accumulate(first_, row * n_input, known, x, unit, g * LANES)
                    else:
                        at = ((d - 1) * n_hidden + row) * n_hidden
                        _accumulate(middle_, at, (i + 1) * width, hidden[d - 1], unit, g * LANES)
                _tanh(unit, width * LANES)
                for l in range(0, width * LANES, 16):
                    store(hidden[d], i * width * LANES + l, load(unit, l))
            for l in range(LANES):
                logit[l] = bias[i]
            _accumulate(skip_, i * n_input, known, x, logit, 0)
            _accumulate(last_, i * n_hidden, (i + 1) * width, hidden[depth - 1], logit, 0)
            for l in range(LANES):
                b, k = divmod(min(begin + l, stop - 1), n_blocks)
                site = line[k, i]
                spin, probability = _decide(np.float64(logit[l]), uniforms[b, site])
                x[known * LANES + l] = spin
                if begin + l < stop:
                    spins[b, site] = np.int8(spin)
                if product[l] * probability < 1e-200:
                    signed = spin * np.float64(logit[l])
                    total[l] += math.log(product[l]) + min(signed, 0.0) - math.log1p(math.exp(-abs(signed)))
                    product[l] = 1.0
                else:
                    product[l] *= probability
        for l in range(min(LANES, stop - begin)):
            b, k = divmod(begin + l, n_blocks)
            log_q[b, k] = total[l] + math.log(product[l])

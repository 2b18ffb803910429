"""Draws from masked dense networks, spin by spin: every hidden unit is computed once, when its inputs are known.

LANES rows (configuration × block) are treated together, innermost in memory. The arithmetic of a row does not depend
on the rows beside it, so results do not depend on batch or threads.
"""

import math

import numba as nb
import numpy as np

from nmcmc.kernels.simd import load, maximum, minimum, prefetch, splat, store, where_less
from nmcmc.kernels.simd_double import exp, widen

LANES = 64
GROUP = 4
CLIP = np.float32(7.9)
# tanh x = x P(x²)/Q(x²) on |x| ≤ 7.9, fitted by iteratively reweighted least squares: 1.5e-9 in exact arithmetic,
# 3.4e-7 in float32, clipping included.
P = np.array(
    [1.0, 0.13128124177, 0.0031536386814, 1.1689425264e-05, -2.2525069810e-08, 6.4826186083e-11, -1.1923853560e-13],
    dtype=np.float32,
)
Q = np.array([1.0, 0.46461454034, 0.024691849947, 0.00026193182567], dtype=np.float32)


@nb.njit(cache=True, nogil=True)
def _tanh(x, begin, end):
    """Replace x[begin : end], float32 and whole vectors, by tanh x."""
    for i in range(begin, end, 16):
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
def _accumulate_one(weights, begin, first, end, x, out, at):
    """Add Σ_j weights[begin + j] x[j] over first ≤ j < end, x (n · LANES), to out[at : at + LANES]."""
    a, b, c, d = load(out, at), load(out, at + 16), load(out, at + 32), load(out, at + 48)
    for j in range(first, end):
        w = splat(weights[begin + j])
        i = j * LANES
        a = a + w * load(x, i)
        b = b + w * load(x, i + 16)
        c = c + w * load(x, i + 32)
        d = d + w * load(x, i + 48)
    _store_row(out, at, a, b, c, d)


@nb.njit(cache=True, nogil=True)
def _accumulate_four(weights, begin, stride, first, end, x, out, at):
    """Do the same for four rows of weights, ``stride`` apart, and four rows of out: every x is read once.

    Unsigned indices spare the question whether they count from the end.
    """
    i, j, k = at + LANES, at + 2 * LANES, at + 3 * LANES
    a0, a1, a2, a3 = load(out, at), load(out, at + 16), load(out, at + 32), load(out, at + 48)
    b0, b1, b2, b3 = load(out, i), load(out, i + 16), load(out, i + 32), load(out, i + 48)
    c0, c1, c2, c3 = load(out, j), load(out, j + 16), load(out, j + 32), load(out, j + 48)
    d0, d1, d2, d3 = load(out, k), load(out, k + 16), load(out, k + 32), load(out, k + 48)
    for m in range(first, end):
        l = m * LANES
        x0, x1, x2, x3 = load(x, l), load(x, l + 16), load(x, l + 32), load(x, l + 48)
        w = splat(weights[np.uint64(begin + m)])
        a0, a1, a2, a3 = a0 + w * x0, a1 + w * x1, a2 + w * x2, a3 + w * x3
        w = splat(weights[np.uint64(begin + stride + m)])
        b0, b1, b2, b3 = b0 + w * x0, b1 + w * x1, b2 + w * x2, b3 + w * x3
        w = splat(weights[np.uint64(begin + 2 * stride + m)])
        c0, c1, c2, c3 = c0 + w * x0, c1 + w * x1, c2 + w * x2, c3 + w * x3
        w = splat(weights[np.uint64(begin + 3 * stride + m)])
        d0, d1, d2, d3 = d0 + w * x0, d1 + w * x1, d2 + w * x2, d3 + w * x3
    _store_row(out, at, a0, a1, a2, a3)
    _store_row(out, i, b0, b1, b2, b3)
    _store_row(out, j, c0, c1, c2, c3)
    _store_row(out, k, d0, d1, d2, d3)


@nb.njit(cache=True, nogil=True)
def _store_row(out, at, a, b, c, d):
    store(out, at, a)
    store(out, at + 16, b)
    store(out, at + 32, c)
    store(out, at + 48, d)


@nb.njit(cache=True, nogil=True)
def _accumulate(weights, row, n_rows, first, end, x, out, at):
    """Add Σ_j weights[row + g, j] x[j] over first ≤ j < end to the n_rows rows of out that start at ``at``."""
    stride, flat = weights.shape[1], weights.ravel()
    g = 0
    while g < n_rows:
        begin = (row + g) * stride
        if n_rows - g >= GROUP:
            _accumulate_four(flat, begin, stride, first, end, x, out, at + g * LANES)
            g += GROUP
        else:
            _accumulate_one(flat, begin, first, end, x, out, at + g * LANES)
            g += 1


@nb.njit(cache=True, nogil=True)
def _fill(out, at, values, first, n_rows):
    """Write values[first + g] to all lanes of the row g of out that start at ``at``."""
    for g in range(n_rows):
        for l in range(0, LANES, 16):
            store(out, at + g * LANES + l, splat(values[first + g]))


@nb.njit(cache=True, nogil=True)
def _decide(logit, at, number, product, total):
    """Replace the uniform numbers (LANES,) by the spins that u < P(+1) = 1/(1 + exp(−logit)) decides.

    Multiplies product by 1 + exp(−|logit|), and adds min(0, spin · logit) to total: log P(spin) = total − ln product.
    """
    zero, one = splat(0.0), splat(1.0)
    for l in range(0, LANES, 8):
        z = widen(logit, at + l)
        small = exp(zero - maximum(zero - z, z))
        both = one + small
        up = where_less(zero, z, one, small)
        spin = where_less(load(number, l) * both, up, one, zero - one)
        store(number, l, spin)
        store(product, l, load(product, l) * both)
        store(total, l, load(total, l) + minimum(zero, spin * z))


@nb.njit(cache=True, nogil=True)
def _fold(i, product, total):
    """Move ln product into total after every 1000 positions i: a product of so many numbers ≤ 2 is still in range."""
    if i % 1000 == 999:
        for l in range(LANES):
            total[l] -= math.log(product[l])
            product[l] = 1.0


@nb.njit(cache=True, nogil=True)
def _hidden_units(first, middle, hidden_bias, x, hidden, i, known, width):
    """Compute the hidden units of position i, layer by layer; the first sees ``known`` inputs."""
    at = i * width * LANES
    for d in range(len(hidden)):
        _fill(hidden[d], at, hidden_bias[d], i * width, width)
        if d == 0:
            _accumulate(first, i * width, width, 0, known, x, hidden[d], at)
        else:
            _accumulate(middle[d - 1], i * width, width, 0, (i + 1) * width, hidden[d - 1], hidden[d], at)
        _tanh(hidden[d], at, at + width * LANES)


@nb.njit(cache=True, nogil=True)
def _gather(spins, sites, out, lane):
    """Write the spins of a configuration at some sites to one lane of out (n_sites · LANES,), both int8."""
    k = np.uint64(lane)
    for j in range(sites.shape[0]):
        out[k] = spins[sites[j]]
        k += np.uint64(LANES)


@nb.njit(cache=True, nogil=True)
def draw(spins, border, line, uniforms, first, middle, last, skip, hidden_bias, bias, width, start, stop, log_q):
    """Draw the line of every block given its border, and write log q of each line.

    Sums over what is known already are made for GROUP positions at once; what the group itself draws is added later.

    Parameters
    ----------
    spins (batch, n_sites) int8 : borders are read, lines are written.
    border (n_blocks, n_border), line (n_blocks, n_line) : sites of every block, unsigned: numba would ask of every
        signed index whether it counts from the end.
    uniforms (batch, n_sites) : the number at a site decides its spin.
    first (n_line · width, n_input), middle (depth − 1, n_line · width, n_line · width), last (n_line, n_line · width),
    skip (n_line, n_input) : masked float32 weights, inputs = border then line; hidden_bias (depth, n_line · width),
        bias (n_line).
    start, stop : rows b · n_blocks + k that this call computes.
    log_q (batch, n_blocks) : result.
    """
    n_blocks, n_border = border.shape
    n_line, depth = line.shape[1], hidden_bias.shape[0]
    x = np.empty((n_border + n_line) * LANES, dtype=np.float32)
    hidden = np.empty((depth, n_line * width * LANES), dtype=np.float32)
    logit, number = np.empty(GROUP * LANES, dtype=np.float32), np.empty(LANES)
    product, total = np.empty(LANES), np.empty(LANES)
    row, block = np.empty(LANES, dtype=np.uint64), np.empty(LANES, dtype=np.uint64)
    given = np.empty(n_border * LANES, dtype=np.int8)
    for begin in range(start, stop, LANES):
        product[:], total[:] = 1.0, 0.0
        for l in range(LANES):
            row[l], block[l] = divmod(min(begin + l, stop - 1), n_blocks)
            prefetch(uniforms, row[l], line[block[l], 0])
            _gather(spins[row[l]], border[block[l]], given, l)
        for k in range(n_border * LANES):  # apart from the gathering, for vectors can do this
            x[k] = given[k]
        for i in range(n_line):
            known, g = n_border + i, i % GROUP
            for l in range(LANES if i + 1 < n_line else 0):
                prefetch(uniforms, row[l], line[block[l], i + 1])  # neighbours in a line may be rows apart in memory
            if g == 0:
                n = min(GROUP, n_line - i)
                _fill(logit, 0, bias, i, n)
                _accumulate(skip, i, n, 0, known, x, logit, 0)
                _accumulate(last, i, n, 0, i * width, hidden[depth - 1], logit, 0)
            _hidden_units(first, middle, hidden_bias, x, hidden, i, known, width)
            _accumulate(skip, i, 1, known - g, known, x, logit, g * LANES)
            _accumulate(last, i, 1, (i - g) * width, (i + 1) * width, hidden[depth - 1], logit, g * LANES)
            for l in range(LANES):
                number[l] = uniforms[row[l], line[block[l], i]]
            _decide(logit, g * LANES, number, product, total)
            for l in range(LANES):
                x[known * LANES + l] = number[l]
            for l in range(min(LANES, stop - begin)):
                spins[row[l], line[block[l], i]] = np.int8(number[l])
            _fold(i, product, total)
        for l in range(min(LANES, stop - begin)):
            log_q[row[l], block[l]] = total[l] - math.log(product[l])

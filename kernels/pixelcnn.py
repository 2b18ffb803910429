"""Draws from a PixelCNN, site by site: each layer is computed once at each site, when all that it sees is known.

LANES configurations are treated together, innermost in memory, as in `masked_net`. A plane keeps the inputs of one
convolution for the rows that it can see, the last one in place of the first one that is out of sight, with zeros to the
left and right of every row, so that a row of a kernel meets one contiguous piece of memory.
"""

import math

import numba as nb
import numpy as np

from .masked_net import LANES, _accumulate, _decide, _fill, _fold
from .simd import load, maximum, minimum, splat, store
from .sparse_net import add_spin


@nb.njit(cache=True, nogil=True)
def _convolve(weights, plane, row, column, columns, own_columns, out):
    """Add Σ weights · plane around a site to out (n_out · LANES,); weights (reach + 1, n_out, side · n_in).

    Of the site's own row the first ``own_columns`` columns of the kernel are seen.
    """
    reach, n_out = weights.shape[0] - 1, weights.shape[1]
    n_in = weights.shape[2] // (2 * reach + 1)
    stride = (columns + 2 * reach) * n_in * LANES
    for k in range(max(0, reach - row), reach + 1):
        at = ((row - reach + k) % (reach + 1)) * stride + column * n_in * LANES
        seen = (own_columns if k == reach else 2 * reach + 1) * n_in
        _accumulate(weights[k], 0, n_out, 0, seen, plane[at : at + seen * LANES], out, 0)


@nb.njit(cache=True, nogil=True)
def _rectify(x, slopes, out, at):
    """Write max(0, x) + slope · min(0, x) of every channel of x (n · LANES,) to out from ``at`` on."""
    zero = splat(np.float32(0.0))
    for channel in range(slopes.shape[0]):
        slope = splat(slopes[channel])
        for l in range(channel * LANES, (channel + 1) * LANES, 16):
            v = load(x, l)
            store(out, at + l, maximum(zero, v) + slope * minimum(zero, v))


@nb.njit(cache=True, nogil=True)
def _add_bias(x, bias):
    for channel in range(bias.shape[0]):
        for l in range(channel * LANES, (channel + 1) * LANES, 16):
            store(x, l, load(x, l) + splat(bias[channel]))


@nb.njit(cache=True, nogil=True)
def draw(
    spins, uniforms, columns, is_even, later, later_site, strength,
    first, convolutions, last, mixing, mixing_bias, slopes, biases, last_bias, own, fields, start, stop, log_q,
):  # fmt: skip
    """Draw rows start ≤ b < stop of spins (batch, n_spins) int8 and write log q to log_q (batch,).

    Parameters
    ----------
    uniforms (batch, n_spins) : the number at a site decides its spin.
    columns : extent of a row. is_even : whether the net sees spins relative to the first one.
    later, later_site, strength : whose known field a spin changes, by 2βJ; fields (n_spins,) : 2βh.
    first, convolutions (n_blocks, …), last : (reach + 1, n_out, side · n_in) float32, masked.
    mixing (n_blocks, width, width), mixing_bias (n_blocks, width), slopes, biases (n_blocks + 1, width),
    last_bias (1,), own (1,) : float32.
    """
    n, width, n_blocks, reach = fields.shape[0], biases.shape[1], mixing.shape[0], first.shape[0] - 1
    size = (reach + 1) * (columns + 2 * reach) * LANES
    seen_spins, planes = np.empty(size, np.float32), np.empty((n_blocks + 1, size * width), np.float32)
    x, h, inner = (
        np.empty(n * LANES, np.float32),
        np.empty(width * LANES, np.float32),
        np.empty(width * LANES, np.float32),
    )
    logit, sign, spin = (np.empty(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32))
    number, product, total = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for begin in range(start, stop, LANES):
        seen_spins[:], planes[:], sign[:] = np.float32(0.0), np.float32(0.0), np.float32(1.0)
        product[:], total[:] = 1.0, 0.0
        for i in range(n):
            _fill(x, i * LANES, fields, i, 1)
        for i in range(n):
            row, column = divmod(i, columns)
            place = ((row % (reach + 1)) * (columns + 2 * reach) + column + reach) * LANES
            _fill(h, 0, biases[0], 0, width)
            _convolve(first, seen_spins, row, column, columns, reach, h)
            for block in range(n_blocks):
                _fill(inner, 0, mixing_bias[block], 0, width)
                _accumulate(mixing[block], 0, width, 0, width, h, inner, 0)
                _rectify(inner, slopes[block], planes[block], place * width)
                _add_bias(h, biases[block + 1])
                _convolve(convolutions[block], planes[block], row, column, columns, reach + 1, h)
            _rectify(h, slopes[n_blocks], planes[n_blocks], place * width)
            _fill(logit, 0, last_bias, 0, 1)
            _convolve(last, planes[n_blocks], row, column, columns, reach + 1, logit)
            if is_even and i == 0:
                logit[:] = np.float32(0.0)
            for l in range(0, LANES, 16):
                store(logit, l, load(sign, l) * load(logit, l) + splat(own[0]) * load(x, i * LANES + l))
            for l in range(LANES):
                number[l] = uniforms[min(begin + l, stop - 1), i]
            _decide(logit, 0, number, product, total)
            for l in range(LANES):
                spin[l] = np.float32(number[l])
                if begin + l < stop:
                    spins[begin + l, i] = np.int8(number[l])
            if is_even and i == 0:
                sign[:] = spin
            for l in range(0, LANES, 16):
                store(seen_spins, place + l, load(sign, l) * load(spin, l))
            add_spin(later, later_site, strength, i, spin, x)
            _fold(i, product, total)
        for l in range(min(LANES, stop - begin)):
            log_q[begin + l] = total[l] - math.log(product[l])

"""Exact leaves: log Z and an exact draw of small rectangles with a known border, by transfer matrices.

LANES leaves are treated together, innermost in memory, so that the arithmetic fills the SIMD lanes. Messages are
indexed by the state of one row: bit c of the state is the spin of column c (0: −1, 1: +1).
"""

import math

import numba as nb
import numpy as np

from nmcmc.kernels.simd import load, splat, store

LANES = 8


@nb.njit(cache=True, nogil=True)
def _site_weights(factor, at, across, c, left):
    """Return the weights of spin c being −1 and +1, given the state 0 or 1 of its left neighbour."""
    lower, upper = load(factor, at + 2 * c * LANES), load(factor, at + (2 * c + 1) * LANES)
    if c == 0:
        return lower, upper
    return lower * splat(across[c - 1, left]), upper * splat(across[c - 1, 1 - left])


@nb.njit(cache=True, nogil=True)
def _first_row(v, factor, across, width):
    """Write the messages of the first row to v (2^width · LANES), site by site; factor (sites · 2 · LANES)."""
    store(v, 0, splat(1.0))
    for c in range(width):
        bit = 1 << c
        run = max(bit >> 1, 1)
        for left in range(min(bit, 2)):
            lower, upper = _site_weights(factor, 0, across, c, left)
            for state in range(left * run, left * run + run):
                message = load(v, state * LANES)
                store(v, (state + bit) * LANES, message * upper)
                store(v, state * LANES, message * lower)


@nb.njit(cache=True, nogil=True)
def _next_row(v, factor, at, across, down, width):
    """Replace the messages of a row in v (2^width · LANES) by those of the next row, whose factors start at ``at``."""
    for c in range(width):
        bit = 1 << c
        run = max(bit >> 1, 1)
        same, other = splat(down[c, 0]), splat(down[c, 1])
        for left in range(min(bit, 2)):
            lower, upper = _site_weights(factor, at, across, c, left)
            same_lower, other_lower = same * lower, other * lower
            same_upper, other_upper = same * upper, other * upper
            for high in range(left * run, 1 << width, 2 * bit):
                for state in range(high, high + run):
                    i = state * LANES
                    j = i + bit * LANES
                    below, above = load(v, i), load(v, j)
                    store(v, i, same_lower * below + other_lower * above)
                    store(v, j, other_upper * below + same_upper * above)


@nb.njit(cache=True, nogil=True)
def _normalise(v, size, log_z, total):
    """Divide the messages v (n_states · LANES = size) by their sum in every lane; add its logarithm to log_z."""
    accumulated = splat(0.0)
    for i in range(0, size, LANES):
        accumulated = accumulated + load(v, i)
    store(total, 0, accumulated)
    for l in range(LANES):
        log_z[l] += math.log(total[l])
    inverse = splat(1.0) / accumulated
    for i in range(0, size, LANES):
        store(v, i, load(v, i) * inverse)


@nb.njit(cache=True, nogil=True)
def _draw_row(pyramid, weight, uniforms, row, width):
    """Draw a row with P(x) ∝ v(x) Π_c weight[c, x_c]: sum out the low bits level by level, then choose from the top.

    pyramid (2^(width + 1) · LANES): v first; level c, with bits < c summed out, starts at 2^(width+1) − 2^(width+1−c).
    weight (width · 2 · LANES); uniforms (width, LANES); the drawn spins ±1 go to row (width, LANES).
    """
    for c in range(width - 1):
        here, above = (2 << width) - (2 << width >> c), (2 << width) - (2 << width >> (c + 1))
        lower, upper = load(weight, 2 * c * LANES), load(weight, (2 * c + 1) * LANES)
        for x in range(1 << (width - c - 1)):
            i = (here + 2 * x) * LANES
            store(pyramid, (above + x) * LANES, load(pyramid, i) * lower + load(pyramid, i + LANES) * upper)
    for l in range(LANES):
        state = 0
        for c in range(width - 1, -1, -1):
            i = ((2 << width) - (2 << width >> c) + 2 * state) * LANES + l
            lower, upper = pyramid[i] * weight[2 * c * LANES + l], pyramid[i + LANES] * weight[(2 * c + 1) * LANES + l]
            up = uniforms[c, l] * (lower + upper) < upper
            row[c, l] = 1.0 if up else -1.0
            state = 2 * state + up


@nb.njit(cache=True, nogil=True)
def leaves(
    spins, inside, bond_inside, bond_site, bond_coupling, fields, across, down, uniforms, fill, start, stop, out
):
    """Write log Z of every leaf given its border, and draw its inside where ``fill``.

    Parameters
    ----------
    spins (batch, n_sites) int8 : borders are read; insides are written if ``fill``.
    inside (n_blocks, height, width) : sites of every block, width ≤ height.
    bond_inside (n_bonds,) row · width + column, bond_site (n_blocks, n_bonds), bond_coupling (n_bonds,) : border bonds.
    fields (height, width), across (height, width − 1), down (height − 1, width) : βh and βJ inside.
    uniforms (batch, n_sites) : the number at a site decides its spin; not read unless ``fill``.
    start, stop : rows b · n_blocks + k that this call computes.
    out (batch, n_blocks) : log Z.
    """
    n_blocks, height, width = inside.shape
    n_states = 1 << width
    size = n_states * LANES
    v, pyramid = np.empty(size), np.empty(2 * size)
    rows = np.empty(height * size if fill else 0)
    factor, weight = np.empty(height * width * 2 * LANES), np.empty(width * 2 * LANES)
    total, result = np.empty(LANES), np.empty(LANES)
    u, row = np.empty((width, LANES)), np.empty((width, LANES))
    on_sites, on_border = _field_weights(fields.ravel()), _field_weights(bond_coupling)
    bonds_across, bonds_down = _bond_weights(across), _bond_weights(down)
    strength = _sum_abs(across) + _sum_abs(down) + _sum_abs(fields) + _sum_abs(bond_coupling.reshape(1, -1))
    for first in range(start, stop, LANES):
        for i in range(2 * height * width):
            store(factor, i * LANES, splat(on_sites[i // 2, i % 2]))
        for l in range(LANES):
            result[l] = strength
            b, k = divmod(min(first + l, stop - 1), n_blocks)
            for e in range(bond_inside.shape[0]):
                up = (1 + spins[b, bond_site[k, e]]) >> 1
                i = 2 * bond_inside[e] * LANES + l
                factor[i] *= on_border[e, 1 - up]
                factor[i + LANES] *= on_border[e, up]
        for r in range(height):
            if r == 0:
                _first_row(v, factor, bonds_across[0], width)
            else:
                _next_row(v, factor, 2 * r * width * LANES, bonds_across[r], bonds_down[r - 1], width)
            _normalise(v, size, result, total)
            if fill:
                _copy(v, 0, rows, r * size, size)
        for l in range(min(LANES, stop - first)):
            b, k = divmod(first + l, n_blocks)
            out[b, k] = result[l]
        if fill:
            for i in range(width * 2 * LANES):
                weight[i] = 1.0
            for r in range(height - 1, -1, -1):
                _copy(rows, r * size, pyramid, 0, size)
                for l in range(LANES):
                    b, k = divmod(min(first + l, stop - 1), n_blocks)
                    for c in range(width):
                        u[c, l] = uniforms[b, inside[k, r, c]]
                _draw_row(pyramid, weight, u, row, width)
                for l in range(min(LANES, stop - first)):
                    b, k = divmod(first + l, n_blocks)
                    for c in range(width):
                        spins[b, inside[k, r, c]] = np.int8(row[c, l])
                if r > 0:
                    for c in range(width):
                        same, other = bonds_down[r - 1, c, 0], bonds_down[r - 1, c, 1]
                        for l in range(LANES):
                            weight[2 * c * LANES + l] = other if row[c, l] > 0 else same
                            weight[(2 * c + 1) * LANES + l] = same if row[c, l] > 0 else other


@nb.njit(cache=True, nogil=True)
def _copy(source, i, target, j, size):
    """Copy ``size`` numbers, a multiple of LANES, from source[i:] to target[j:]."""
    for k in range(0, size, LANES):
        store(target, j + k, load(source, i + k))


@nb.njit(cache=True, nogil=True)
def _sum_abs(couplings):
    total = 0.0
    for r in range(couplings.shape[0]):
        for c in range(couplings.shape[1]):
            total += abs(couplings[r, c])
    return total


@nb.njit(cache=True, nogil=True)
def _field_weights(fields):
    """Return exp(∓f − |f|) for spin −1 and +1 in every field (n,): (n, 2). The same numbers serve a border bond K:
    its border spin up is a field K, and down a field −K.
    """
    out = np.empty((fields.shape[0], 2))
    for i in range(fields.shape[0]):
        out[i, 0] = math.exp(-fields[i] - abs(fields[i]))
        out[i, 1] = math.exp(fields[i] - abs(fields[i]))
    return out


@nb.njit(cache=True, nogil=True)
def _bond_weights(couplings):
    """Return exp(±K − |K|) for aligned and opposed spins, (rows, columns, 2)."""
    out = np.empty((couplings.shape[0], couplings.shape[1], 2))
    for r in range(couplings.shape[0]):
        for c in range(couplings.shape[1]):
            out[r, c, 0] = math.exp(couplings[r, c] - abs(couplings[r, c]))
            out[r, c, 1] = math.exp(-couplings[r, c] - abs(couplings[r, c]))
    return out

"""Exact leaves: log Z and an exact draw of small rectangles with a known border, by transfer matrices.

As many leaves as a vector has lanes are treated together, innermost in memory: sixteen in float32, eight in float64;
the type of the weights decides. All tables are flat arrays of vectors: entry i starts at i · lanes. Messages are
indexed by the state of one row: bit c of the state is the spin of column c (0: −1, 1: +1).
"""

import math

import numba as nb
import numpy as np

from nmcmc.kernels.leaf_draw import draw_rows
from nmcmc.kernels.simd import lanes, load, prefetch, splat, store, where_less

LANES = 16


@nb.njit(cache=True, nogil=True)
def _expand(v, at, factor, row, across, begin, end, left):
    """Extend the weights that start at v[at] from one state to those of columns begin, …, end − 1 of a row.

    left is the state 0 or 1 of column begin − 1; factor (n_sites, 2 vectors) starts with this row at ``row``.
    """
    n = lanes(v)
    for c in range(begin, end):
        lower, upper = load(factor, row + 2 * c * n), load(factor, row + (2 * c + 1) * n)
        same, other = splat(across[c, 0]), splat(across[c, 1])
        lower_same, lower_other, upper_same, upper_other = lower * same, lower * other, upper * same, upper * other
        bit = 1 << (c - begin)
        for s in range(bit):
            message = load(v, at + s * n)
            before = 2 * s >= bit if c > begin else left == 1
            store(v, at + (s + bit) * n, message * (upper_same if before else upper_other))
            store(v, at + s * n, message * (lower_other if before else lower_same))


@nb.njit(cache=True, nogil=True)
def _pair(a, b, ratio):
    """Sum out the old spin of one column: a for −1 and b for +1 on both sides, ratio of opposed to aligned spins."""
    return a + ratio * b, b + ratio * a


@nb.njit(cache=True, nogil=True)
def _sum_one(v, source, target, table, ratio, c, width):
    """Sum out the old spin of column c, and multiply by table (2 left, 8 states)."""
    n = lanes(v)
    bit, half, r = n << c, (n << c) >> 1, splat(ratio[c])
    for left in range(min(c + 1, 2)):
        w0, w1 = load(table, 8 * left * n), load(table, (8 * left + 1) * n)
        for high in range(left * half, n << width, 2 * bit):
            for i in range(high, high + max(half, n), n):
                a, b = _pair(load(v, source + i), load(v, source + i + bit), r)
                store(v, target + i, a * w0)
                store(v, target + i + bit, b * w1)


@nb.njit(cache=True, nogil=True)
def _sum_three(v, source, target, table, ratio, c, width):
    """Sum out the old spins of columns c, c + 1, c + 2 in registers, and multiply by table (2 left, 8 states)."""
    n = lanes(v)
    bit, half = n << c, (n << c) >> 1
    r, s, t = splat(ratio[c]), splat(ratio[c + 1]), splat(ratio[c + 2])
    for left in range(min(c + 1, 2)):
        i = 8 * left * n
        w0, w1, w2, w3 = load(table, i), load(table, i + n), load(table, i + 2 * n), load(table, i + 3 * n)
        i += 4 * n
        w4, w5, w6, w7 = load(table, i), load(table, i + n), load(table, i + 2 * n), load(table, i + 3 * n)
        for high in range(left * half, n << width, 8 * bit):
            for j in range(high, high + max(half, n), n):
                i = source + j
                x0, x1 = _pair(load(v, i), load(v, i + bit), r)
                x2, x3 = _pair(load(v, i + 2 * bit), load(v, i + 3 * bit), r)
                x4, x5 = _pair(load(v, i + 4 * bit), load(v, i + 5 * bit), r)
                x6, x7 = _pair(load(v, i + 6 * bit), load(v, i + 7 * bit), r)
                y0, y2 = _pair(x0, x2, s)
                y1, y3 = _pair(x1, x3, s)
                y4, y6 = _pair(x4, x6, s)
                y5, y7 = _pair(x5, x7, s)
                x0, x4 = _pair(y0, y4, t)
                x1, x5 = _pair(y1, y5, t)
                x2, x6 = _pair(y2, y6, t)
                x3, x7 = _pair(y3, y7, t)
                i = target + j
                store(v, i, x0 * w0)
                store(v, i + bit, x1 * w1)
                store(v, i + 2 * bit, x2 * w2)
                store(v, i + 3 * bit, x3 * w3)
                store(v, i + 4 * bit, x4 * w4)
                store(v, i + 5 * bit, x5 * w5)
                store(v, i + 6 * bit, x6 * w6)
                store(v, i + 7 * bit, x7 * w7)


@nb.njit(cache=True, nogil=True)
def _next_row(v, source, target, factor, row, across, ratio, scale, table, width):
    """Write the messages of a row to v[target:], times scale, from those of the row before at v[source:]."""
    n = lanes(v)
    c = 0
    while c < width:
        bits = 3 if width - c >= 3 else 1
        for left in range(min(c + 1, 2)):
            store(table, 8 * left * n, load(scale, 0))
            _expand(table, 8 * left * n, factor, row, across, c, c + bits, left)
        if bits == 3:
            _sum_three(v, source, target, table, ratio, c, width)
        else:
            _sum_one(v, source, target, table, ratio, c, width)
        store(scale, 0, splat(v.dtype.type(1)))
        source = target
        c += bits


@nb.njit(cache=True, nogil=True)
def _rescale(v, at, width, scale, product, log_z):
    """Write the inverse sum of the messages to scale, and multiply product (lanes,) float64 by the sum.

    A product that would leave its range goes to log_z (lanes,). Every state is first added to its negative, so that
    the sum is the same to the last bit when all spins are turned.
    """
    n = lanes(v)
    accumulated, last, half = splat(v.dtype.type(0)), 2 * at + (n << width) - n, (n << width) >> 1
    for first in range(at, at + half, 8 * n):
        part = splat(v.dtype.type(0))
        for i in range(first, min(first + 8 * n, at + half), n):
            part = part + (load(v, i) + load(v, last - i))
        accumulated = accumulated + part
    store(scale, 0, accumulated)
    for l in range(n):
        total = np.float64(scale[l])
        if 1e-100 < product[l] * total < 1e100:
            product[l] *= total
        else:
            log_z[l] += math.log(product[l]) + math.log(total)
            product[l] = 1.0
    store(scale, 0, splat(v.dtype.type(1)) / accumulated)


@nb.njit(cache=True, nogil=True)
def _site_factors(factor, field_weight, border, bond_inside, bond_weight):
    """Write the weights of spin −1 and +1 of every site, field and border together, to factor (n_sites, 2 vectors)."""
    n, zero = lanes(factor), splat(factor.dtype.type(0))
    for i in range(len(field_weight)):
        store(factor, 2 * i * n, splat(field_weight[i, 0]))
        store(factor, (2 * i + 1) * n, splat(field_weight[i, 1]))
    for e in range(len(bond_inside)):
        i, spin = 2 * bond_inside[e] * n, load(border, e * n)
        lower, upper = splat(bond_weight[e, 0]), splat(bond_weight[e, 1])
        store(factor, i, load(factor, i) * where_less(zero, spin, lower, upper))
        store(factor, i + n, load(factor, i + n) * where_less(zero, spin, upper, lower))


@nb.njit(cache=True, nogil=True)
def _gather(spins, uniforms, sites, bond_site, fill, first, stop, border, chance):
    """Write the border spins ±1 of the leaves from ``first`` on to border, their uniforms u and 1 − u to chance."""
    n, n_sites = lanes(border), sites.shape[1]
    for l in range(n):
        b, k = divmod(np.uint64(min(first + l, stop - 1)), np.uint64(len(bond_site)))
        for e in range(bond_site.shape[1]):
            border[e * n + l] = spins[b, bond_site[k, e]]
        if fill:
            following, its = divmod(np.uint64(min(first + n + l, stop - 1)), np.uint64(len(bond_site)))
            for i in range(0, n_sites, 3):  # sites are neighbours in memory along one side: every cache line is met
                prefetch(uniforms, following, sites[its, i])
            for i in range(n_sites):
                u = uniforms[b, sites[k, i]]
                chance[2 * i * n + l] = u
                chance[(2 * i + 1) * n + l] = 1.0 - u


@nb.njit(cache=True, nogil=True)
def leaves(
    spins, sites, bond_inside, bond_site, bond_weight, field_weight, across, ratio, rescale, uniforms, fill, start,
    stop, log_z,
):  # fmt: skip
    """Write log Z of every leaf given its border, and draw its inside where ``fill``; energies from the weights' zero.

    Parameters
    ----------
    spins (batch, n_sites) int8 : borders are read; insides are written if ``fill``.
    sites (n_blocks, height · width) uint64 : sites of every block.
    bond_inside (n_bonds,) row · width + column, bond_site (n_blocks, n_bonds) uint64 : border bonds.
    bond_weight (n_bonds, 2) : weights of opposed and of aligned spins.
    field_weight (height · width, 2) : weights of spin −1 and +1.
    across (height, width, 2) : weights of aligned and opposed spins of a column and the one before it.
    ratio (height, width) : weight of opposed over that of aligned spins of a row and the one before it.
    rescale (height,) bool : after which rows messages are divided by their sum.
    uniforms (batch, n_sites) : the number at a site decides its spin; not read unless ``fill``.
    start, stop : rows b · n_blocks + k that this call computes.
    log_z (batch, n_blocks) : result.
    """
    height, width = ratio.shape
    one = np.ones(1, dtype=ratio.dtype)
    n, n_bonds = lanes(one), len(bond_inside)
    size, area, n_drawn = n << width, height * width * n, height * width * n if fill else 0
    v = np.empty(height * size if fill else size, dtype=ratio.dtype)
    factor, border = np.empty(2 * area, dtype=ratio.dtype), np.empty(n_bonds * n, dtype=ratio.dtype)
    chance, drawn = np.empty(2 * n_drawn, dtype=ratio.dtype), np.empty(n_drawn, dtype=ratio.dtype)
    work, small = np.empty(size if fill else 0, dtype=ratio.dtype), np.empty(width * n, dtype=ratio.dtype)
    table, scale = np.empty(16 * n, dtype=ratio.dtype), np.empty(n, dtype=ratio.dtype)
    product, total = np.empty(n), np.empty(n)
    for first in range(start, stop, n):
        _gather(spins, uniforms, sites, bond_site, fill, first, stop, border, chance)
        _site_factors(factor, field_weight, border, bond_inside, bond_weight)
        product[:], total[:] = 1.0, 0.0
        at = 0
        store(v, 0, splat(one[0]))
        store(scale, 0, splat(one[0]))
        _expand(v, 0, factor, 0, across[0], 0, width, 0)
        for r in range(height):
            if r > 0:
                source, at = at, r * size if fill else 0
                _next_row(v, source, at, factor, 2 * r * width * n, across[r], ratio[r], scale, table, width)
            if rescale[r]:
                _rescale(v, at, width, scale, product, total)
        if fill:
            draw_rows(v, work, small, ratio, chance, drawn, width, height)
        for l in range(min(n, stop - first)):
            b, k = divmod(np.uint64(first + l), np.uint64(len(sites)))
            log_z[b, k] = total[l] + math.log(product[l])
            if fill:
                for i in range(sites.shape[1]):
                    spins[b, sites[k, i]] = np.int8(drawn[i * n + l])

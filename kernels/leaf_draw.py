"""Exact draws of leaves, row by row backwards, from the messages that `leaf_transfer` stores."""

import numba as nb

from nmcmc.kernels.simd import lanes, load, splat, store, where_less


@nb.njit(cache=True, nogil=True)
def _draw_row(v, at, work, ratio, chance, row, width):
    """Draw a row with P(x) ∝ v(x) Π_c ratio[c]^(x_c = +1): column by column from the last, halving the messages.

    work (2^width vectors) is overwritten; chance (width, 2 vectors) : the uniform number u that decides a spin, and
    1 − u, so that neither end loses digits; the drawn spins ±1 go to row (width vectors).
    """
    n, half = lanes(v), 1 << (width - 1)
    zero, one = splat(v.dtype.type(0)), splat(v.dtype.type(1))
    store(work, 0, one)
    for c in range(width - 1):
        r = load(ratio, c * n)
        for s in range(0, n << c, n):
            store(work, s + (n << c), load(work, s) * r)
    lower, upper, r = zero, zero, load(ratio, (width - 1) * n)
    for s in range(0, half * n, n):
        weight = load(work, s)
        a, b = load(v, at + s) * weight, load(v, at + s + half * n) * (weight * r)
        store(work, s, a)
        store(work, s + half * n, b)
        lower, upper = lower + a, upper + b
    for c in range(width - 1, -1, -1):
        down, up = load(chance, 2 * c * n) * lower, load(chance, (2 * c + 1) * n) * upper
        store(row, c * n, where_less(down, up, one, zero - one))
        bit = n << c
        half = bit >> 1
        lower, upper = zero, zero
        for s in range(0, half if c > 0 else 0, n):
            a = where_less(down, up, load(work, s + bit), load(work, s))
            b = where_less(down, up, load(work, s + bit + half), load(work, s + half))
            store(work, s, a)
            store(work, s + half, b)
            lower, upper = lower + a, upper + b


@nb.njit(cache=True, nogil=True)
def draw_rows(v, work, ratio, down, chance, drawn, width, height):
    """Draw all rows (drawn: n_sites vectors) from the last to the first, each given the row below it."""
    n = lanes(v)
    zero, one = splat(v.dtype.type(0)), splat(v.dtype.type(1))
    for r in range(height - 1, -1, -1):
        for c in range(width):
            if r == height - 1:
                store(ratio, c * n, one)
            else:
                t = splat(down[r + 1, c])
                store(ratio, c * n, where_less(zero, load(drawn, ((r + 1) * width + c) * n), one / t, t))
        first = r * width * n
        _draw_row(v, r * (n << width), work, ratio, chance[2 * first :], drawn[first:], width)

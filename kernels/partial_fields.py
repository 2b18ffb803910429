"""Draws from networks that see the spins so far only through partial fields x_il = h_l + Σ_{j<i} J_jl s_j, l ≥ i.

When spin i is drawn, its couplings are added to the fields of the spins that are left: x_(i+1)l = x_il + J_il s_i, so a
draw keeps one row of fields and never looks back. LANES rows are treated together, innermost in memory; the arithmetic
of a row does not depend on the rows beside it. Weights of pairs i < l are in the order (0, 1), (0, 2), …, (1, 2), …
"""

import math

import numba as nb
import numpy as np

from nmcmc.kernels.simd import load, minimum, splat, store, where_less
from nmcmc.kernels.simd_double import exp, log_cosh, log_sigmoid, magnitude, tanh

LANES = 16


@nb.njit(cache=True, nogil=True)
def _begin(fields, x, product, total):
    """Write the fields h_l (n,) to all lanes of x, and begin the sums of `_decide`."""
    for l in range(len(fields)):
        for k in range(0, LANES, 8):
            store(x, l * LANES + k, splat(fields[l]))
    product[:], total[:] = 1.0, 0.0


@nb.njit(cache=True, nogil=True)
def _decide(logit, uniforms, begin, i, spins, spin, product, total):
    """Draw spin i of the rows from ``begin`` on, as u < P(+1) = 1/(1 + exp(−logit)) says, into spins and spin (LANES,).

    Multiplies product by 1 + exp(−|logit|), and adds min(0, spin · logit) to total: log P(spin) = total − ln product.
    """
    n_lanes = min(LANES, spins.shape[0] - begin)
    for k in range(LANES):
        spin[k] = uniforms[begin + min(k, n_lanes - 1), i]
    zero, one = splat(0.0), splat(1.0)
    for k in range(0, LANES, 8):
        z = load(logit, k)
        small = exp(zero - magnitude(z))
        both = one + small
        s = where_less(load(spin, k) * both, where_less(zero, z, one, small), one, zero - one)
        store(spin, k, s)
        store(product, k, load(product, k) * both)
        store(total, k, load(total, k) + minimum(zero, s * z))
    for k in range(LANES):
        if k < n_lanes:
            spins[begin + k, i] = np.int8(spin[k])
        if i % 1000 == 999:  # 2^1000 is still in range
            total[k] -= math.log(product[k])
            product[k] = 1.0


@nb.njit(cache=True, nogil=True)
def _add_couplings(couplings, i, spin, x):
    """Add J_il s_i to the fields of all l > i."""
    for l in range(i + 1, len(couplings)):
        w = splat(couplings[i, l])
        for k in range(0, LANES, 8):
            store(x, l * LANES + k, load(x, l * LANES + k) + w * load(spin, k))


@nb.njit(cache=True, nogil=True)
def _end(begin, product, total, log_q):
    for k in range(min(LANES, len(log_q) - begin)):
        log_q[begin + k] = total[k] - math.log(product[k])


@nb.njit(cache=True, nogil=True)
def draw_own(spins, uniforms, couplings, fields, log_q):
    """Draw with logit_i = x_ii of couplings (n, n) and fields (n,); only couplings[i, l], i < l, are used."""
    x, logit, spin = np.empty(len(fields) * LANES), np.empty(LANES), np.empty(LANES)
    product, total = np.empty(LANES), np.empty(LANES)
    for begin in range(0, spins.shape[0], LANES):
        _begin(fields, x, product, total)
        for i in range(len(fields)):
            logit[:] = x[i * LANES : (i + 1) * LANES]
            _decide(logit, uniforms, begin, i, spins, spin, product, total)
            _add_couplings(couplings, i, spin, x)
        _end(begin, product, total, log_q)


@nb.njit(cache=True, nogil=True)
def _nested(x, inner, outer, sums, p):
    """Return Σ_m a_m y_m of a pair, y_m = ln σ(b_m + w_m y_(m−1)) from y_(−1) = x; weights (levels + 1, pairs)."""
    y = log_sigmoid(splat(inner[0, p]) + splat(outer[0, p]) * x)
    total = splat(sums[0, p]) * y
    for m in range(1, len(inner)):
        y = log_sigmoid(splat(inner[m, p]) + splat(outer[m, p]) * y)
        total = total + splat(sums[m, p]) * y
    return total


@nb.njit(cache=True, nogil=True)
def draw_replica(spins, uniforms, couplings, fields, own, linear, shifts, slopes, sums, log_q):
    """Draw with logit_i = own_i x_ii + Σ_{l>i} [linear x_il + A_il(x_il) − A_il(−x_il)], A of `_nested`.

    Parameters
    ----------
    spins (batch, n) int8, log_q (batch,) : results. uniforms (batch, n) : the numbers that decide the spins.
    couplings (n, n), fields (n,) : of the system. own (n,), linear (pairs,),
    shifts, slopes, sums (levels + 1, pairs) : b, w and a of the nested functions.
    """
    n = len(fields)
    x, logit, spin = np.empty(n * LANES), np.empty(LANES), np.empty(LANES)
    product, total = np.empty(LANES), np.empty(LANES)
    for begin in range(0, spins.shape[0], LANES):
        _begin(fields, x, product, total)
        first = 0
        for i in range(n):
            for k in range(0, LANES, 8):
                z = splat(own[i]) * load(x, i * LANES + k)
                for l in range(i + 1, n):
                    p, value = first + l - i - 1, load(x, l * LANES + k)
                    z = z + splat(linear[p]) * value + _nested(value, shifts, slopes, sums, p)
                    z = z - _nested(splat(0.0) - value, shifts, slopes, sums, p)
                store(logit, k, z)
            first += n - i - 1
            _decide(logit, uniforms, begin, i, spins, spin, product, total)
            _add_couplings(couplings, i, spin, x)
        _end(begin, product, total, log_q)


@nb.njit(cache=True, nogil=True)
def _fields_of_guess(x, between, guess, first, out):
    """Write X_l = x_l + Σ_m between_lm guess_m, l, m ≥ first, to out; four l at a time share what is loaded.

    The last four may be fewer: then the last one is written several times.
    """
    n = len(between)
    for a in range(first, n, 4):
        b, c, d = min(a + 1, n - 1), min(a + 2, n - 1), min(a + 3, n - 1)
        for k in range(0, LANES, 8):
            at_a, at_b = load(x, a * LANES + k), load(x, b * LANES + k)
            at_c, at_d = load(x, c * LANES + k), load(x, d * LANES + k)
            for m in range(first, n):
                value = load(guess, m * LANES + k)
                at_a = at_a + splat(between[a, m]) * value
                at_b = at_b + splat(between[b, m]) * value
                at_c = at_c + splat(between[c, m]) * value
                at_d = at_d + splat(between[d, m]) * value
            store(out, a * LANES + k, at_a)
            store(out, b * LANES + k, at_b)
            store(out, c * LANES + k, at_c)
            store(out, d * LANES + k, at_d)


@nb.njit(cache=True, nogil=True)
def draw_cavity(spins, uniforms, couplings, fields, own, linear, slopes, gains, between, beta, shifts, sums, log_q):
    """Draw with logit_i = own_i x_ii + Σ_{l>i} [linear x_il + a (ln cosh β(X_l + b) − ln cosh β(X_l − b))].

    X_l = x_il + Σ_{l'>i} between_ll' m_l' are the fields with a first guess of the magnetisations of the spins that are
    left, m_l = ½ gain (tanh slope (x_il + b) + tanh slope (x_il − b)).

    Parameters
    ----------
    spins, uniforms, couplings, fields, own, linear, log_q : as in `draw_replica`.
    slopes, gains, shifts, sums (pairs,) : slope, gain, b and a. between (n, n) : symmetric, its diagonal zero.
    """
    n = len(fields)
    x, guess, guessed = np.empty(n * LANES), np.empty(n * LANES), np.empty(n * LANES)
    logit, spin, product, total = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for begin in range(0, spins.shape[0], LANES):
        _begin(fields, x, product, total)
        first = 0
        for i in range(n):
            for l in range(i + 1, n):
                p = first + l - i - 1
                gain, slope, shift = splat(0.5 * gains[p]), splat(slopes[p]), splat(shifts[p])
                for k in range(0, LANES, 8):
                    value = load(x, l * LANES + k)
                    both = tanh(slope * (value + shift)) + tanh(slope * (value - shift))
                    store(guess, l * LANES + k, gain * both)
            _fields_of_guess(x, between, guess, i + 1, guessed)
            for k in range(0, LANES, 8):
                z = splat(own[i]) * load(x, i * LANES + k)
                for l in range(i + 1, n):
                    p, value = first + l - i - 1, load(x, l * LANES + k)
                    field, shift = splat(beta) * load(guessed, l * LANES + k), splat(beta * shifts[p])
                    difference = log_cosh(field + shift) - log_cosh(field - shift)
                    z = z + splat(linear[p]) * value + splat(sums[p]) * difference
                store(logit, k, z)
            first += n - i - 1
            _decide(logit, uniforms, begin, i, spins, spin, product, total)
            _add_couplings(couplings, i, spin, x)
        _end(begin, product, total, log_q)

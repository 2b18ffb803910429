"""Draws from networks that see the spins so far only through partial fields x_il = h_l + Σ_{j<i} J_jl s_j, l ≥ i.

When spin i is drawn, its couplings are added to the fields of the spins that are left: x_(i+1)l = x_il + J_il s_i, so a
draw keeps one row of fields and never looks back. LANES rows are treated together, innermost in memory; the arithmetic
of a row does not depend on the rows beside it. Weights of pairs i < l are in the order (0, 1), (0, 2), …, (1, 2), …
"""

import math

import numba as nb
import numpy as np

from nmcmc.kernels.simd import load, minimum, splat, store, where_less
from nmcmc.kernels.simd_double import exp, log_cosh, magnitude, tanh
from nmcmc.kernels.simd_single import ZERO, log_sigmoid_and_slope, sum_of

LANES = 16
GRADIENT_ROWS = 32
"""Rows whose gradient is computed together: what their pairs need stays in the cache."""


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
def draw_replica(spins, uniforms, couplings, fields, weights, log_q):
    """Draw with logit_i = own_i x_ii + Σ_{l>i} [linear x_il + A_il(x_il) − A_il(−x_il)], A = −Σ_m a_m y_m nested.

    y_m = ln σ(b_m + w_m y_(m−1)) from y_(−1) = x. Logits are computed in float32; what is drawn and log q follow from
    them in float64, so that q is normalised to the last bit.

    Parameters
    ----------
    spins (batch, n) int8, log_q (batch,) : results. uniforms (batch, n) : the numbers that decide the spins.
    couplings (n, n), fields (n,) float32 : of the system.
    weights (2 + 3 levels, pairs or more) float32 : linear; b, w and a of every level; own_i in the last row.
    """
    n = len(fields)
    x, few, own_spin = np.empty(n * LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    logit, spin, product, total = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for begin in range(0, spins.shape[0], LANES):
        product[:], total[:] = 1.0, 0.0
        for l in range(n):
            x[l * LANES : (l + 1) * LANES] = fields[l]
        first = 0
        for i in range(n):
            z = splat(weights[-1, i]) * load(x, i * LANES)
            for l in range(i + 1, n):
                p, value = first + l - i - 1, load(x, l * LANES)
                z = z + splat(weights[0, p]) * value
                z = z + (_nested(splat(ZERO) - value, weights, p) - _nested(value, weights, p))  # odd to the last bit
            store(few, 0, z)
            logit[:] = few
            first += n - i - 1
            _decide(logit, uniforms, begin, i, spins, spin, product, total)
            own_spin[:] = spin
            for l in range(i + 1, n):
                store(x, l * LANES, load(x, l * LANES) + splat(couplings[i, l]) * load(own_spin, 0))
        _end(begin, product, total, log_q)


@nb.njit(cache=True, nogil=True)
def _nested(x, weights, p):
    """Return Σ_m a_m y_m of pair p."""
    y, found = x, splat(ZERO)
    for m in range((len(weights) - 2) // 3):
        y, _ = log_sigmoid_and_slope(splat(weights[1 + 3 * m, p]) + splat(weights[2 + 3 * m, p]) * y)
        found = found + splat(weights[3 + 3 * m, p]) * y
    return found


@nb.njit(cache=True, nogil=True)
def gradient_replica(spins, factors, couplings, fields, weights, gradient):
    """Write the gradient of Σ_b factors_b log q(s_b) with respect to the weights of `draw_replica`.

    Parameters
    ----------
    spins (batch ≤ GRADIENT_ROWS, n) int8, factors (batch,) float32. couplings, fields, weights : as in `draw_replica`.
    gradient : float32, of the shape of the weights.
    """
    n, n_levels, rows = len(fields), (len(weights) - 2) // 3, GRADIENT_ROWS
    x, spin, factor = np.empty(n * rows, np.float32), np.ones(rows, np.float32), np.zeros(rows, np.float32)
    slope, chain = np.empty(rows, np.float32), np.empty(2 * rows, np.float32)
    kept = np.empty(n * n_levels * 4 * rows, np.float32)
    factor[: len(factors)] = factors
    for l in range(n):
        x[l * rows : (l + 1) * rows] = fields[l]
    first = 0
    for i in range(n):
        for b in range(len(spins)):
            spin[b] = spins[b, i]
        own = splat(ZERO)
        for k in range(0, rows, 16):
            s, mine = load(spin, k), load(x, i * rows + k)
            z = splat(weights[-1, i]) * mine + _logit_and_parts(x, weights, first, i, n, k, kept)
            _, missed = log_sigmoid_and_slope(s * z)
            change = load(factor, k) * s * missed
            store(slope, k, change)
            own = own + change * mine
        gradient[-1, i] = sum_of(own)
        for l in range(i + 1, n):
            _gradient_of_pair(x, weights, first + l - i - 1, l, slope, chain, kept, gradient)
            for k in range(0, rows, 16):
                store(x, l * rows + k, load(x, l * rows + k) + splat(couplings[i, l]) * load(spin, k))
        first += n - i - 1


@nb.njit(cache=True, nogil=True)
def _place(l, n_levels, m, side, k):
    """Return where y_m of x_il (side 0) or −x_il (side 1) is kept; its slope σ(−z_m) is GRADIENT_ROWS further on."""
    return ((l * n_levels + m) * 2 + side) * 2 * GRADIENT_ROWS + k


@nb.njit(cache=True, nogil=True)
def _logit_and_parts(x, weights, first, i, n, k, kept):
    """Return the sum over l of a logit of sixteen rows, and keep what its gradient needs."""
    n_levels, z = (len(weights) - 2) // 3, splat(ZERO)
    for l in range(i + 1, n):
        p, value = first + l - i - 1, load(x, l * GRADIENT_ROWS + k)
        z = z + splat(weights[0, p]) * value
        for side in range(2):
            y = value if side == 0 else splat(ZERO) - value
            for m in range(n_levels):
                at = _place(l, n_levels, m, side, k)
                y, slope = log_sigmoid_and_slope(splat(weights[1 + 3 * m, p]) + splat(weights[2 + 3 * m, p]) * y)
                store(kept, at, y)
                store(kept, at + GRADIENT_ROWS, slope)
                part = splat(weights[3 + 3 * m, p]) * y
                z = z - part if side == 0 else z + part
    return z


@nb.njit(cache=True, nogil=True)
def _gradient_of_pair(x, weights, p, l, slope, chain, kept, gradient):
    """Write the gradient for the weights of pair p = (i, l), from the slope of the loss in logit_i."""
    n_levels, rows, zero = (len(weights) - 2) // 3, GRADIENT_ROWS, splat(ZERO)
    linear = zero
    for k in range(0, rows, 16):
        linear = linear + load(slope, k) * load(x, l * rows + k)
        store(chain, k, zero)
        store(chain, rows + k, zero)
    gradient[0, p] = sum_of(linear)
    for m in range(n_levels - 1, -1, -1):
        shifts, slopes, sums = zero, zero, zero
        for side in range(2):
            for k in range(0, rows, 16):
                at = _place(l, n_levels, m, side, k)
                outer = load(slope, k) if side == 1 else zero - load(slope, k)
                if m > 0:
                    inner = load(kept, _place(l, n_levels, m - 1, side, k))
                else:
                    inner = load(x, l * rows + k) if side == 0 else zero - load(x, l * rows + k)
                sums = sums + outer * load(kept, at)
                above = (load(chain, side * rows + k) + splat(weights[3 + 3 * m, p])) * load(kept, at + rows)
                shifts = shifts + outer * above
                slopes = slopes + outer * above * inner
                store(chain, side * rows + k, above * splat(weights[2 + 3 * m, p]))
        gradient[1 + 3 * m, p], gradient[2 + 3 * m, p] = sum_of(shifts), sum_of(slopes)
        gradient[3 + 3 * m, p] = sum_of(sums)


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

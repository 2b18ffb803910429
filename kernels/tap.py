"""Draws from networks whose hidden layers solve the equations of Thouless, Anderson and Palmer for the spins left.

LANES rows are treated together, innermost in memory. What is computed for both signs of the spin to be drawn lies side
by side, 2 · LANES numbers to a spin. The arithmetic of a row does not depend on the rows beside it.
"""

import numba as nb
import numpy as np

from nmcmc.kernels.partial_fields import LANES, _decide, _end
from nmcmc.kernels.simd import load, splat, store, where_less
from nmcmc.kernels.simd_single import ONE, ZERO, tanh_and_log_cosh

WIDE = 2 * LANES
TERMS = 4
"""Terms of a logit: the own partial field, and differences of energy, entropy and reaction of the spins left."""
DAMPING, MOMENTUM = np.float32(0.4), np.float32(0.6)
"""Shares of what is new, and of the change of the layer before, in the change of a magnetisation in every layer."""
HALF = np.float32(0.5)


@nb.njit(cache=True, nogil=True)
def draw(spins, uniforms, couplings, squares, fields, weights, beta, reaction, gain, layers, log_q, terms):
    """Draw with logit_i = Σ_k weights_ik term_ik: terms from magnetisations of the spins left for both signs of s_i.

    Parameters
    ----------
    spins (batch, n) int8, log_q (batch,) : results. uniforms (batch, n) : the numbers that decide the spins.
    couplings, squares (n, n), fields (n,) float32 : of the system, J_ij and J_ij². weights (n, TERMS) float32.
    beta, reaction, gain float32, layers : see `samplers.tap.TAPSampler`.
    terms (batch, n, TERMS) float32 : all terms, or no rows if they are not wanted.
    """
    n = len(fields)
    x, kept, answer = np.empty(n * LANES, np.float32), np.empty(n * LANES, np.float32), np.empty(n * LANES, np.float32)
    m, sums, free = np.empty(n * WIDE, np.float32), np.empty(n * WIDE, np.float32), np.empty(n * WIDE, np.float32)
    change = np.empty(n * WIDE, np.float32)
    found, own_spin, few = np.empty(TERMS * LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    logit, spin, product, total = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for begin in range(0, spins.shape[0], LANES):
        product[:], total[:], kept[:] = 1.0, 0.0, ZERO
        for l in range(n):
            x[l * LANES : (l + 1) * LANES] = fields[l]
        for i in range(n):
            _answers(squares, kept, i + 1, beta * reaction, answer)
            _solve(couplings, x, kept, answer, i, beta * gain, layers, m, change, sums, free)
            _compare(couplings, squares, x, i, beta, m, sums, free, found)
            z = splat(ZERO)
            for k in range(TERMS):
                z = z + splat(weights[i, k]) * load(found, k * LANES)
            store(few, 0, z)
            logit[:] = few
            for b in range(begin, min(begin + LANES, len(terms))):
                for k in range(TERMS):
                    terms[b, i, k] = found[k * LANES + b - begin]
            _decide(logit, uniforms, begin, i, spins, spin, product, total)
            own_spin[:] = spin
            s = load(own_spin, 0)
            for l in range(i + 1, n):
                store(x, l * LANES, load(x, l * LANES) + splat(couplings[i, l]) * s)
                chosen = where_less(s, splat(ZERO), load(m, l * WIDE + LANES), load(m, l * WIDE))
                store(kept, l * LANES, chosen)
        _end(begin, product, total, log_q)


@nb.njit(cache=True, nogil=True)
def _answers(squares, kept, first, factor, answer):
    """Write factor · Σ_l' J_ll'² (1 − m_l'²), the susceptibility that a spin feels itself through, l, l' ≥ first."""
    for l in range(first, len(squares)):
        total = splat(ZERO)
        for other in range(first, len(squares)):
            m = load(kept, other * LANES)
            total = total + splat(squares[l, other]) * (splat(ONE) - m * m)
        store(answer, l * LANES, splat(factor) * total)


@nb.njit(cache=True, nogil=True)
def _solve(couplings, x, kept, answer, i, beta, layers, m, change, sums, free):
    """Write m for s_i = ±1 from ``layers`` damped steps m → tanh y with momentum, y = β(x ± J_i + Jm − answer m).

    To change goes the last of the steps; to free goes ln 2cosh y − ym, which is the entropy where m = tanh y.
    """
    n = len(couplings)
    for l in range(i + 1, n):
        for at in range(l * WIDE, (l + 1) * WIDE, LANES):
            store(m, at, load(kept, l * LANES))
            store(change, at, splat(ZERO))
    for layer in range(layers):
        _times(couplings, m, i + 1, sums)
        for l in range(i + 1, n):
            here, pull, react = load(x, l * LANES), splat(couplings[i, l]), load(answer, l * LANES)
            for side in range(2):
                at, felt = l * WIDE + side * LANES, here + pull if side == 0 else here - pull
                before = load(m, at)
                y = splat(beta) * (felt + load(sums, at) - react * before)
                new, log_cosh = tanh_and_log_cosh(y)
                step = splat(DAMPING) * (new - before) + splat(MOMENTUM) * load(change, at)
                after = before + step
                store(change, at, step)
                store(m, at, after)
                if layer == layers - 1:
                    store(free, at, log_cosh - y * after)


@nb.njit(cache=True, nogil=True)
def _compare(couplings, squares, x, i, beta, m, sums, free, found):
    """Write 2βx_ii and the differences of energy, entropy and reaction of the spins left; overwrites sums and free."""
    n, energy, entropy, reaction = len(couplings), splat(ZERO), splat(ZERO), splat(ZERO)
    _times(couplings, m, i + 1, sums)
    for l in range(i + 1, n):
        here, pull, up, down = load(x, l * LANES), splat(couplings[i, l]), l * WIDE, l * WIDE + LANES
        felt, other = here + pull + splat(HALF) * load(sums, up), here - pull + splat(HALF) * load(sums, down)
        energy = energy + _twice_the_difference(load(m, up), felt, load(m, down), other)
        entropy = entropy + (load(free, up) - load(free, down))
        store(free, up, splat(ONE) - load(m, up) * load(m, up))
        store(free, down, splat(ONE) - load(m, down) * load(m, down))
    _times(squares, free, i + 1, sums)
    for l in range(i + 1, n):
        up, down = l * WIDE, l * WIDE + LANES
        reaction = reaction + _twice_the_difference(load(free, up), load(sums, up), load(free, down), load(sums, down))
    store(found, 0, splat(beta + beta) * load(x, i * LANES))
    store(found, LANES, splat(HALF * beta) * energy)
    store(found, 2 * LANES, entropy)
    store(found, 3 * LANES, splat(HALF * HALF * HALF * beta * beta) * reaction)


@nb.njit(cache=True, nogil=True)
def _twice_the_difference(a, b, c, d):
    """Return 2(ab − cd), which changes its sign to the last bit where (a, b) and ±(c, d) change places."""
    return (a - c) * (b + d) + (a + c) * (b - d)


@nb.njit(cache=True, nogil=True)
def _times(matrix, values, first, out):
    """Write Σ_m matrix_lm values_m, l, m ≥ first, for both signs to out; six l at a time share what is loaded.

    Six sums of LANES floats fit into the registers of all processors. The last six may be fewer: then the last one is
    written several times.
    """
    n, zero = len(matrix), splat(ZERO)
    for a in range(first, n, 6):
        b, c, d, e, f = min(a + 1, n - 1), min(a + 2, n - 1), min(a + 3, n - 1), min(a + 4, n - 1), min(a + 5, n - 1)
        for side in range(0, WIDE, LANES):
            at_a, at_b, at_c, at_d, at_e, at_f = zero, zero, zero, zero, zero, zero
            for m in range(first, n):
                value = load(values, m * WIDE + side)
                at_a = at_a + splat(matrix[a, m]) * value
                at_b = at_b + splat(matrix[b, m]) * value
                at_c = at_c + splat(matrix[c, m]) * value
                at_d = at_d + splat(matrix[d, m]) * value
                at_e = at_e + splat(matrix[e, m]) * value
                at_f = at_f + splat(matrix[f, m]) * value
            store(out, a * WIDE + side, at_a)
            store(out, b * WIDE + side, at_b)
            store(out, c * WIDE + side, at_c)
            store(out, d * WIDE + side, at_d)
            store(out, e * WIDE + side, at_e)
            store(out, f * WIDE + side, at_f)

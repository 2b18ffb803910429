"""Pfaffians of dense skew-symmetric matrices, and sums over subsets of rows that are Pfaffians."""

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def _pfaffian(a):
    """Return log|Pf a| and the phase of Pf a, a (n, n) complex and skew, n even; a is overwritten.

    Elimination with pivots, two rows at a time: M. Wimmer, ACM Trans. Math. Softw. 38, 30 (2012), arXiv:1102.3440.
    """
    n = a.shape[0]
    log, phase = 0.0, 1.0 + 0.0j
    for k in range(0, n - 1, 2):
        pivot = k + 1
        for i in range(k + 2, n):
            if abs(a[k, i]) > abs(a[k, pivot]):
                pivot = i
        if pivot != k + 1:
            for j in range(k, n):
                a[k + 1, j], a[pivot, j] = a[pivot, j], a[k + 1, j]
            for j in range(k, n):
                a[j, k + 1], a[j, pivot] = a[j, pivot], a[j, k + 1]
            phase = -phase
        size = abs(a[k, k + 1])
        if size == 0.0:
            return -np.inf, phase
        log += np.log(size)
        phase *= a[k, k + 1] / size
        for i in range(k + 2, n):
            factor = a[k, i] / a[k, k + 1]
            other = a[k + 1, i]
            for j in range(k + 2, n):
                a[i, j] += other * (a[k, j] / a[k, k + 1]) - factor * a[k + 1, j]
    return log, phase


@nb.njit(cache=True, nogil=True)
def subset_sums(contractions, weights, log, phase):
    """Write Σ_S Pf(A_S) over all even subsets S of rows, A_ij = w_i w_j g_ij, for every row of weights.

    contractions g (n, n) complex, skew; n even; weights (batch, n). The sum is Pf(A + B), B_ij = (−1)^(i+j+1) for
    i < j, since Pf(A + B) = Σ_S ± Pf(A_S) Pf(B_S') and Pf(B_S') has the sign that makes each term +. Writes log|sum|
    and its phase to log and phase (batch,).
    """
    n = weights.shape[1]
    a = np.empty((n, n), dtype=np.complex128)
    for row in range(weights.shape[0]):
        for i in range(n):
            a[i, i] = 0.0
            for j in range(i + 1, n):
                value = weights[row, i] * weights[row, j] * contractions[i, j] + (1.0 if (i + j) % 2 else -1.0)
                a[i, j] = value
                a[j, i] = -value
        log[row], phase[row] = _pfaffian(a)

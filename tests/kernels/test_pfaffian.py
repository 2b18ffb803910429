"""Pfaffians and sums of them over subsets, against recursion and determinants."""

from itertools import combinations

import numpy as np
import pytest

from nmcmc.kernels.pfaffian import subset_sums

RNG = np.random.default_rng(1)


def skew(n):
    a = RNG.normal(size=(n, n)) + 1j * RNG.normal(size=(n, n))
    return a - a.T


def pfaffian(a):
    """Expand along the first row."""
    if len(a) == 0:
        return 1.0
    total = 0.0
    for j in range(1, len(a)):
        rest = [k for k in range(1, len(a)) if k != j]
        total += (-1) ** (j + 1) * a[0, j] * pfaffian(a[np.ix_(rest, rest)])
    return total


@pytest.mark.parametrize("n", [2, 4, 6, 8])
def test_subset_sums_are_sums_over_subsets(n):
    g, weights = skew(n), RNG.normal(size=(3, n))
    weights[2, ::2] = 0
    log, phase = np.empty(3), np.empty(3, dtype=np.complex128)
    subset_sums(g, weights, log, phase)
    for w, found in zip(weights, phase * np.exp(log), strict=True):
        a = g * np.outer(w, w)
        subsets = [s for k in range(0, n + 1, 2) for s in combinations(range(n), k)]
        assert found == pytest.approx(sum(pfaffian(a[np.ix_(s, s)]) for s in subsets), rel=1e-12)


def test_the_square_of_a_large_one_is_a_determinant():
    n = 60
    g, weights = skew(n), np.ones((1, n))
    log, phase = np.empty(1), np.empty(1, dtype=np.complex128)
    subset_sums(g, weights, log, phase)
    i = np.arange(n)
    signs = np.triu(-((-1.0) ** (i[:, None] + i)), 1)
    sign, expected = np.linalg.slogdet(g + signs - signs.T)
    assert 2 * log[0] == pytest.approx(expected, rel=1e-12)
    assert phase[0] ** 2 == pytest.approx(sign, abs=1e-10)


def test_a_singular_matrix_has_the_logarithm_minus_infinity():
    log, phase = np.empty(1), np.empty(1, dtype=np.complex128)
    subset_sums(np.array([[0, -1j], [1j, 0]]), np.ones((1, 2)), log, phase)
    assert np.isfinite(log[0])
    subset_sums(np.array([[0, -1], [1, 0]], dtype=np.complex128), np.ones((1, 2)), log, phase)
    assert log[0] == -np.inf

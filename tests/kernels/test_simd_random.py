"""Sixteen exponential numbers from eight words: their values, and the whole annealing loop replayed with them."""

import math

import numba as nb
import numpy as np
from statistical import LIMIT

from nmcmc.kernels import annealing, lanes
from nmcmc.kernels.rng import next_word
from nmcmc.kernels.simd import load, store
from nmcmc.kernels.simd_random import any_less, exponentials


@nb.njit
def fill(words, out):
    for k in range(0, len(words), 8):
        store(out, 2 * k, exponentials(load(words, k)))


@nb.njit
def is_any_less(a, b):
    return any_less(load(a, 0), load(b, 0))


def exact(words):
    """−ln(k/2²⁴), k one more than the upper 24 of 32 bits."""
    return -np.log(((words.view(np.uint32) >> 8).astype(np.float64) + 1) / 2**24)


def test_values_are_minus_the_logarithm_of_a_uniform_number():
    words = np.random.default_rng(1).integers(0, 2**64, 8000, dtype=np.uint64)
    words[:4] = [0, 2**64 - 1, 0xFFFFFFFF, 0x100]
    out = np.empty(16000, dtype=np.float32)
    fill(words, out)
    np.testing.assert_allclose(out, exact(words), atol=1e-5)
    assert out.max() < 16.64
    assert out.min() >= -1e-6
    assert abs(out.mean() - 1) < LIMIT / math.sqrt(16000)
    assert abs(np.mean(out < math.log(2)) - 0.5) < LIMIT * 0.5 / math.sqrt(16000)


def test_any_less_sees_every_lane():
    zero = np.zeros(16, dtype=np.float32)
    assert not is_any_less(zero, zero)
    for lane in range(16):
        b = zero.copy()
        b[lane] = 1e-30
        assert is_any_less(zero, b)
        assert not is_any_less(b, zero)


def replay(stream, matrix, fields, twice_betas):
    """Anneal sixteen replicas in numpy with the same random numbers."""
    n = len(fields)
    words = np.array([next_word(stream) for _ in range(n)], dtype=np.uint64)
    s = (2.0 * ((words[:, None] >> np.uint64(48) + np.arange(16, dtype=np.uint64)) & np.uint64(1)) - 1).astype(
        np.float32
    )
    state, numbers = np.empty(lanes.STATE, dtype=np.uint64), np.empty(8 * n * len(twice_betas) + 8, dtype=np.uint64)
    lanes.seed_lanes(stream, state)
    lanes.fill_words(state, numbers, 8 * n * len(twice_betas))
    thresholds = exact(numbers).reshape(-1, 16)
    for sweep, scale in enumerate(twice_betas):
        for i in range(n):
            cost = scale * s[i] * (matrix[i] @ s + fields[i])
            s[i] = np.where(cost < thresholds[sweep * n + i], -s[i], s[i])
    while True:
        before = s.copy()
        for i in range(n):
            s[i] = np.where(s[i] * (matrix[i] @ s + fields[i]) < 0, -s[i], s[i])
        if np.array_equal(s, before):
            return s.T.astype(np.int8)


def test_the_kernel_flips_where_cost_is_below_an_exponential_number():
    rng = np.random.default_rng(3)
    matrix = np.triu(rng.integers(-3, 4, (9, 9)), 1).astype(np.float32)
    matrix += matrix.T
    fields = rng.integers(-2, 3, 9).astype(np.float32) + np.float32(0.25)
    rows, columns = np.nonzero(matrix)
    start = np.searchsorted(rows, np.arange(10))
    streams = rng.integers(0, 2**64, (3, 4), dtype=np.uint64)
    twice_betas, spins = np.array([0.1, 0.3, 0.6, 1.1], dtype=np.float32), np.empty((48, 9), dtype=np.int8)
    expected = [replay(stream.copy(), matrix, fields, twice_betas) for stream in streams]
    system = start, columns, matrix[rows, columns], fields
    annealing.anneal(spins, streams, *system, twice_betas, np.float32(1e-4), 0, 3)
    np.testing.assert_array_equal(spins.reshape(3, 16, 9), expected)

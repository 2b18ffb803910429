"""Vectors of words, and the generators that run in them, against numpy."""

import numba as nb
import numpy as np
import pytest

from nmcmc.kernels.lanes import LANES, STATE, fill_words, seed_lanes
from nmcmc.kernels.rng import next_word
from nmcmc.kernels.simd import load, store
from nmcmc.kernels.simd_bits import any_bit, bit_count, load_bytes, word_sum
from nmcmc.random import Rng


@nb.njit
def operations(words, shift, spins, out):
    """Write the results of all operators on the first two vectors to the rows of out (flat)."""
    a, b = load(words, 0), load(words, 8)
    rows = a + b, a & b, a | b, a ^ b, ~a, a << shift, a >> shift, a + shift, bit_count(a), load_bytes(spins, 3)
    for k in range(10):
        store(out, 8 * k, rows[k])
    return word_sum(a), any_bit(a), any_bit(a ^ a)


def test_operators_are_those_of_numpy_word_by_word():
    rng = np.random.default_rng(1)
    words, spins = rng.integers(0, 2**64, 16, dtype=np.uint64), rng.integers(-128, 128, 67).astype(np.int8)
    out, shift = np.empty(80, dtype=np.uint64), np.uint64(7)
    total, some, none = operations(words, shift, spins, out)
    a, b = words.reshape(2, 8)
    expected = (
        a + b,
        a & b,
        a | b,
        a ^ b,
        ~a,
        a << shift,
        a >> shift,
        a + shift,
        np.bitwise_count(a),
        spins[3:].view("u8"),
    )
    np.testing.assert_array_equal(out.reshape(10, 8), expected)
    assert (total, some, none) == (np.sum(a), True, False)


@pytest.mark.parametrize("place", [0, 5, 7])
def test_any_bit_sees_one_bit_in_any_word(place):
    words = np.zeros(16, dtype=np.uint64)
    words[place] = 2**63
    assert operations(words, np.uint64(0), np.zeros(67, dtype=np.int8), np.empty(80, dtype=np.uint64))[1]


def test_every_lane_is_a_generator_of_numpy_seeded_by_three_words_of_the_stream():
    stream, state, words = Rng(3).streams(1)[0], np.empty(STATE, dtype=np.uint64), np.empty(407, dtype=np.uint64)
    twin = stream.copy()
    seeds = np.array([next_word(twin) for _ in range(3 * LANES)], dtype=np.uint64).reshape(3, LANES)
    seed_lanes(stream, state)
    fill_words(state, words, 160)
    fill_words(state, words[160:], 239)
    for lane in range(LANES):
        bits = np.random.SFC64(0)
        inner = bits.state
        inner["state"]["state"] = np.array([*seeds[:, lane], 1], dtype=np.uint64)
        bits.state = inner
        bits.random_raw(12)
        assert bits.random_raw(50).tolist() == words[:400].reshape(50, LANES)[:, lane].tolist()

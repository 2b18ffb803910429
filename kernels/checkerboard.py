"""Checkerboard Metropolis on two-dimensional tori, 64 spins of a configuration in a word: multi-spin coding.

Each colour has its own words. Bit r·C + c of the word at (i, w) is the spin of row r·rows + i and of the
(c·words + w)-th site of that colour in its row: the R × C bits of a word lie as far apart as they can, so that
neighbours are the same bits of other words, and only beyond the edges of the words' grid other bits. A frame of
copies around the grid holds those, bits already moved. Rows are ``pitch`` words apart.
"""

import numba as nb
import numpy as np

from .lanes import STATE, seed_lanes
from .rng import advance
from .simd import load, splat, store
from .simd_bits import any_bit, bit_count, word_sum

_0, _1, _63 = (np.uint64(k) for k in (0, 1, 63))
_ALL = np.uint64(2**64 - 1)
PLANES = 64
"""Bits to which probabilities are exact."""


@nb.njit(cache=True, nogil=True)
def pack(spins, bit_rows, bit_columns, planes):
    """Write the signs of spins (L0, L1) int8 to planes (2, rows + 2, pitch) uint64, but for the frame."""
    rows, words = spins.shape[0] // bit_rows, spins.shape[1] // (2 * bit_columns)
    planes[:] = 0
    for row in range(spins.shape[0]):
        for c in range(bit_columns):
            bit = np.uint64(row // rows * bit_columns + c)
            line = spins[row, 2 * c * words : 2 * (c + 1) * words]
            for colour in range(2):
                first, target = (row + colour) % 2, planes[colour, row % rows + 1]
                for w in range(words):
                    target[w + 1] |= np.uint64(line[2 * w + first] > 0) << bit


@nb.njit(cache=True, nogil=True)
def unpack(planes, bit_rows, bit_columns, spins):
    """Write the spins that the planes hold to spins (L0, L1) int8."""
    rows, words = spins.shape[0] // bit_rows, spins.shape[1] // (2 * bit_columns)
    for row in range(spins.shape[0]):
        even, odd = planes[row % 2, row % rows + 1, 1:], planes[1 - row % 2, row % rows + 1, 1:]
        for c in range(bit_columns):
            bit = np.uint64(row // rows * bit_columns + c)
            line = spins[row, 2 * c * words : 2 * (c + 1) * words]
            for w in range(words):
                line[2 * w] = np.int8(2 * ((even[w] >> bit) & _1)) - np.int8(1)
                line[2 * w + 1] = np.int8(2 * ((odd[w] >> bit) & _1)) - np.int8(1)


@nb.njit(cache=True, nogil=True)
def frame(plane, rows, words, bit_columns):
    """Copy the edges of the words' grid to the frame of a plane (rows + 2, pitch), their bits moved by one place."""
    step, back = np.uint64(bit_columns) & _63, np.uint64(64 - bit_columns) & _63
    for w in range(1, words + 1):
        plane[0, w] = (plane[rows, w] << step) | (plane[rows, w] >> back)
        plane[rows + 1, w] = (plane[1, w] >> step) | (plane[1, w] << back)
    turn, first = np.uint64(bit_columns - 1), _0
    for bit in range(0, 64, bit_columns):
        first |= _1 << np.uint64(bit)
    last = first << turn
    for i in range(1, rows + 1):
        left, right = plane[i, words], plane[i, 1]
        plane[i, 0] = ((left << _1) & ~first) | ((left >> turn) & first)
        plane[i, words + 1] = ((right >> _1) & ~last) | ((right << turn) & last)


@nb.njit(cache=True, nogil=True)
def costs(spin, up, down, here, beside):
    """Return which spins have no and which have one unsatisfied bond, given the neighbours with the sign of J."""
    a, b, c, d = spin ^ up, spin ^ down, spin ^ here, spin ^ beside
    some, other = a | b, c | d
    several = (a & b) | (c & d) | (some & other)
    return ~(some | other), (some | other) & ~several


@nb.njit(cache=True, nogil=True)
def half_sweep(own, other, pitch, colour, rows, words, inside, sign, levels, state):
    """Attempt a flip of every spin of one colour; own, other flat planes. Return the number of flips.

    levels (2 · PLANES,) has the binary digits of exp(−8β|J|) and exp(−4β|J|), first the highest, as words of equal
    bits; inside (pitch,) is all bits where a row has spins. A spin flips if a uniform number of its own is below its
    probability. The digits of 512 such numbers are drawn together until each is known to be above or below.
    """
    a, b, c, counter = load(state, 0), load(state, 8), load(state, 16), state[24]
    flips = splat(_0)
    for i in range(rows):
        start = (i + 1) * pitch + 1
        beside = start + 1 if (i + colour) % 2 else start - 1
        for w in range(0, words, 8):
            spin = load(own, start + w)
            up, down = load(other, start + w - pitch) ^ sign, load(other, start + w + pitch) ^ sign
            none, one = costs(spin, up, down, load(other, start + w) ^ sign, load(other, beside + w) ^ sign)
            open_ = (none | one) & load(inside, w)
            flip = load(inside, w) & ~open_
            k = 0
            while k < 2 * PLANES and any_bit(open_):
                for _ in range(4):
                    digit = (none & levels[k]) | (one & levels[k + 1])
                    word, a, b, c, counter = advance(a, b, c, counter)
                    flip = flip | (open_ & digit & ~word)
                    open_ = open_ & ~(digit ^ word)
                    k += 2
            store(own, start + w, spin ^ flip)
            flips = flips + bit_count(flip)
    store(state, 0, a)
    store(state, 8, b)
    store(state, 16, c)
    state[24] = counter
    return flips


@nb.njit(cache=True, nogil=True)
def checkerboard_steps(spins, streams, bit_rows, bit_columns, sign, levels, sweeps, out, flips):
    """Make out.shape[1] steps of ``sweeps`` sweeps of each chain, first one colour and then the other.

    spins (chains, L0, L1) int8 and streams (chains, 4) are advanced in place; sign is 0 for J ≥ 0, else all bits;
    levels as in ``half_sweep``. Writes every step's configuration to out (chains, steps, L0, L1) and its number of
    flips to flips (chains, steps).
    """
    rows, words = spins.shape[1] // bit_rows, spins.shape[2] // (2 * bit_columns)
    pitch = (words + 7) // 8 * 8 + 2
    planes, inside = np.zeros((2, rows + 2, pitch), dtype=np.uint64), np.zeros(pitch, dtype=np.uint64)
    inside[:words] = _ALL
    flat = planes[0].ravel(), planes[1].ravel()
    state = np.empty(STATE, dtype=np.uint64)
    for chain in range(spins.shape[0]):
        pack(spins[chain], bit_rows, bit_columns, planes)
        frame(planes[1], rows, words, bit_columns)
        for step in range(out.shape[1]):
            seed_lanes(streams[chain], state)
            total = splat(_0)
            for _ in range(sweeps):
                for colour in range(2):
                    own, other = flat[colour], flat[1 - colour]
                    total = total + half_sweep(own, other, pitch, colour, rows, words, inside, sign, levels, state)
                    frame(planes[colour], rows, words, bit_columns)
            unpack(planes, bit_rows, bit_columns, out[chain, step])
            flips[chain, step] = np.int64(word_sum(total))
        unpack(planes, bit_rows, bit_columns, spins[chain])  # faster than to copy what was written last

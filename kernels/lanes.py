"""Eight SFC64 generators side by side, in vectors: the random numbers of kernels that need one for every spin.

Lanes are born from a chain's stream and live for one step, so that the stream alone says how a chain goes on.
"""

import numba as nb
import numpy as np

from . import simd_bits  # noqa: F401 (operators of vectors)
from .rng import advance, next_word
from .simd import load, store

LANES = 8
STATE = 3 * LANES + 1
"""Words of a state: a, b and c of every lane, and the counter that they share."""
_DISCARD, _1 = 12, np.uint64(1)


@nb.njit(cache=True, nogil=True)
def seed_lanes(stream, state):
    """Write eight generators, a and b and c and their common counter, to state (STATE,) uint64.

    Three words of the stream (4,) seed each lane, as numpy.random.SFC64 is seeded by three words of a SeedSequence:
    counter 1, and twelve words are discarded.
    """
    for k in range(3 * LANES):
        state[k] = next_word(stream)
    a, b, c, counter = load(state, 0), load(state, 8), load(state, 16), _1
    for _ in range(_DISCARD):
        _, a, b, c, counter = advance(a, b, c, counter)
    store(state, 0, a)
    store(state, 8, b)
    store(state, 16, c)
    state[24] = counter


@nb.njit(cache=True, nogil=True)
def fill_words(state, words, n):
    """Write n random words, rounded up to a multiple of eight, to words (≥ n + 7,) uint64."""
    a, b, c, counter = load(state, 0), load(state, 8), load(state, 16), state[24]
    for k in range(0, n, LANES):
        word, a, b, c, counter = advance(a, b, c, counter)
        store(words, k, word)
    store(state, 0, a)
    store(state, 8, b)
    store(state, 16, c)
    state[24] = counter

"""SFC64 random numbers inside kernels, bit for bit those of numpy.random.SFC64 (Doty-Humphrey's PractRand).

A stream is one row (a, b, c, counter) of uint64, advanced in place. All constants are uint64: mixing them with signed
integers would turn the arithmetic into floating point.
"""

import numba as nb
import numpy as np

_1, _3, _11, _24, _32, _40 = (np.uint64(k) for k in (1, 3, 11, 24, 32, 40))
_LOW = np.uint64(0xFFFFFFFF)
_TO_UNIT = 2.0**-53


@nb.njit(cache=True, nogil=True)
def advance(a, b, c, counter):
    """Return the next word and the new (a, b, c, counter): for loops that keep the stream in registers."""
    word = a + b + counter
    return word, b ^ (b >> _11), c + (c << _3), ((c << _24) | (c >> _40)) + word, counter + _1


@nb.njit(cache=True, nogil=True)
def next_word(stream):
    """Return the next uint64 of the stream (4,)."""
    word, stream[0], stream[1], stream[2], stream[3] = advance(stream[0], stream[1], stream[2], stream[3])
    return word


@nb.njit(cache=True, nogil=True)
def uniform(stream):
    """Return a float64 in [0, 1), a multiple of 2⁻⁵³: what numpy's Generator.random returns."""
    return (next_word(stream) >> _11) * _TO_UNIT


@nb.njit(cache=True, nogil=True)
def fill_uniform(stream, out, n):
    """Write successive uniforms to the first n columns of out, float64, row by row: with the stream in registers."""
    a, b, c, counter = stream[0], stream[1], stream[2], stream[3]
    for i in range(out.shape[0]):
        for j in range(n):
            word, a, b, c, counter = advance(a, b, c, counter)
            out[i, j] = (word >> _11) * _TO_UNIT
    stream[0], stream[1], stream[2], stream[3] = a, b, c, counter


@nb.njit(cache=True, nogil=True)
def below(stream, n):
    """Return an exactly uniform integer in 0 … n − 1 as uint64, for 1 ≤ n < 2³² (Lemire 2019, arXiv:1805.10941)."""
    n = np.uint64(n)
    product = (next_word(stream) >> _32) * n
    if product & _LOW < n:
        while product & _LOW < (_LOW + _1 - n) % n:
            product = (next_word(stream) >> _32) * n
    return product >> _32

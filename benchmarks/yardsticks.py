"""What a machine can do at best: float32 matrix products, multiply-adds in registers, a sum over memory.

torch and numpy bring products of their own, and which is faster depends on the processor. numpy's OpenBLAS reads its
number of threads when numpy is imported: a benchmark on one thread sets OPENBLAS_NUM_THREADS before that.
"""

import numba as nb
import numpy as np
import torch

from nmcmc.kernels import simd_bits
from nmcmc.kernels.simd import load, splat, store
from nmcmc.random import Rng

EXTENT = 1024
"""Extent of the square matrices."""

FMA = 192
"""Multiply-adds in one step of `multiply_adds`."""


def square_products(seed):
    """Return the products of torch and of numpy: name → (function, number of multiply-adds)."""
    a, b = torch.randn(2, EXTENT, EXTENT, generator=Rng(seed).torch_generator())
    c, d = a.numpy(), b.numpy()
    return {
        "square product of torch": (lambda: a @ b, EXTENT**3),
        "square product of numpy": (lambda: c @ d, EXTENT**3),
    }


@nb.njit(nogil=True)
def multiply_adds(x, steps):
    """Make FMA multiply-adds a step on x (80,) float32, in twelve independent chains."""
    a0, a1, a2, a3 = load(x, 0), load(x, 16), load(x, 32), load(x, 48)
    b0, b1, b2, b3, c0, c1, c2, c3 = a0, a1, a2, a3, a0, a1, a2, a3
    s, t = splat(np.float32(0.999)), load(x, 64)
    for _ in range(steps):
        a0, a1, a2, a3 = a0 * s + t, a1 * s + t, a2 * s + t, a3 * s + t
        b0, b1, b2, b3 = b0 * s + t, b1 * s + t, b2 * s + t, b3 * s + t
        c0, c1, c2, c3 = c0 * s + t, c1 * s + t, c2 * s + t, c3 * s + t
    store(x, 0, a0 + a1 + a2 + a3 + (b0 + b1 + b2 + b3) + (c0 + c1 + c2 + c3))


@nb.njit(nogil=True)
def word_sum(words):
    """Return the sum of words (n,) uint64, n a multiple of 32, in vectors: a plain loop waits where memory does not."""
    a = splat(np.uint64(0))
    b, c, d = a, a, a
    for k in range(0, len(words), 32):
        a, b = a + load(words, k), b + load(words, k + 8)
        c, d = c + load(words, k + 16), d + load(words, k + 24)
    return simd_bits.word_sum(a + b + (c + d))

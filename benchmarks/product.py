"""The yardstick for multiply-adds: what large float32 matrix products reach, the fastest of them that is at hand.

torch and numpy bring libraries of their own, and which is faster depends on the processor. OpenBLAS reads its number
of threads when numpy is imported: a benchmark on one thread sets OPENBLAS_NUM_THREADS before that.
"""

import torch

from nmcmc.random import Rng

EXTENT = 1024
"""Extent of the square matrices."""


def square_products(seed):
    """Return the products of torch and of numpy: name → (function, number of multiply-adds)."""
    a, b = torch.randn(2, EXTENT, EXTENT, generator=Rng(seed).torch_generator())
    c, d = a.numpy(), b.numpy()
    return {
        "square product of torch": (lambda: a @ b, EXTENT**3),
        "square product of numpy": (lambda: c @ d, EXTENT**3),
    }

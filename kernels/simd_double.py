"""Functions of SIMD vectors of eight doubles: from floats, to whole numbers, times powers of two, exp, log1p, tanh …"""

import math

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from nmcmc.kernels.simd import kind_in, maximum, minimum, nearest, pointer_into, splat, vector32, vector64, where_less

TAYLOR = 1 / np.cumprod([1.0, *range(1, 13)])
ARTANH = 2 / np.arange(1.0, 31.0, 2.0)
LOG2_E, LOG_2 = 1 / math.log(2), math.log(2)


@intrinsic
def widen(typing_context, array, index):
    """Return the eight doubles of the floats that start at a flat index of a contiguous 1-D float32 array."""
    if kind_in(array) is not vector32:
        return None

    def codegen(context, builder, signature, arguments):
        narrow = ir.VectorType(ir.FloatType(), vector64.width)
        pointer = pointer_into(context, builder, array, arguments[0], arguments[1], narrow)
        return builder.fpext(builder.load(pointer, align=4), context.get_value_type(vector64))

    return vector64(array, types.intp), codegen


@intrinsic
def times_power_of_two(typing_context, a, k):
    """Return a · 2^k for vectors of doubles, k whole numbers from −2044 to 2046."""
    if a != vector64 or k != vector64:
        return None

    def codegen(context, builder, signature, arguments):
        kind, short, long = (
            ir.VectorType(t, vector64.width) for t in (ir.DoubleType(), ir.IntType(32), ir.IntType(64))
        )
        k = builder.sext(builder.fptosi(arguments[1], short), long)
        half = builder.ashr(k, ir.Constant(long, [1] * vector64.width))
        product = arguments[0]
        for part in (half, builder.sub(k, half)):  # 2^k itself may lie outside the range of doubles
            exponent = builder.add(part, ir.Constant(long, [1023] * vector64.width))
            bits = builder.shl(exponent, ir.Constant(long, [52] * vector64.width))
            product = builder.fmul(product, builder.bitcast(bits, kind))
        return product

    return a(a, k), codegen


if nb.config.DISABLE_JIT:

    def widen(array, index):
        """Return the eight doubles of the floats that start at a flat index of a contiguous 1-D float32 array."""
        return array[index : index + 8].astype(np.float64)

    def times_power_of_two(a, k):
        """Return a · 2^k for vectors of doubles, k whole numbers from −2044 to 2046."""
        return np.ldexp(a, k.astype(np.int32))


@nb.njit(cache=True, nogil=True)
def exp(x):
    """Return exp x of a vector of doubles x ≤ 0: 2^k exp r with |r| ≤ ½ ln 2."""
    x = maximum(splat(-1000.0), x)
    k = nearest(x * splat(LOG2_E))
    r = x - k * splat(LOG_2)
    p = splat(TAYLOR[12])
    for j in range(11, -1, -1):
        p = p * r + splat(TAYLOR[j])
    return times_power_of_two(p, k)


@nb.njit(cache=True, nogil=True)
def log1p(z):
    """Return ln(1 + z) of a vector of doubles 0 ≤ z ≤ 1: 2 artanh t with t = z/(2 + z) ≤ ⅓, a series to t²⁹."""
    t = z / (splat(2.0) + z)
    square = t * t
    p = splat(ARTANH[14])
    for j in range(13, -1, -1):
        p = p * square + splat(ARTANH[j])
    return t * p


@nb.njit(cache=True, nogil=True)
def magnitude(x):
    """Return |x| of a vector of doubles."""
    return maximum(x, splat(0.0) - x)


@nb.njit(cache=True, nogil=True)
def log_sigmoid(x):
    """Return ln σ(x) = min(0, x) − ln(1 + e^−|x|) of a vector of doubles."""
    return minimum(splat(0.0), x) - log1p(exp(splat(0.0) - magnitude(x)))


@nb.njit(cache=True, nogil=True)
def log_cosh(x):
    """Return ln 2cosh x = |x| + ln(1 + e^−2|x|) of a vector of doubles."""
    size = magnitude(x)
    return size + log1p(exp(splat(-2.0) * size))


@nb.njit(cache=True, nogil=True)
def tanh(x):
    """Return tanh x of a vector of doubles."""
    small = exp(splat(-2.0) * magnitude(x))
    size = (splat(1.0) - small) / (splat(1.0) + small)
    return where_less(x, splat(0.0), splat(0.0) - size, size)

"""Functions of SIMD vectors of sixteen floats, to single precision: exp, ln σ and tanh, sums."""

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from nmcmc.kernels.simd import maximum, minimum, nearest, splat, vector32, where_less

LOG2_E, LOG_2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
TAYLOR = (1 / np.cumprod([1.0, *range(1, 8)])).astype(np.float32)
ARTANH = (2 / np.arange(1.0, 15.0, 2.0)).astype(np.float32)
ZERO, ONE, TWO, LEAST = np.float32(0), np.float32(1), np.float32(2), np.float32(-87)


@intrinsic
def power_of_two(typing_context, k):
    """Return 2^k for a vector of whole numbers from −126 to 127."""
    if k != vector32:
        return None

    def codegen(context, builder, signature, arguments):
        whole = ir.VectorType(ir.IntType(32), vector32.width)
        exponent = builder.add(builder.fptosi(arguments[0], whole), ir.Constant(whole, [127] * vector32.width))
        bits = builder.shl(exponent, ir.Constant(whole, [23] * vector32.width))
        return builder.bitcast(bits, context.get_value_type(vector32))

    return k(k), codegen


@intrinsic
def sum_of(typing_context, a):
    """Return the sum of the elements of a vector of floats, added up as a tree."""
    if a != vector32:
        return None

    def codegen(context, builder, signature, arguments):
        kind, one = context.get_value_type(vector32), ir.FloatType()
        name = f"llvm.vector.reduce.fadd.v{vector32.width}f32"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(one, [one, kind]), name)
        return builder.call(function, [ir.Constant(one, -0.0), arguments[0]], fastmath=("reassoc",))

    return types.float32(a), codegen


if nb.config.DISABLE_JIT:
    sum_of = np.sum

    def power_of_two(k):
        """Return 2^k for a vector of whole numbers from −126 to 127."""
        return np.exp2(k)


@nb.njit(cache=True, nogil=True)
def exp(x):
    """Return exp x of a vector of floats x ≤ 0, at least e^−87: 2^k exp r with |r| ≤ ½ ln 2."""
    x = maximum(splat(LEAST), x)
    k = nearest(x * splat(LOG2_E))
    r = x - k * splat(LOG_2)
    p = splat(TAYLOR[7])
    for j in range(6, -1, -1):
        p = p * r + splat(TAYLOR[j])
    return p * power_of_two(k)


@nb.njit(cache=True, nogil=True)
def log_sigmoid_and_slope(x):
    """Return ln σ(x) = min(0, x) − ln(1 + z), z = e^−|x|, and its derivative σ(−x), of a vector of floats."""
    zero, one = splat(ZERO), splat(ONE)
    z = exp(minimum(x, zero - x))
    return minimum(zero, x) - _log1p(z), where_less(x, zero, one, z) / (one + z)


@nb.njit(cache=True, nogil=True)
def _log1p(z):
    """Return ln(1 + z), 0 ≤ z ≤ 1: 2 artanh t with t = z/(2 + z) ≤ ⅓, a series to t¹³."""
    t = z / (splat(TWO) + z)
    square = t * t
    p = splat(ARTANH[6])
    for j in range(5, -1, -1):
        p = p * square + splat(ARTANH[j])
    return t * p


@nb.njit(cache=True, nogil=True)
def tanh_and_log_cosh(x):
    """Return tanh x, odd to the last bit, and ln 2cosh x = |x| + ln(1 + e^−2|x|), of a vector of floats."""
    zero, one = splat(ZERO), splat(ONE)
    size = maximum(x, zero - x)
    z = exp(zero - size - size)
    ratio = (one - z) / (one + z)
    return where_less(x, zero, zero - ratio, ratio), size + _log1p(z)

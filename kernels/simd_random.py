"""Random thresholds of single-spin moves, sixteen at a time: −ln u of uniform numbers, and whether any move is made."""

import math

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .simd import FLAGS, vector32, vector_words

LOG2 = (1.44255315, -0.71828202, 0.45827137, -0.2795395, 0.12345292, -0.026458)
"""log₂(1 + z) = z Σ_k LOG2[k] z^k on 0 ≤ z < 1."""
_BITS = 24


@intrinsic
def exponentials(typing_context, words):
    """Return sixteen floats −ln u, u = k/2²⁴ with k from 1 to 2²⁴, of a vector of eight random words; good to 1e-5."""
    if words != vector_words:
        return None

    def codegen(context, builder, signature, arguments):
        width = vector32.width
        whole, real = ir.VectorType(ir.IntType(32), width), ir.VectorType(ir.FloatType(), width)

        def constant(kind, value):
            return ir.Constant(kind, [value] * width)

        k = builder.lshr(builder.bitcast(arguments[0], whole), constant(whole, 32 - _BITS))
        bits = builder.bitcast(builder.sitofp(builder.add(k, constant(whole, 1)), real), whole)
        exponent = builder.sitofp(builder.sub(builder.lshr(bits, constant(whole, 23)), constant(whole, 127)), real)
        mantissa = builder.or_(builder.and_(bits, constant(whole, 0x7FFFFF)), constant(whole, 0x3F800000))
        z = builder.fsub(builder.bitcast(mantissa, real), constant(real, 1.0))
        total = constant(real, LOG2[-1])
        for coefficient in LOG2[-2::-1]:
            total = builder.fadd(builder.fmul(total, z, flags=FLAGS), constant(real, coefficient), flags=FLAGS)
        log2 = builder.fadd(builder.fmul(total, z, flags=FLAGS), exponent, flags=FLAGS)
        return builder.fmul(builder.fsub(constant(real, float(_BITS)), log2), constant(real, math.log(2)))

    return vector32(words), codegen


@intrinsic
def any_less(typing_context, a, b):
    """Return whether any element of a vector of floats is below that of another."""
    if a != vector32 or b != vector32:
        return None

    def codegen(context, builder, signature, arguments):
        mask = ir.IntType(vector32.width)
        return cgutils.is_not_null(builder, builder.bitcast(builder.fcmp_ordered("<", *arguments), mask))

    return types.boolean(a, b), codegen


if nb.config.DISABLE_JIT:

    def exponentials(words):
        """Return sixteen floats −ln u, u = k/2²⁴ with k from 1 to 2²⁴, of a vector of eight random words."""
        k = (words.view(np.uint32) >> np.uint32(32 - _BITS)).astype(np.float32) + np.float32(1)
        fraction, exponent = np.frexp(k)
        z, total = 2 * fraction - np.float32(1), np.float32(LOG2[-1])
        for coefficient in LOG2[-2::-1]:
            total = total * z + np.float32(coefficient)
        return (_BITS - (total * z + (exponent - 1))).astype(np.float32) * np.float32(math.log(2))

    def any_less(a, b):
        """Return whether any element of a vector of floats is below that of another."""
        return bool(np.any(a < b))

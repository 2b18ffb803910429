"""SIMD vectors of eight uint64 words: + & | ^ << >> ~ by element, with a vector or one word on the right.

``load``, ``store`` and ``splat`` are those of simd. With ``NUMBA_DISABLE_JIT`` vectors are small arrays, as there.
"""

import operator

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from .simd import pointer_into, splat, vector_words

_ZERO = ir.Constant(ir.IntType(8), 0)


@intrinsic
def load_bytes(typing_context, array, index):
    """Return the vector of the 64 int8 from an index of a contiguous 1-D array on."""
    if not isinstance(array, types.Array) or (array.ndim, array.layout, array.dtype) != (1, "C", types.int8):
        return None

    def codegen(context, builder, signature, arguments):
        value = context.get_value_type(vector_words)
        return builder.load(pointer_into(context, builder, array, arguments[0], arguments[1], value), align=1)

    return vector_words(array, types.intp), codegen


@intrinsic
def sign_word(typing_context, array, index):
    """Return the word whose bit k is set if the int8 at index + k of a contiguous 1-D array is negative."""
    if not isinstance(array, types.Array) or (array.ndim, array.layout, array.dtype) != (1, "C", types.int8):
        return None

    def codegen(context, builder, signature, arguments):
        kind = ir.VectorType(ir.IntType(8), 64)
        bytes_ = builder.load(pointer_into(context, builder, array, arguments[0], arguments[1], kind), align=1)
        return builder.bitcast(builder.icmp_signed("<", bytes_, kind(None)), ir.IntType(64))

    return types.uint64(array, types.intp), codegen


@intrinsic
def word_bit_count(typing_context, word):
    """Return the number of set bits of one word, int64."""
    if word != types.uint64:
        return None

    def codegen(context, builder, signature, arguments):
        return _call(builder, "llvm.ctpop.i64", arguments[0], arguments[0].type)

    return types.int64(word), codegen


@intrinsic
def any_bit(typing_context, a):
    """Return whether any bit of a vector of words is set."""
    if a != vector_words:
        return None

    def codegen(context, builder, signature, arguments):
        (vector,) = arguments
        flags = builder.icmp_unsigned("!=", vector, vector.type(None))
        return builder.icmp_unsigned("!=", builder.bitcast(flags, context.get_value_type(types.uint8)), _ZERO)

    return types.boolean(a), codegen


def _call(builder, name, vector, kind):
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [vector.type]), name)
    return builder.call(function, [vector])


@intrinsic
def bit_count(typing_context, a):
    """Return the vector of the numbers of set bits of every word."""
    if a != vector_words:
        return None

    def codegen(context, builder, signature, arguments):
        return _call(builder, "llvm.ctpop.v8i64", arguments[0], arguments[0].type)

    return a(a), codegen


@intrinsic
def word_sum(typing_context, a):
    """Return the sum of the words of a vector."""
    if a != vector_words:
        return None

    def codegen(context, builder, signature, arguments):
        return _call(builder, "llvm.vector.reduce.add.v8i64", arguments[0], ir.IntType(64))

    return types.uint64(a), codegen


@intrinsic
def _inverted(typing_context, a):
    all_bits = ir.Constant(ir.VectorType(ir.IntType(64), 8), [2**64 - 1] * 8)
    return a(a), lambda context, builder, signature, arguments: builder.xor(arguments[0], all_bits)


@overload(operator.invert)
def _invert(a):
    return (lambda a: _inverted(a)) if a == vector_words else None


def _by_word(symbol, instruction):
    @intrinsic
    def compute(typing_context, a, b):
        return a(a, b), lambda context, builder, signature, arguments: getattr(builder, instruction)(*arguments)

    @overload(symbol)
    def vector_operator(a, b):
        if a == vector_words and b == vector_words:
            return lambda a, b: compute(a, b)
        if a == vector_words and b == types.uint64:
            return lambda a, b: compute(a, splat(b))
        return None


for _symbol, _instruction in (
    (operator.add, "add"),
    (operator.and_, "and_"),
    (operator.or_, "or_"),
    (operator.xor, "xor"),
    (operator.lshift, "shl"),
    (operator.rshift, "lshr"),
):
    _by_word(_symbol, _instruction)


if nb.config.DISABLE_JIT:
    word_sum = np.sum

    def load_bytes(array, index):
        """Return the vector of the 64 int8 from an index of a contiguous 1-D array on."""
        return array[index : index + 64].view(np.uint64)

    def sign_word(array, index):
        """Return the word whose bit k is set if the int8 at index + k is negative."""
        return np.packbits(array[index : index + 64] < 0, bitorder="little").view(np.uint64)[0]

    def word_bit_count(word):
        """Return the number of set bits of one word."""
        return np.int64(np.bitwise_count(word))

    def bit_count(a):
        """Return the vector of the numbers of set bits of every word."""
        return np.bitwise_count(a).astype(np.uint64)

    def any_bit(a):
        """Return whether any bit of a vector of words is set."""
        return bool(np.any(a))

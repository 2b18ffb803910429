"""SIMD vectors inside kernels: eight doubles or sixteen floats with + − × ÷ and the functions below; words: simd_bits.

LLVM cannot prove that rows of a NumPy array do not overlap, so short inner loops over lanes stay scalar; these vectors
say what is meant. On processors with narrower registers LLVM splits them. Vectors live only inside compiled functions;
with ``NUMBA_DISABLE_JIT`` they are small arrays and every kernel runs as plain Python.
"""

import operator

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

WIDTH = {np.dtype(np.float64): 8, np.dtype(np.float32): 16, np.dtype(np.uint64): 8}
FLAGS = ("contract", "nsz")
"""Products may join sums in one instruction; sums are added up in the order that is written."""


class VectorType(types.Type):
    """The numba type of eight doubles (``vector64``), sixteen floats (``vector32``), eight words (``vector_words``)."""

    def __init__(self, element, width):
        self.element, self.width = element, width
        super().__init__(name=f"vector({element} x {width})")

    @property
    def key(self):
        """Two vector types are equal if element and width are."""
        return self.element, self.width


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        element = manager.lookup(kind.element).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.width))


vector64 = VectorType(types.float64, 8)
vector32 = VectorType(types.float32, 16)
vector_words = VectorType(types.uint64, 8)
_BY_ELEMENT = {kind.element: kind for kind in (vector64, vector32, vector_words)}


def _is_real(kind):
    return isinstance(kind, VectorType) and isinstance(kind.element, types.Float)


def kind_in(array):
    """Return the type of a vector in this array, None unless contiguous, 1-D and of float32, float64 or uint64."""
    if isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C":
        return _BY_ELEMENT.get(array.dtype)
    return None


def pointer_into(context, builder, array_type, array, index, kind):
    """Return the pointer to a vector of the LLVM type ``kind`` at a flat index of an array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(cgutils.gep_inbounds(builder, data, index), kind.as_pointer())


@intrinsic
def load(typing_context, array, index):
    """Return the vector that starts at a flat index of a contiguous 1-D array."""
    kind = kind_in(array)
    if kind is None:
        return None

    def codegen(context, builder, signature, arguments):
        value = context.get_value_type(kind)
        pointer = pointer_into(context, builder, array, arguments[0], arguments[1], value)
        return builder.load(pointer, align=kind.element.bitwidth // 8)

    return kind(array, types.intp), codegen


@intrinsic
def store(typing_context, array, index, vector):
    """Write a vector to a contiguous 1-D array from a flat index on."""
    kind = kind_in(array)
    if kind is None:
        return None

    def codegen(context, builder, signature, arguments):
        value = context.get_value_type(kind)
        pointer = pointer_into(context, builder, array, arguments[0], arguments[1], value)
        builder.store(arguments[2], pointer, align=kind.element.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, kind), codegen


@intrinsic
def splat(typing_context, scalar):
    """Return the vector whose every element is a float32, float64 or uint64 scalar."""
    kind = _BY_ELEMENT.get(scalar)
    if kind is None:
        return None

    def codegen(context, builder, signature, arguments):
        value = context.get_value_type(kind)
        one = builder.insert_element(ir.Constant(value, ir.Undefined), arguments[0], ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.width), [0] * kind.width)
        return builder.shuffle_vector(one, ir.Constant(value, ir.Undefined), zeros)

    return kind(scalar), codegen


@intrinsic
def lanes(typing_context, array):
    """Return how many elements a vector of a contiguous 1-D array has: a constant at compile time."""
    kind = kind_in(array)
    if kind is None:
        return None

    def codegen(context, builder, signature, arguments):
        return ir.Constant(context.get_value_type(types.intp), kind.width)

    return types.intp(array), codegen


@intrinsic
def where_less(typing_context, a, b, yes, no):
    """Return the vector of the elements of ``yes`` where a < b, else of ``no``."""
    if not _is_real(a) or not a == b == yes == no:
        return None

    def codegen(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered("<", *arguments[:2]), *arguments[2:])

    return a(a, b, yes, no), codegen


@intrinsic
def nearest(typing_context, a):
    """Return the whole numbers nearest to a vector of floats or doubles."""
    if not _is_real(a):
        return None

    def codegen(context, builder, signature, arguments):
        kind = context.get_value_type(a)
        name = f"llvm.nearbyint.v{a.width}f{a.element.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
        return builder.call(function, arguments)

    return a(a), codegen


@intrinsic
def prefetch(typing_context, array, i, j):
    """Start loading array[i, j] into the cache; i, j not negative."""
    if not isinstance(array, types.Array) or array.ndim != 2:
        return None

    def codegen(context, builder, signature, arguments):
        indices = [
            context.cast(builder, value, kind, types.uintp) for value, kind in zip(arguments[1:], (i, j), strict=True)
        ]
        data = context.make_array(array)(context, builder, arguments[0])
        pointer = cgutils.get_item_pointer(context, builder, array, data, indices)
        pointer = builder.bitcast(pointer, cgutils.voidptr_t)
        flag = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, flag, flag, flag]), "llvm.prefetch.p0"
        )
        builder.call(function, [pointer, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, i, j), codegen


def _arithmetic(symbol, instruction):
    @intrinsic
    def compute(typing_context, a, b):
        if not _is_real(a) or a != b:
            return None

        def codegen(context, builder, signature, arguments):
            return getattr(builder, instruction)(*arguments, flags=FLAGS)

        return a(a, b), codegen

    @overload(symbol)
    def vector_operator(a, b):
        if _is_real(a) and a == b:
            return lambda a, b: compute(a, b)
        return None


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_symbol, _instruction)


def _selection(comparison):
    @intrinsic
    def choose(typing_context, a, b):
        if not _is_real(a) or a != b:
            return None

        def codegen(context, builder, signature, arguments):
            return builder.select(builder.fcmp_ordered(comparison, *arguments), *arguments)

        return a(a, b), codegen

    return choose


minimum, maximum = _selection("<"), _selection(">")


if nb.config.DISABLE_JIT:
    minimum, maximum, nearest = np.minimum, np.maximum, np.rint

    def prefetch(array, i, j):
        """Start loading array[i, j] into the cache."""

    def lanes(array):
        """Return how many elements a vector of a contiguous 1-D array has."""
        return WIDTH[array.dtype]

    def where_less(a, b, yes, no):
        """Return the vector of the elements of ``yes`` where a < b, else of ``no``."""
        return np.where(a < b, yes, no)

    def load(array, index):
        """Return the vector that starts at a flat index of a contiguous 1-D array."""
        return array[index : index + WIDTH[array.dtype]].copy()

    def store(array, index, vector):
        """Write a vector to a contiguous 1-D array from a flat index on."""
        array[index : index + WIDTH[array.dtype]] = vector

    def splat(scalar):
        """Return the vector whose every element is a float32 or float64 scalar."""
        dtype = np.asarray(scalar).dtype
        return np.full(WIDTH[dtype], scalar, dtype)

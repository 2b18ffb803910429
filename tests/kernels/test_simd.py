import os
import subprocess
import sys

import numba as nb
import numpy as np
import pytest
import tiny_kernels

from nmcmc.kernels.simd import WIDTH, lanes, load, maximum, minimum, nearest, prefetch, splat, store, where_less
from nmcmc.kernels.simd_double import exp, log1p, log_cosh, log_sigmoid, tanh, times_power_of_two, widen

TYPES = [np.float32, np.float64]


@nb.njit
def arithmetic(a, b, out):
    """Write a + b, a − b, a × b, a ÷ b, min and max of the first vectors to the rows of out (flat)."""
    n = len(a)
    x, y = load(a, 0), load(b, 0)
    store(out, 0, x + y)
    store(out, n, x - y)
    store(out, 2 * n, x * y)
    store(out, 3 * n, x / y)
    store(out, 4 * n, minimum(x, y))
    store(out, 5 * n, maximum(x, y))


@nb.njit
def move(source, i, target, j):
    store(target, j, load(source, i))


@nb.njit
def fill(scalar, target, j):
    store(target, j, splat(scalar))


@pytest.mark.parametrize("dtype", TYPES)
def test_arithmetic_is_that_of_numpy_element_by_element(dtype):
    n = WIDTH[np.dtype(dtype)]
    a, b = np.random.default_rng(1).normal(size=(2, n)).astype(dtype)
    out = np.empty(6 * n, dtype=dtype)
    arithmetic(a, b, out)
    expected = [a + b, a - b, a * b, a / b, np.minimum(a, b), np.maximum(a, b)]
    np.testing.assert_allclose(out.reshape(6, n), expected, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 3), (5, 2), (16, 7)])
def test_loads_and_stores_move_one_vector_from_any_place(dtype, i, j):
    n = WIDTH[np.dtype(dtype)]
    source, target = np.arange(40, dtype=dtype), np.full(40, -1, dtype=dtype)
    move(source, i, target, j)
    expected = np.full(40, -1, dtype=dtype)
    expected[j : j + n] = source[i : i + n]
    np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("dtype", TYPES)
def test_splat_fills_one_vector(dtype):
    n = WIDTH[np.dtype(dtype)]
    target = np.zeros(3 * n, dtype=dtype)
    fill(dtype(0.1), target, n)
    assert target.tolist() == [0.0] * n + [float(dtype(0.1))] * n + [0.0] * n


@pytest.mark.parametrize("dtype", TYPES)
def test_minimum_and_maximum_keep_what_is_no_number_on_the_right(dtype):
    n = WIDTH[np.dtype(dtype)]
    out = np.empty(6 * n, dtype=dtype)
    arithmetic(np.ones(n, dtype=dtype), np.full(n, np.nan, dtype=dtype), out)
    assert np.isnan(out).all()


@nb.njit
def choose(a, b, yes, no, out):
    store(out, 0, where_less(load(a, 0), load(b, 0), load(yes, 0), load(no, 0)))
    return lanes(out)


@pytest.mark.parametrize("dtype", TYPES)
def test_where_less_chooses_element_by_element(dtype):
    n = WIDTH[np.dtype(dtype)]
    a, b = np.random.default_rng(1).integers(-1, 2, size=(2, n)).astype(dtype)
    a[0], b[1] = np.nan, np.nan
    yes, no, out = np.arange(n, dtype=dtype), -np.arange(n, dtype=dtype) - 1, np.empty(n, dtype=dtype)
    assert choose(a, b, yes, no, out) == n
    np.testing.assert_array_equal(out, np.where(a < b, yes, no))
    assert out.min() < 0 < out.max()


@nb.njit
def widen_and_scale(x, k, out):
    store(out, 0, widen(x, 1))
    store(out, 8, nearest(load(k, 0)))
    store(out, 16, times_power_of_two(load(k, 8), load(out, 8)))


def test_widen_nearest_and_times_power_of_two_are_those_of_numpy():
    x = np.random.default_rng(1).normal(size=20).astype(np.float32)
    k = np.array([0.5, 1.5, -2.5, 7.49, 1023.0, -1073.0, -2000.0, 2000.0, 1.25, -1.25, 1.0, 0.0, 1.5, 1.0, 3.0, 1e-300])
    out = np.empty(24)
    widen_and_scale(x, k, out)
    np.testing.assert_array_equal(out[:8], x[1:9].astype(np.float64))
    np.testing.assert_array_equal(out[8:16], np.rint(k[:8]))
    np.testing.assert_array_equal(out[16:], np.ldexp(k[8:], np.rint(k[:8]).astype(int)))


@nb.njit
def exponential(x, out):
    store(out, 0, exp(load(x, 0)))


def test_exp_of_what_is_not_positive():
    rows = np.concatenate([-np.linspace(0, 750, 8000), [0.0, -1e-300, -1e4, -np.inf, -708.5, -745, -746, -2e9]])
    for x in rows.reshape(-1, 8):
        out = np.empty(8)
        exponential(x, out)
        np.testing.assert_allclose(out, np.exp(x), rtol=1e-13, atol=5e-324)
    exponential(np.full(8, np.nan), out)
    assert np.isnan(out).all()


@nb.njit
def smooth_functions(x, out):
    """Write tanh x, ln σ(x) and ln 2cosh x of the vector to the rows of out (flat)."""
    store(out, 0, tanh(load(x, 0)))
    store(out, 8, log_sigmoid(load(x, 0)))
    store(out, 16, log_cosh(load(x, 0)))


@nb.njit
def logarithm(x, out):
    store(out, 0, log1p(load(x, 0)))


def test_smooth_functions_are_those_of_numpy():
    rows = np.concatenate([np.linspace(-40, 40, 4000), [0.0, 1e-9, -1e-9, 1e3, -1e3, 1e-300, -750.0, 750.0]])
    for x in rows.reshape(-1, 8):
        out = np.empty(24)
        smooth_functions(x, out)
        np.testing.assert_allclose(out[:8], np.tanh(x), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(out[8:16], -np.logaddexp(0, -x), rtol=1e-13)
        np.testing.assert_allclose(out[16:], np.logaddexp(x, -x), rtol=1e-13)


def test_log1p_between_zero_and_one():
    for x in np.concatenate([np.linspace(0, 1, 992), np.logspace(-300, 0, 8)]).reshape(-1, 8):
        out = np.empty(8)
        logarithm(x, out)
        np.testing.assert_allclose(out, np.log1p(x), rtol=1e-14)


@nb.njit
def fetch(array, i, j):
    prefetch(array, i, j)
    return array[i, j]


def test_prefetch_changes_nothing():
    array = np.arange(12.0).reshape(3, 4)
    assert fetch(array, np.uint64(2), 1) == 9.0
    np.testing.assert_array_equal(array, np.arange(12.0).reshape(3, 4))


@pytest.mark.parametrize("array", [np.zeros(16, dtype=np.int64), np.zeros((16, 2)), np.zeros(32)[::2]])
def test_other_arrays_do_not_compile(array):
    with pytest.raises(nb.core.errors.TypingError):
        move(array, 0, array, 0)


def test_kernels_run_uncompiled_with_the_same_results(tmp_path):
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    script, output = tiny_kernels.__file__, tmp_path / "plain.npz"
    subprocess.run([sys.executable, script, str(output)], env=environment, check=True, timeout=120)
    plain, compiled = np.load(output), tiny_kernels.run()
    updates = [name for name in compiled if name.startswith(("checkerboard", "swendsen_wang"))]
    assert len(updates) == 6
    nets = ("own", "replica", "cavity", "tap", "counts")
    drawn = [f"{name}_spins" for name in ("net", "leaf", "leaf64", "window", *nets)]
    for name in (*drawn, *updates):
        np.testing.assert_array_equal(plain[name], compiled[name])
    np.testing.assert_allclose(plain["net_log_q"], compiled["net_log_q"], rtol=1e-6)
    np.testing.assert_allclose(plain["leaf_log_z"], compiled["leaf_log_z"], rtol=1e-6)
    np.testing.assert_allclose(plain["leaf64_log_z"], compiled["leaf64_log_z"], rtol=1e-13)
    for name in ("replica_log_q", "gradient_log_q", "tap_log_q"):  # in single precision
        np.testing.assert_allclose(plain[name], compiled[name], rtol=1e-5, atol=1e-5)
    for name in ("own_log_q", "cavity_log_q", "counts_log_q", "affine_out"):
        np.testing.assert_allclose(plain[name], compiled[name], rtol=1e-12)
    np.testing.assert_allclose(plain["window_chances"], compiled["window_chances"], rtol=1e-6)

import numba as nb
import numpy as np
import pytest

from nmcmc.kernels.simd import load, store
from nmcmc.kernels.simd_single import exp, log_sigmoid_and_slope, sum_of


@nb.njit
def functions(x, out):
    """Write exp x of the first sixteen, ln σ(x) and σ(−x) of the others, and the sum of the first."""
    store(out, 0, exp(load(x, 0)))
    value, slope = log_sigmoid_and_slope(load(x, 16))
    store(out, 16, value)
    store(out, 32, slope)
    out[48] = sum_of(load(x, 0))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0, 80.0])
def test_functions_are_right_to_single_precision(scale):
    x = np.random.default_rng(1).normal(size=32).astype(np.float32) * np.float32(scale)
    x[:16] = -np.abs(x[:16])
    x[0], out = 0, np.empty(49, np.float32)
    functions(x, out)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(out[:16], np.exp(np.maximum(exact[:16], -87)), rtol=1e-5 if scale > 10 else 1e-6)
    np.testing.assert_allclose(out[16:32], -np.logaddexp(0, -exact[16:]), rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(out[32:48], 1 / (1 + np.exp(exact[16:])), rtol=1e-5, atol=1e-37)
    np.testing.assert_allclose(out[48], exact[:16].sum(), rtol=1e-6)


def test_far_arguments_give_no_nan():
    x, out = np.array([*[-1e30] * 16, *[1e30] * 8, *[-1e30] * 8], np.float32), np.empty(49, np.float32)
    functions(x, out)
    assert np.all(out[:16] < 1e-37)
    np.testing.assert_allclose(out[16:24], 0, atol=1e-37)
    np.testing.assert_array_equal(out[24:32], np.float32(-1e30))
    np.testing.assert_array_equal(out[40:48], 1)

import numpy as np
import pytest

from nmcmc.kernels.rng import below, fill_uniform, next_word, uniform
from nmcmc.random import Rng


def numpy_twin(stream):
    bits = np.random.SFC64(0)
    state = bits.state
    state["state"]["state"] = stream.copy()
    bits.state = state
    return bits


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_words_are_those_of_numpy(seed):
    stream = Rng(seed).streams(1)[0]
    twin = numpy_twin(stream)
    assert [int(next_word(stream)) for _ in range(1000)] == twin.random_raw(1000).tolist()
    assert stream.tolist() == twin.state["state"]["state"].tolist()


def test_uniforms_are_those_of_numpy():
    stream = Rng(7).streams(1)[0]
    twin = np.random.Generator(numpy_twin(stream))
    assert [uniform(stream) for _ in range(1000)] == twin.random(1000).tolist()


@pytest.mark.parametrize("pad", [0, 3])
def test_many_uniforms_are_those_of_numpy(pad):
    stream, out = Rng(7).streams(1)[0], np.full((7, 143 + pad), -1.0)
    twin = np.random.Generator(numpy_twin(stream))
    fill_uniform(stream, out, 143)
    np.testing.assert_array_equal(out[:, :143], twin.random((7, 143)))
    np.testing.assert_array_equal(out[:, 143:], -1.0)
    assert stream.tolist() == twin.bit_generator.state["state"]["state"].tolist()


@pytest.mark.parametrize("n", [1, 2, 7, 100, 3 * 2**30, 2**32 - 1])
def test_bounded_integers_follow_lemire_with_rejection(n):
    stream = Rng(5).streams(1)[0]
    words = iter(word >> 32 for word in numpy_twin(stream).random_raw(10_000).tolist())
    for _ in range(1000):
        product = next(words) * n
        while product % 2**32 < 2**32 % n:
            product = next(words) * n
        assert int(below(stream, n)) == product >> 32

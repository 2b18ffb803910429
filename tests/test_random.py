import json

import numpy as np
import pytest
import torch

from nmcmc.random import MANY, Rng


def test_same_path_same_stream():
    one, other = Rng(7).child("train", 3), Rng(7).child("train").child(3)
    np.testing.assert_array_equal(one.generator.random(5), other.generator.random(5))
    np.testing.assert_array_equal(one.streams(4), other.streams(4))
    assert torch.equal(one.uniform((2, 3)), other.uniform((2, 3)))


def test_different_paths_differ():
    rngs = [Rng(7), Rng(8), Rng(7).child("a"), Rng(7).child("b"), Rng(7).child(0), Rng(7).child(1), Rng(7).child("0")]
    assert len({float(rng.generator.random()) for rng in rngs}) == len(rngs)
    assert len({int(rng.streams(1)[0, 0]) for rng in rngs}) == len(rngs)


def test_children_do_not_depend_on_what_the_parent_drew():
    parent, quiet = Rng(1), Rng(1)
    parent.generator.random(100)
    parent.streams(3)
    assert parent.child("a").generator.random() == quiet.child("a").generator.random()


def test_streams_belong_to_chains():
    few, many = Rng(5).streams(3), Rng(5).streams(10)
    assert few.shape == (3, 4)
    assert few.dtype == np.uint64
    np.testing.assert_array_equal(few, many[:3])
    assert len(np.unique(many[:, 0])) == 10


def test_streams_are_kept_and_advance_in_place():
    rng = Rng(5)
    rng.streams(2)[0, 0] += np.uint64(1)
    assert rng.streams(2)[0, 0] == Rng(5).streams(2)[0, 0] + np.uint64(1)
    with pytest.raises(ValueError, match=r"serves 2 chains, not 3; use a child for each run"):
        rng.streams(3)


def test_uniforms_are_drawn_row_by_row():
    whole, parts = Rng(2).uniform((5, 3)), Rng(2)
    assert torch.equal(whole, torch.cat([parts.uniform((2, 3)), parts.uniform((3, 3))]))
    assert whole.dtype == torch.float64
    assert bool(((whole >= 0) & (whole < 1)).all())


@pytest.mark.parametrize("n", [MANY - 1, MANY, 3 * MANY + 1])
def test_uniforms_are_those_of_numpy_s_generator_however_many(n):
    rng, twin = Rng(4), Rng(4)
    for one in (rng, twin):
        one.generator.integers(0, 5, dtype=np.uint32)  # leaves half a word behind, which must stay
    np.testing.assert_array_equal(rng.uniform((n, 1)).numpy().ravel(), twin.generator.random(n))
    assert rng.state() == twin.state()


@pytest.mark.parametrize("n", [3, MANY])
def test_padding_changes_no_numbers(n):
    plain, padded = Rng(2), Rng(2)
    numbers, wider = plain.uniform((2, n)), padded.uniform((2, n), pad=8)
    assert wider.shape == (2, n + 8)
    assert wider.is_contiguous()
    assert torch.equal(wider[:, :n], numbers)
    assert plain.state() == padded.state()


def test_restored_generator_continues_bit_for_bit():
    rng = Rng(3).child("chain", 1)
    rng.generator.random(7)
    rng.generator.integers(0, 5, dtype=np.uint32)
    rng.streams(2)[1] += np.uint64(9)
    torch.rand(3, generator=rng.torch_generator())
    again = Rng.restore(json.loads(json.dumps(rng.state())))
    np.testing.assert_array_equal(again.streams(2), rng.streams(2))
    assert torch.equal(torch.rand(4, generator=again.torch_generator()), torch.rand(4, generator=rng.torch_generator()))
    np.testing.assert_array_equal(
        again.generator.integers(0, 9, 5, dtype=np.uint32), rng.generator.integers(0, 9, 5, dtype=np.uint32)
    )
    assert again.child("x").generator.random() == rng.child("x").generator.random()


def test_fresh_state_has_no_streams():
    again = Rng.restore(Rng(3).state())
    np.testing.assert_array_equal(again.streams(2), Rng(3).streams(2))


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1"])
def test_bad_seed_is_refused(seed):
    with pytest.raises(ValueError, match=r"it must be an integer ≥ 0"):
        Rng(seed)

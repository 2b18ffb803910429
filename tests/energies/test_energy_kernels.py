import itertools

import numpy as np
import pytest

from nmcmc.kernels import energy as kernel


def random_spins(shape, seed=0):
    return np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.int8), size=shape)


def test_magnetization_is_the_sum_of_spins():
    spins = random_spins((6, 1000))
    out = np.empty(6, dtype=np.int64)
    kernel.magnetization(spins, out)
    np.testing.assert_array_equal(out, spins.sum(axis=1, dtype=np.int64))


def test_edge_products_are_the_edge_sum_of_unit_couplings():
    spins, rng = random_spins((7, 50)), np.random.default_rng(1)
    edges, out, total = rng.integers(0, 50, (300, 2)), np.empty(7, dtype=np.int64), np.empty(7)
    kernel.edge_products(spins, edges.astype(np.uint32), out)
    kernel.edge_sum(spins, edges, np.ones(300), np.zeros(50), 0.0, total)
    np.testing.assert_array_equal(out, -total)


@pytest.mark.parametrize("extents", [(4, 2, 5), (3, 7, 65), (3, 2, 64), (1, 5, 128), (2, 1, 192)])
@pytest.mark.parametrize("periodic", [*itertools.product([False, True], repeat=3)])
def test_bond_sums_count_every_axis_on_its_own(extents, periodic):
    """Rows of a multiple of 64 spins are counted by the word, others by the byte."""
    spins, out = random_spins((3, *extents)), np.empty((3, 3), dtype=np.int64)
    kernel.bond_sums(spins, np.array(periodic), out)
    for axis in range(3):
        if extents[axis] == 1:
            assert not out[:, axis].any()
        else:
            product = spins.astype(np.int64) * np.roll(spins, -1, axis + 1)
            if not periodic[axis]:
                product = np.delete(product, -1, axis + 1)
            np.testing.assert_array_equal(out[:, axis], product.sum(axis=(1, 2, 3)))


def test_axis_of_extent_one_has_no_bonds():
    out = np.empty((1, 3), dtype=np.int64)
    kernel.bond_sums(np.ones((1, 1, 1, 4), dtype=np.int8), np.array([True, True, True]), out)
    np.testing.assert_array_equal(out, [[0, 0, 4]])

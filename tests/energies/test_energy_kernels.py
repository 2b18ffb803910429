import numpy as np

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


def test_bond_sums_count_every_axis_on_its_own():
    spins = random_spins((3, 4, 2, 5))
    for periodic in ((True, True, True), (False, True, False), (False, False, False)):
        out = np.empty((3, 3), dtype=np.int64)
        kernel.bond_sums(spins, np.array(periodic), out)
        for axis in range(3):
            product = spins.astype(np.int64) * np.roll(spins, -1, axis + 1)
            if not periodic[axis]:
                product = np.delete(product, -1, axis + 1)
            np.testing.assert_array_equal(out[:, axis], product.sum(axis=(1, 2, 3)))


def test_axis_of_extent_one_has_no_bonds():
    out = np.empty((1, 3), dtype=np.int64)
    kernel.bond_sums(np.ones((1, 1, 1, 4), dtype=np.int8), np.array([True, True, True]), out)
    np.testing.assert_array_equal(out, [[0, 0, 4]])

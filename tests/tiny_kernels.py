"""Run kernels on a tiny case and save the results: run once compiled, once with NUMBA_DISABLE_JIT=1."""

import sys

import numba as nb
import numpy as np

from nmcmc.kernels import leaf_transfer, masked_net


def net_case():
    """Two blocks with two border and three line spins each, two hidden layers, nine configurations."""
    rng = np.random.default_rng(1)
    spins, uniforms = rng.choice(np.array([-1, 1], dtype=np.int8), size=(9, 12)), rng.random((9, 12))
    border, line = (np.array(sites, dtype=np.uint64) for sites in ([[0, 1], [6, 1]], [[2, 3, 4], [7, 8, 9]]))
    shapes = (6, 5), (1, 6, 6), (3, 6), (3, 5), (2, 6), (3,)
    masks = [np.ones(shape) for shape in shapes]
    for i in range(3):
        masks[0][2 * i : 2 * i + 2, 2 + i :] = 0
        masks[1][:, 2 * i : 2 * i + 2, 2 * i + 2 :] = 0
        masks[2][i, 2 * i + 2 :] = 0
        masks[3][i, 2 + i :] = 0
    weights = [(rng.normal(size=shape) * mask).astype(np.float32) for shape, mask in zip(shapes, masks, strict=True)]
    log_q = np.zeros((9, 2))
    masked_net.draw(spins, border, line, uniforms, *weights, 2, 0, 18, log_q)
    return spins, log_q


def leaf_case(dtype):
    """Two leaves of 3×2 with three border bonds each, five configurations, in float32 or float64."""
    rng = np.random.default_rng(2)
    spins, uniforms = rng.choice(np.array([-1, 1], dtype=np.int8), size=(5, 16)), rng.random((5, 16))
    sites = np.array([[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])
    bond_inside, bond_site = np.array([0, 0, 5]), np.array([[12, 13, 14], [13, 14, 15]])
    weights = [rng.uniform(0.2, 1, size=shape).astype(dtype) for shape in ((3, 2), (6, 2), (3, 2, 2), (3, 2))]
    rescale, log_z = np.array([False, True, True]), np.zeros((5, 2))
    leaf_transfer.leaves(spins, sites, bond_inside, bond_site, *weights, rescale, uniforms, True, 0, 10, log_z)
    return spins, log_z


def run():
    """Return the results by name."""
    names = ("net_spins", "net_log_q", "leaf_spins", "leaf_log_z", "leaf64_spins", "leaf64_log_z")
    return dict(zip(names, (*net_case(), *leaf_case(np.float32), *leaf_case(np.float64)), strict=True))


if __name__ == "__main__":
    assert nb.config.DISABLE_JIT
    np.savez(sys.argv[1], **run())

"""Run kernels on a tiny case and save the results: run once compiled, once with NUMBA_DISABLE_JIT=1."""

import sys

import numba as nb
import numpy as np

from nmcmc.kernels import (
    annealing,
    checkerboard,
    counts,
    dense,
    energy,
    leaf_transfer,
    masked_net,
    partial_fields,
    pixelcnn,
    sparse_net,
    swendsen_wang,
    tap,
    tempering,
    windows,
)


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
    sites = np.array([[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]], dtype=np.uint64)
    bond_inside, bond_site = np.array([0, 0, 5]), np.array([[12, 13, 14], [13, 14, 15]], dtype=np.uint64)
    weights = [rng.uniform(0.2, 1, size=shape).astype(dtype) for shape in ((3, 2), (6, 2), (3, 2, 2), (3, 2))]
    rescale, log_z = np.array([False, True, True]), np.zeros((5, 2))
    leaf_transfer.leaves(spins, sites, bond_inside, bond_site, *weights, rescale, uniforms, True, 0, 10, log_z)
    return spins, log_z


def window_case():
    """Windows of one border and two line spins in two views of a 3×4 lattice, two configurations."""
    rng = np.random.default_rng(3)
    spins = rng.choice(np.array([-1, 1], dtype=np.int8), size=(2, 12))
    rows, columns, extents = np.array([[0, 1, 2], [2, 1, 0]]), np.array([[3, 0, 1], [0, 0, 2]]), np.array([3, 4])
    configuration, view, shift = rng.integers(0, 2, 9), rng.integers(0, 2, 9), rng.integers(0, 3, (9, 2))
    pulls = np.arange(0, 25, 2), rng.integers(0, 12, 24), rng.normal(size=24), rng.normal(size=12)
    out, chance = np.zeros((9, 3), dtype=np.float32), np.zeros((9, 2), dtype=np.float32)
    windows.windows(spins, rows, columns, extents, configuration, view, shift, 1, *pulls, 0, 9, out, chance)
    return out, chance


def field_case(name):
    """Nine configurations of five spins from a net on partial fields, or on the number of up spins."""
    rng = np.random.default_rng(5)
    spins, uniforms, log_q = np.zeros((9, 5), dtype=np.int8), rng.random((9, 5)), np.zeros(9)
    system, own, pairs = (rng.normal(size=(5, 5)), rng.normal(size=5)), rng.normal(size=5), rng.normal(size=(9, 10))
    single, weights = [a.astype(np.float32) for a in system], rng.normal(size=(8, 10)).astype(np.float32)
    if name == "own":
        partial_fields.draw_own(spins, uniforms, *system, log_q)
    elif name == "replica":
        partial_fields.draw_replica(spins, uniforms, *single, weights, log_q)
    elif name == "gradient":
        spins = rng.choice(np.array([-1, 1], dtype=np.int8), size=(9, 5))
        log_q = np.zeros_like(weights)
        partial_fields.gradient_replica(spins, uniforms[:, 0].astype(np.float32), *single, weights, log_q)
    elif name == "tap":
        symmetric = single[0] + single[0].T
        numbers = np.float32(0.7), np.float32(0.6), np.float32(0.8), 3
        terms = np.zeros((9, 5, 4), np.float32)
        tap.draw(spins, uniforms, symmetric, symmetric**2, single[1], weights[:5, :4], *numbers, log_q, terms)
    elif name == "cavity":
        guesses = pairs[0], pairs[1], pairs[2], rng.normal(size=(5, 5))
        partial_fields.draw_cavity(spins, uniforms, *system, own, *guesses, 0.7, pairs[3], pairs[4], log_q)
    else:
        counts.draw(spins, uniforms, rng.normal(size=(5, 5)), log_q)
    return spins, log_q


def affine_case():
    """Twenty configurations of three spins through five rows of weights."""
    rng = np.random.default_rng(6)
    spins, out = rng.choice(np.array([-1, 1], dtype=np.int8), size=(20, 3)), np.zeros((20, 5))
    dense.affine(spins, rng.normal(size=(5, 3)), rng.normal(size=5), out)
    return spins, out


def update_case(name):
    """Two chains on the 4×64 torus, three steps of the update of that name, and the energies along each axis."""
    spins = np.random.default_rng(3).choice(np.array([-1, 1], dtype=np.int8), size=(2, 4, 64))
    streams = np.random.default_rng(4).integers(0, 2**64, size=(2, 4), dtype=np.uint64)
    out, count = np.empty((2, 3, 4, 64), dtype=np.int8), np.empty((2, 3), dtype=np.int64)
    half = np.uint64(2**31)
    if name == "checkerboard":
        levels = np.tile(np.array([0, 2**64 - 1], dtype=np.uint64), 64)
        levels[2:8] = [0, 0, 2**64 - 1, 0, 2**64 - 1, 2**64 - 1]
        checkerboard.checkerboard_steps(spins, streams, 2, 32, np.uint64(0), levels, 2, out, count)
    else:
        partners = np.array([[-1, -1], [0, -1], [1, -1], [2, 0]])
        along = np.array([half, half])
        swendsen_wang.lattice_clusters(spins, streams, partners, along, along, out, count)
    bonds = np.empty((2, 3), dtype=np.int64)
    energy.bond_sums(spins.reshape(2, 1, 4, 64), np.array([False, True, True]), bonds)
    return out, count, bonds


def ring():
    """A ring of six sites in compressed rows, and the later neighbours of every site."""
    start, neighbour = np.arange(0, 13, 2), np.array([1, 5, 0, 2, 1, 3, 2, 4, 3, 5, 0, 4])
    coupling = np.array([1.0, 0.5, 1.0, -1.0, -1.0, 2.0, 2.0, 0.25, 0.25, -0.5, 0.5, -0.5])
    later = np.array([0, 2, 3, 4, 5, 6, 6]), np.array([1, 5, 2, 3, 4, 5])
    return (start, neighbour, coupling), (*later, np.array([1.0, 0.5, -1.0, 2.0, 0.25, -0.5], dtype=np.float32))


def annealing_case():
    """Two groups of replicas on a ring of six sites."""
    (start, neighbour, coupling), _ = ring()
    streams = np.random.default_rng(5).integers(0, 2**64, size=(2, 4), dtype=np.uint64)
    spins, fields = np.empty((32, 6), dtype=np.int8), np.full(6, 0.125, dtype=np.float32)
    betas = np.array([0.2, 0.8, 2.0], dtype=np.float32)
    tolerance = np.float32(1e-5)
    annealing.anneal(spins, streams, start, neighbour, coupling.astype(np.float32), fields, betas, tolerance, 0, 2)
    return spins, streams


def tempering_case():
    """Two ladders of three temperatures on a ring of six sites."""
    system = (*ring()[0], np.empty((0, 0)), np.full(6, 0.125))
    spins = np.random.default_rng(3).choice(np.array([-1, 1], dtype=np.int8), size=(2, 3, 6))
    streams = np.random.default_rng(6).integers(0, 2**64, size=(2, 3, 4), dtype=np.uint64)
    out, flips, swapped = np.empty((2, 3, 4, 6), np.int8), np.empty((2, 3, 4), np.int64), np.empty((2, 3, 4), np.int64)
    betas = np.array([0.2, 0.5, 1.0])
    tempering.tempering_steps(spins, streams, system, betas, 2, out, flips, swapped)
    return out, flips + 100 * swapped


def graph_net_case(name):
    """Nine draws of a net on a ring of six sites, for a PixelCNN two rows of three."""
    rng, (_, later) = np.random.default_rng(7), ring()
    uniforms, spins, log_q = rng.random((9, 6)), np.empty((9, 6), dtype=np.int8), np.empty(9)

    def normal(*shape):
        return (0.3 * rng.normal(size=shape)).astype(np.float32)

    if name == "sparse":
        start, sites = np.array([0, 0, 1, 3, 4, 5, 5]), np.array([5, 3, 5, 5, 5])
        nets = normal(6, 2, 2), normal(6, 2, 2), normal(6, 2), normal(6, 2), normal(6), normal(2, 6, 2), normal(6)
        sparse_net.draw(spins, uniforms, start, sites, *later, *nets, 0, 9, log_q)
    else:
        nets = normal(2, 2, 3), normal(1, 2, 2, 6), normal(2, 1, 6), normal(1, 2, 2), normal(1, 2), normal(2, 2)
        rest = normal(2, 2), normal(1), normal(1), normal(6)
        pixelcnn.draw(spins, uniforms, 3, True, *later, *nets, *rest, 0, 9, log_q)
    return spins, log_q


def run():
    """Return the results by name."""
    results = {"net": net_case(), "leaf": leaf_case(np.float32), "leaf64": leaf_case(np.float64)}
    names = {name: ("spins", "log_q" if name == "net" else "log_z") for name in results}
    results["window"], names["window"] = window_case(), ("spins", "chances")
    for name in ("own", "replica", "gradient", "cavity", "tap", "counts"):
        results[name], names[name] = field_case(name), ("spins", "log_q")
    results["affine"], names["affine"] = affine_case(), ("spins", "out")
    for name in ("checkerboard", "swendsen_wang"):
        results[name], names[name] = update_case(name), ("spins", "count", "bonds")
    results["annealing"], names["annealing"] = annealing_case(), ("spins", "streams")
    results["tempering"], names["tempering"] = tempering_case(), ("spins", "moves")
    for name in ("sparse", "pixelcnn"):
        results[name], names[name] = graph_net_case(name), ("spins", "log_q")
    return {f"{n}_{key}": value for n in results for key, value in zip(names[n], results[n], strict=True)}


if __name__ == "__main__":
    assert nb.config.DISABLE_JIT
    np.savez(sys.argv[1], **run())

import dataclasses
import math

import numpy as np
import pytest
import torch

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.exact.transfer_matrix import strip
from nmcmc.samplers.hierarchical import leaves as module
from nmcmc.samplers.hierarchical.leaves import Leaves, to_float32
from nmcmc.samplers.hierarchical.partition import Group, Region, partition, region_of

PRECISION = 1e-6
"""Of log Z in float32."""

SMALL = [(1, 1), (1, 5), (5, 1), (2, 2), (3, 3), (4, 2), (2, 4), (3, 4), (2, 7), (7, 2)]


def random_region(shape, seed=0, border="own"):
    """A region with random numbers; opposite sides of its border are different sites, the same ones, or absent."""
    rng, (height, width) = np.random.default_rng(seed), shape
    couplings = rng.normal(size=(height + 1, width)), rng.normal(size=(height, width + 1))
    fields = rng.normal(size=shape)
    top, bottom, left, right = np.split(np.arange(2 * (height + width)), [width, 2 * width, 2 * width + height])
    nothing = np.full(width, -1), np.full(height, -1)
    before, after = {
        "own": ((top, left), (bottom, right)),
        "shared": (
            (top, bottom[-1] + 1 - width + np.arange(height)),
            (top, bottom[-1] + 1 - width + np.arange(height)),
        ),
        "absent": (nothing, nothing),
        "mixed": ((top, nothing[1]), (bottom, left)),
    }[border]
    return Region((False, False), before, after, couplings, fields)


def copies(region, n_blocks, seed=0):
    """A group of blocks that lie scattered among more sites than they need."""
    n_sites = n_blocks * region.n_sites + 3
    order = np.random.default_rng(seed).permutation(n_sites)
    return Group(region, order[: n_blocks * region.n_sites].reshape(n_blocks, -1), None), n_sites


def random_spins(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.int8), size=shape))


def energies_inside(region, border):
    """The energy of every state of the inside given the border (n_border,)."""
    n = region.fields.size
    energy = PairwiseEnergy(
        region.n_sites, *region.edges, np.concatenate([np.zeros(region.n_border), region.fields.ravel()])
    )
    states = all_states(n)
    return energy(np.concatenate([np.broadcast_to(border, (len(states), region.n_border)), states], axis=1))


def by_enumeration(group, spins, beta):
    border = spins.numpy()[:, group.border]
    return np.array(
        [[np.logaddexp.reduce(-beta * energies_inside(group.region, row)) for row in rows] for rows in border]
    )


@pytest.fixture(params=["float32", "float64"])
def precision(request, monkeypatch):
    """Sum leaves in one of the two types whatever their couplings, and return how exact log Z must be."""
    monkeypatch.setattr(module, "FLOAT32_LIMIT", 0.0 if request.param == "float64" else 85.0)
    return 1e-10 if request.param == "float64" else PRECISION


def is_float32(leaves):
    return leaves._weights[0][0].dtype == np.float32


@pytest.mark.parametrize("shape", SMALL)
@pytest.mark.parametrize("border", ["own", "shared", "absent", "mixed"])
def test_log_z_is_the_sum_over_all_states(shape, border, precision):
    group, n_sites = copies(random_region(shape, border=border), n_blocks=3)
    spins = random_spins((3, n_sites))
    leaves = Leaves(group, 0.7)
    log_z = leaves.log_z(spins)
    assert log_z.dtype == torch.float64
    assert is_float32(leaves) == (precision == PRECISION)
    np.testing.assert_allclose(log_z, by_enumeration(group, spins, 0.7), rtol=0, atol=precision)


@pytest.mark.parametrize("beta", [0.0, 5.0])
@pytest.mark.parametrize("coupling", [1.0, -1.0])
def test_log_z_of_hot_cold_and_antiferromagnetic_leaves(beta, coupling):
    parts = partition(region_of(LatticeEnergy(Lattice((4, 4)), coupling)), 3)
    group = parts.leaves[0]
    spins = random_spins((5, 16))
    leaves = Leaves(group, beta)
    assert is_float32(leaves) == (beta < 1)
    np.testing.assert_allclose(leaves.log_z(spins), by_enumeration(group, spins, beta), rtol=1e-10, atol=PRECISION)


@pytest.mark.parametrize("shape", [(7, 7), (7, 12), (7, 15), (8, 8), (15, 15)])
def test_log_z_of_large_leaves_is_that_of_an_open_lattice_in_the_border_s_field(shape):
    region = random_region(shape)
    group, n_sites = copies(region, 1)
    spins = random_spins((2, n_sites))
    log_z = Leaves(group, 0.4).log_z(spins)
    down, across = region.couplings[0][1:-1], region.couplings[1][:, 1:-1]
    edges, couplings = region.edges
    for row, value in zip(spins.numpy()[:, group.sites[0]], log_z[:, 0], strict=True):
        pull = np.zeros(region.n_sites)
        outer = (edges < region.n_border).any(axis=1)
        site, known = edges[outer].max(axis=1), edges[outer].min(axis=1)
        np.add.at(pull, site, couplings[outer] * row[known])
        lattice = LatticeEnergy(
            Lattice(shape, "open"),
            np.concatenate([down.ravel(), across.ravel()]),
            region.fields.ravel() + pull[region.n_border :],
        )
        assert float(value) == pytest.approx(strip(lattice, 0.4).log_z, rel=0, abs=PRECISION)


@pytest.mark.parametrize("shape", [*SMALL, (3, 7), (7, 3), (6, 5), (7, 7), (9, 8)])
@pytest.mark.parametrize("border", ["own", "absent"])
def test_kernel_and_torch_draw_the_same_spins(shape, border, precision):
    group, n_sites = copies(random_region(shape, border=border), n_blocks=3)
    leaves, uniforms = Leaves(group, 0.4), torch.from_numpy(np.random.default_rng(5).random((11, n_sites)))
    assert is_float32(leaves) == (precision == PRECISION)
    first = random_spins((11, n_sites))
    second = first.clone()
    log_z = leaves.draw(first, uniforms)
    np.testing.assert_allclose(log_z, leaves.by_torch(second, uniforms), rtol=0, atol=precision)
    assert torch.equal(first, second)
    assert torch.equal(leaves.log_z(first), log_z)


@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0])
def test_long_strips_of_ferromagnets_antiferromagnets_and_glasses(sign, precision):
    bonds = sign or np.random.default_rng(1).choice([-1.0, 1.0], size=2 * 32**2)
    group = partition(region_of(LatticeEnergy(Lattice((32, 32)), bonds)), 7).leaves[0]
    leaves, first = Leaves(group, 0.4406868), random_spins((9, 32**2))
    assert leaves.inside.shape[1:] == (15, 7)
    assert is_float32(leaves) == (precision == PRECISION)
    assert not is_float32(leaves) or leaves._weights[1].sum() < 15
    uniforms, second = torch.from_numpy(np.random.default_rng(5).random((9, 32**2))), first.clone()
    log_z = leaves.draw(first, uniforms)
    np.testing.assert_allclose(log_z, leaves.by_torch(second, uniforms), rtol=0, atol=precision)
    assert torch.equal(first, second)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (7, 7), (7, 15)])
def test_without_field_log_z_is_the_same_for_the_opposite_border(shape, precision):
    region = random_region(shape)
    group, n_sites = copies(dataclasses.replace(region, fields=np.zeros(shape)), n_blocks=3)
    leaves, spins = Leaves(group, 0.3), random_spins((20, n_sites))
    assert is_float32(leaves) == (precision == PRECISION)
    assert torch.equal(leaves.log_z(spins), leaves.log_z(-spins))


def test_rounding_to_float32_leaves_no_error_in_common():
    weights = np.exp(-np.array([[0.88, 0.0, 3.0, 40.0]] * 50))
    rounded = to_float32(weights)
    error = rounded / weights - 1
    assert rounded.dtype == np.float32
    assert np.abs(error).max() < 2**-23
    assert abs(error.sum()) < 2**-23
    assert abs((weights.astype(np.float32) / weights - 1).sum()) > 2**-21
    np.testing.assert_array_equal(rounded[:, 1], 1.0)


def test_couplings_at_the_limit_of_float32_are_summed_right():
    for shape in [(3, 3), (5, 2), (7, 15)]:
        region = random_region(shape, seed=4)
        group = Group(region, np.arange(region.n_sites)[None], None)
        leaves = [Leaves(group, beta) for beta in np.geomspace(0.1, 8.0, 300)]
        assert not is_float32(leaves[-1])
        leaves, first = [each for each in leaves if is_float32(each)][-1], random_spins((40, region.n_sites))
        uniforms, second = torch.from_numpy(np.random.default_rng(5).random(tuple(first.shape))), first.clone()
        log_z = leaves.draw(first, uniforms)
        np.testing.assert_allclose(log_z, leaves.by_torch(second, uniforms), rtol=0, atol=PRECISION)
        assert torch.equal(first, second)


@pytest.mark.parametrize("u", [1e-12, 1 - 1e-12])
def test_improbable_spins_keep_their_probability(u):
    """A spin of probability near 1e−12 in float32 comes up at the same number as in float64."""
    region = Region((False, False), (np.array([-1]), np.array([-1])), (np.array([-1]), np.array([-1])),
                    (np.zeros((2, 1)), np.zeros((1, 2))), np.zeros((1, 1)))  # fmt: skip
    for factor in (0.999, 1.001):
        odds = u * factor / (1 - u * factor) if u < 0.5 else u / ((1 - u) * factor)
        fields = np.full((1, 1), 0.5 * math.log(odds))
        leaves = Leaves(Group(dataclasses.replace(region, fields=fields), np.array([[0]]), None), 1.0)
        assert is_float32(leaves)
        spins = random_spins((1, 1))
        leaves.draw(spins, torch.full((1, 1), u, dtype=torch.float64))
        assert int(spins) == (1 if (factor > 1) == (u < 0.5) else -1)


def test_a_draw_writes_the_insides_and_nothing_else():
    group, n_sites = copies(random_region((3, 2)), n_blocks=3)
    spins = torch.full((5, n_sites), 7, dtype=torch.int8)
    spins[:, group.border.ravel()] = random_spins((5, group.border.size))
    before = spins.clone()
    Leaves(group, 0.7).draw(spins, torch.from_numpy(np.random.default_rng(1).random((5, n_sites))))
    inside = np.zeros(n_sites, dtype=bool)
    inside[group.line.ravel()] = True
    assert torch.equal(spins[:, ~inside], before[:, ~inside])
    assert set(spins[:, inside].unique().tolist()) == {-1, 1}


@pytest.mark.parametrize("n", [1, 7, 8, 9, 17])
def test_a_leaf_does_not_depend_on_its_place_in_the_batch(n, precision):
    group, n_sites = copies(random_region((3, 4)), n_blocks=1)
    leaves, uniforms = Leaves(group, 0.7), torch.from_numpy(np.random.default_rng(5).random((17, n_sites)))
    whole = random_spins((17, n_sites))
    part, alone = whole[17 - n :].clone(), whole[:1].clone()
    log_z = leaves.draw(whole, uniforms)
    assert torch.equal(leaves.draw(part, uniforms[17 - n :].contiguous()), log_z[17 - n :])
    assert torch.equal(part, whole[17 - n :])
    assert torch.equal(leaves.draw(alone, uniforms[:1].contiguous()), log_z[:1])


def test_leaves_do_not_depend_on_the_number_of_threads(set_threads):
    group, n_sites = copies(random_region((4, 3)), n_blocks=5)
    leaves, uniforms = Leaves(group, 0.7), torch.from_numpy(np.random.default_rng(5).random((23, n_sites)))
    results = []
    for number in (1, 2):
        set_threads(number)
        spins = random_spins((23, n_sites))
        results.append((leaves.draw(spins, uniforms), spins))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2)])
def test_draws_follow_the_exact_conditional_and_not_that_of_another_beta(shape, precision):
    region, n = random_region(shape), 40_000
    group = Group(region, np.arange(region.n_sites)[None], None)
    border = random_spins((1, region.n_sites), seed=3)
    spins = border.repeat(n, 1)
    Leaves(group, 0.44).draw(spins, torch.from_numpy(np.random.default_rng(9).random((n, region.n_sites))))
    state = (spins.numpy()[:, region.n_border :] > 0) @ (2 ** np.arange(region.fields.size))
    energy = energies_inside(region, border.numpy()[0, : region.n_border])
    counts = np.bincount(state, minlength=len(energy))
    for beta, right in ((0.44, True), (0.44 * 1.03, False)):
        p = np.exp(-beta * energy - np.logaddexp.reduce(-beta * energy))
        variance = p @ energy**2 - (p @ energy) ** 2
        z = (energy[state].mean() - p @ energy) / math.sqrt(variance / n)
        assert (abs(z) < 5) == right
        common = p * n > 20
        assert np.max(np.abs(counts - n * p)[common] / np.sqrt(n * p * (1 - p))[common]) < 5 or not right
        chi2 = ((counts - n * p)[common] ** 2 / (n * p)[common]).sum()
        assert chi2 < common.sum() + 5 * math.sqrt(2 * common.sum()) or not right


@pytest.mark.parametrize("u", [0.0, 1 - 2**-53])
def test_uniforms_at_the_ends_draw_possible_states(u):
    parts = partition(region_of(LatticeEnergy(Lattice((8, 8)))), 3)
    for beta in (0.0, 0.44, 30.0):
        leaves = Leaves(parts.leaves[0], beta)
        first, uniforms = random_spins((9, 64)), torch.full((9, 64), u, dtype=torch.float64)
        second = first.clone()
        leaves.draw(first, uniforms)
        leaves.by_torch(second, uniforms)
        assert torch.equal(first, second)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 5), (5, 2)])
def test_the_strongest_couplings_allowed_are_summed_right(shape):
    region = random_region(shape, seed=4)
    group = Group(region, np.arange(region.n_sites)[None], None)
    high = 1.0
    while True:
        try:
            Leaves(group, high)
        except ValueError:
            break
        high *= 1.02
    leaves, spins = Leaves(group, high / 1.02), random_spins((40, region.n_sites))
    np.testing.assert_allclose(leaves.log_z(spins), leaves.by_torch(spins.clone(), None), rtol=1e-12)
    uniforms = torch.from_numpy(np.random.default_rng(5).random(tuple(spins.shape)))
    twin = spins.clone()
    leaves.draw(spins, uniforms)
    leaves.by_torch(twin, uniforms)
    assert torch.equal(spins, twin)


def test_stronger_couplings_are_refused():
    parts = partition(region_of(LatticeEnergy(Lattice((8, 8)))), 7)
    with pytest.raises(ValueError, match=r"nats on one row of a leaf.*choose a smaller leaf"):
        Leaves(parts.leaves[0], 100.0)

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from nmcmc.energies.pairwise import PairwiseEnergy


def random_system(seed, n_spins=7, n_edges=15):
    rng = np.random.default_rng(seed)
    edges = np.array([rng.choice(n_spins, 2, replace=False) for _ in range(n_edges)])
    energy = PairwiseEnergy(n_spins, edges, rng.normal(size=n_edges), rng.normal(size=n_spins), offset=rng.normal())
    return energy, rng.choice(np.array([-1, 1], dtype=np.int8), size=(9, n_spins))


def plain_sum(energy, spins):
    """H term by term, as written in the class's docstring."""
    return np.array(
        [
            energy.offset
            - sum(j * int(s[a]) * int(s[b]) for (a, b), j in zip(energy.edges, energy.couplings, strict=True))
            - sum(h * int(x) for h, x in zip(energy.fields, s, strict=True))
            for s in spins
        ]
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_energy_is_the_sum_of_its_terms(seed):
    energy, spins = random_system(seed)
    np.testing.assert_allclose(energy(spins), plain_sum(energy, spins), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("coupling", [1.0, -0.3, 0.0])
def test_energy_of_one_coupling_is_the_sum_of_its_terms(coupling):
    other, spins = random_system(3)
    energy = PairwiseEnergy(other.n_spins, other.edges, coupling, offset=0.7)
    np.testing.assert_allclose(energy(spins), plain_sum(energy, spins), rtol=1e-13, atol=1e-13)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_flipping_a_spin_costs_twice_its_local_field(seed):
    energy, spins = random_system(seed)
    local = energy.local_fields(spins)
    for site in range(energy.n_spins):
        flipped = spins.copy()
        flipped[:, site] *= -1
        cost = 2 * spins[:, site] * local[:, site]
        np.testing.assert_allclose(energy(flipped) - energy(spins), cost, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float32, torch.float64])
def test_tensors_give_the_same_energy_as_arrays(dtype):
    energy, spins = random_system(1)
    result = energy(torch.from_numpy(spins).to(dtype))
    assert result.dtype == torch.float64
    np.testing.assert_allclose(result.numpy(), energy(spins), rtol=1e-13, atol=1e-13)


def test_energy_of_tensor_is_differentiable():
    energy, spins = random_system(2)
    s = torch.from_numpy(spins).to(torch.float64).requires_grad_()
    energy(s).sum().backward()
    np.testing.assert_allclose(-s.grad.numpy(), energy.local_fields(spins), rtol=1e-12, atol=1e-12)


def test_repeated_edge_counts_as_often_as_listed():
    once, twice = PairwiseEnergy(2, [(0, 1)], 2.0), PairwiseEnergy(2, [(0, 1), (1, 0)], 1.0)
    spins = np.array([[1, 1], [1, -1]], dtype=np.int8)
    np.testing.assert_array_equal(once(spins), twice(spins))
    np.testing.assert_array_equal(once.local_fields(spins), twice.local_fields(spins))


def test_no_edges_and_one_spin():
    energy = PairwiseEnergy(1, [], fields=0.5, offset=1.0)
    np.testing.assert_array_equal(energy(np.array([[1], [-1]], dtype=np.int8)), [0.5, 1.5])
    assert energy.has_field
    assert not PairwiseEnergy(1, []).has_field


def test_adjacency_lists_every_edge_from_both_ends():
    energy = PairwiseEnergy(4, [(0, 1), (2, 0), (3, 2)], [1.0, 2.0, 3.0])
    start, neighbour, coupling = energy.adjacency()
    rows = {i: sorted(zip(neighbour[a:b], coupling[a:b], strict=True)) for i, (a, b) in enumerate(pairwise(start))}
    assert rows == {0: [(1, 1.0), (2, 2.0)], 1: [(0, 1.0)], 2: [(0, 2.0), (3, 3.0)], 3: [(2, 3.0)]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, []), "n_spins is 0; a system has at least one spin"),
        ((3, [(0, 3)]), r"an edge names site 3 or 0; sites are 0 … 2"),
        ((3, [(-1, 2)]), r"site 2 or -1"),
        ((3, [(0, 1), (2, 2)]), "edge 1 joins site 2 to itself"),
        ((3, [(0, 1)], [1.0, 2.0]), r"couplings have shape \(2,\); give one number or one per edge, \(1,\)"),
        ((3, [(0, 1)], np.nan), "couplings contain a number that is not finite"),
        ((3, [(0, 1)], 1.0, [1.0, 2.0]), r"fields have shape \(2,\); give one number or one per site, \(3,\)"),
        ((3, [(0, 1)], 1.0, np.inf), "fields contain a number that is not finite"),
        ((3, [(0, 1)], 1.0, 0.0, np.inf), "offset is inf"),
    ],
)
def test_bad_systems_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PairwiseEnergy(*arguments)


def test_bad_configurations_are_refused():
    energy = PairwiseEnergy(3, [(0, 1)])
    for spins in (np.ones((2, 4), dtype=np.int8), np.ones(3, dtype=np.int8), np.ones((2, 3))):
        with pytest.raises(ValueError, match=r"takes int8 configurations \(batch, 3\)"):
            energy(spins)
    with pytest.raises(ValueError, match=r"shape \(2, 4\); this energy takes \(batch, 3\)"):
        energy(torch.ones(2, 4))


def test_views_and_empty_batches():
    energy, spins = random_system(3)
    np.testing.assert_array_equal(energy(spins[::2]), energy(spins)[::2])
    assert energy(spins[:0]).shape == (0,)
    assert energy.local_fields(spins[:0]).shape == (0, 7)


def test_magnetization_is_the_mean_spin():
    energy = PairwiseEnergy(7, [(0, 1)])
    spins = np.random.default_rng(3).choice(np.array([-1, 1], dtype=np.int8), (50, 7))
    assert np.array_equal(energy.magnetization(spins), spins.astype(np.int64).sum(axis=1) / 7)

"""Fast paths equal the edge sum; systems are what their formulas say."""

import numpy as np
import pytest
import torch

from nmcmc.energies.mean_field import (
    CurieWeissEnergy,
    DenseEnergy,
    HopfieldEnergy,
    all_pairs,
    fastest,
    hopfield,
)
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states


def random_spins(n, batch=150, seed=1):
    return 2 * np.random.default_rng(seed).integers(0, 2, (batch, n), dtype=np.int8) - 1


def dense(n, seed=2):
    generator, pairs = np.random.default_rng(seed), all_pairs(n)
    return DenseEnergy(n, pairs, generator.normal(size=len(pairs)), generator.normal(size=n), 0.7)


ENERGIES = {
    "dense": lambda: dense(37),
    "curie-weiss": lambda: CurieWeissEnergy(37, 0.8, -0.3, 0.5),
    "hopfield": lambda: hopfield(37, 5, seed=1),
    "one spin": lambda: CurieWeissEnergy(1, 1.0, 0.3),
}


@pytest.fixture(params=ENERGIES)
def energy(request):
    return ENERGIES[request.param]()


def test_the_fast_path_is_the_edge_sum(energy):
    spins = random_spins(energy.n_spins)
    plain = PairwiseEnergy(energy.n_spins, energy.edges, energy.couplings, energy.fields, energy.offset)
    np.testing.assert_allclose(energy(spins), plain(spins), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(energy.local_fields(spins), plain.local_fields(spins), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(energy(torch.from_numpy(spins)), plain(spins), rtol=1e-12, atol=1e-12)


def test_an_energy_does_not_depend_on_the_batch(energy):
    spins = random_spins(energy.n_spins)
    together = energy(spins)
    assert all(energy(spins[k : k + 1])[0] == together[k] for k in range(0, 150, 7))


def test_the_matrix_adds_up_repeated_edges():
    energy = PairwiseEnergy(3, [(0, 1), (1, 0), (1, 2)], [1.0, 0.5, -2.0])
    assert energy.coupling_matrix.tolist() == [[0, 1.5, 0], [1.5, 0, -2.0], [0, -2.0, 0]]


def test_curie_weiss_is_its_formula():
    spins = all_states(6)
    m = spins.sum(axis=1)
    np.testing.assert_allclose(CurieWeissEnergy(6, 1.3, 0.4)(spins), -0.4 * m - 1.3 * (m**2 - 6) / 12, rtol=1e-14)


def test_stored_patterns_are_deep_and_overlap_with_themselves():
    energy = hopfield(200, 3, seed=4)
    assert np.array_equal(np.diag(energy.overlaps(energy.patterns)), np.ones(3))
    assert energy(energy.patterns).max() < energy(random_spins(200)).min()
    squares = np.sum(energy.overlaps(random_spins(200)) ** 2, axis=1)
    np.testing.assert_allclose(energy(random_spins(200)), -100 * squares + 1.5, rtol=1e-12, atol=1e-13)


def test_one_seed_is_one_system():
    assert np.array_equal(hopfield(20, 2, seed=1).patterns, hopfield(20, 2, seed=1).patterns)
    assert not np.array_equal(hopfield(20, 2, seed=1).patterns, hopfield(20, 2, seed=2).patterns)


@pytest.mark.parametrize("patterns", [np.ones(4), np.ones((0, 4)), np.array([[1, 0, 1]])])
def test_patterns_of_another_kind_are_refused(patterns):
    with pytest.raises(ValueError, match="patterns have shape"):
        HopfieldEnergy(patterns.astype(np.int8))


@pytest.mark.parametrize("numbers", [(0, 1), (3, 0)])
def test_an_empty_hopfield_system_is_refused(numbers):
    with pytest.raises(ValueError, match="give at least one of each"):
        hopfield(*numbers, seed=1)


def test_curie_weiss_without_spins_is_refused():
    with pytest.raises(ValueError, match="n_spins is 0"):
        CurieWeissEnergy(0)


@pytest.mark.parametrize(
    ("energy", "kind"),
    [
        (CurieWeissEnergy(7, 0.3, 0.1, 2.0), CurieWeissEnergy),
        (dense(7), DenseEnergy),
        (PairwiseEnergy(7, all_pairs(7)[::-1], 1.0), DenseEnergy),
        (PairwiseEnergy(9, [(0, 1), (3, 2)], [1.0, 2.0], 0.3), PairwiseEnergy),
        (PairwiseEnergy(1, [], fields=0.3), PairwiseEnergy),
    ],
)
def test_arrays_find_their_fastest_class_and_stay_the_same(energy, kind):
    found = fastest(energy.n_spins, energy.edges, energy.couplings, energy.fields, energy.offset)
    assert type(found) is kind
    for name in ("edges", "couplings", "fields", "offset"):
        assert np.array_equal(getattr(found, name), getattr(energy, name))
    spins = random_spins(energy.n_spins)
    np.testing.assert_allclose(found(spins), energy(spins), rtol=1e-13, atol=1e-13)

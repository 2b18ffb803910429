import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy

BOUNDARY = st.sampled_from(["periodic", "open"])


@st.composite
def lattices(draw):
    extents = tuple(draw(st.lists(st.integers(2, 6), min_size=1, max_size=3)))
    return Lattice(extents, tuple(draw(BOUNDARY) for _ in extents))


def random_spins(n_spins, seed=0, batch=7):
    return np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.int8), size=(batch, n_spins))


def edge_sum(energy, spins):
    return PairwiseEnergy(energy.n_spins, energy.edges, energy.couplings, energy.fields, energy.offset)(spins)


@settings(max_examples=60, deadline=None)
@given(lattice=lattices(), coupling=st.integers(-3, 3), field=st.integers(-3, 3), seed=st.integers(0, 99))
def test_fast_path_equals_edge_sum_bit_for_bit_for_integers(lattice, coupling, field, seed):
    energy, spins = LatticeEnergy(lattice, coupling, field), random_spins(lattice.n_spins, seed)
    assert energy.is_uniform
    np.testing.assert_array_equal(energy(spins), edge_sum(energy, spins))


@settings(max_examples=40, deadline=None)
@given(lattice=lattices(), seed=st.integers(0, 99))
def test_fast_path_equals_edge_sum_for_any_uniform_couplings(lattice, seed):
    rng = np.random.default_rng(seed)
    energy = LatticeEnergy(lattice, rng.normal(size=len(lattice.extents)), float(rng.normal()))
    spins = random_spins(lattice.n_spins, seed)
    scale = np.abs(energy.couplings).sum() + np.abs(energy.fields).sum()
    np.testing.assert_allclose(energy(spins), edge_sum(energy, spins), rtol=0, atol=1e-12 * scale)


@settings(max_examples=30, deadline=None)
@given(lattice=lattices(), seed=st.integers(0, 99))
def test_random_couplings_go_by_the_edge_sum(lattice, seed):
    rng = np.random.default_rng(seed)
    energy = LatticeEnergy(lattice, rng.normal(size=lattice.n_bonds), rng.normal(size=lattice.n_spins))
    spins = random_spins(lattice.n_spins, seed)
    np.testing.assert_array_equal(energy(spins), edge_sum(energy, spins))


@settings(max_examples=60, deadline=None)
@given(lattice=lattices())
def test_every_site_has_one_bond_forward_along_each_axis(lattice):
    expected = []
    for axis, (extent, periodic) in enumerate(zip(lattice.extents, lattice.periodic, strict=True)):
        for site in np.ndindex(lattice.extents):
            if site[axis] + 1 < extent or periodic:
                following = list(site)
                following[axis] = (site[axis] + 1) % extent
                expected.append([np.ravel_multi_index(place, lattice.extents) for place in (site, tuple(following))])
    np.testing.assert_array_equal(lattice.edges, expected)
    assert lattice.n_bonds == len(expected) == len(lattice.edge_axis)
    assert lattice.n_spins == np.prod(lattice.extents)


def test_periodic_extent_two_counts_each_bond_twice():
    spins = np.array([[1, 1], [1, -1]], dtype=np.int8)
    np.testing.assert_array_equal(LatticeEnergy(Lattice((2,)))(spins), [-2, 2])
    np.testing.assert_array_equal(LatticeEnergy(Lattice((2,), "open"))(spins), [-1, 1])
    aligned = np.ones((1, 8), dtype=np.int8)
    assert LatticeEnergy(Lattice((2, 2, 2)))(aligned) == -24
    assert LatticeEnergy(Lattice((2, 2, 2), ("open", "periodic", "open")))(aligned) == -16


def test_couplings_per_axis_and_field_enter_with_their_signs():
    energy = LatticeEnergy(Lattice((2, 3), "open"), (1.0, 10.0), 100.0)
    # Rows up, down: the three vertical bonds are broken, the four horizontal ones satisfied.
    spins = np.array([[1, 1, 1, -1, -1, -1]], dtype=np.int8)
    assert energy(spins) == 3 - 40
    assert energy(np.abs(spins)) == -3 - 40 - 600
    np.testing.assert_array_equal(energy.axis_couplings, [1.0, 10.0])


def test_one_changed_bond_or_field_ends_uniformity():
    lattice = Lattice((3, 3))
    couplings, fields = np.ones(lattice.n_bonds), np.zeros(9)
    couplings[-1], fields[0] = 2.0, 1.0
    assert LatticeEnergy(lattice, couplings).axis_couplings is None
    assert not LatticeEnergy(lattice, couplings).is_uniform
    assert not LatticeEnergy(lattice, 1.0, fields).is_uniform
    assert LatticeEnergy(lattice, (1.0, 2.0)).is_uniform


def test_energy_of_a_configuration_does_not_depend_on_the_batch():
    energy = LatticeEnergy(Lattice((5, 4, 3)), (0.1, 0.2, 0.3), 0.7)
    spins = random_spins(60, batch=33)
    np.testing.assert_array_equal(energy(spins), np.concatenate([energy(row[None]) for row in spins]))


def test_energy_does_not_depend_on_the_number_of_threads():
    energy, spins = LatticeEnergy(Lattice((6, 5)), (0.3, 0.4), 0.1), random_spins(30, batch=101)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append((energy(spins), energy.local_fields(spins)))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_lattice_offset_is_added():
    energy = LatticeEnergy(Lattice((3,), "open"))
    energy.offset = 2.5
    assert energy(np.ones((1, 3), dtype=np.int8)) == 0.5


def test_lattice_prints_its_extents():
    assert str(Lattice((4, 6, 2))) == "4x6x2"
    assert Lattice((4, 6)) == Lattice((4, 6), ("periodic", "periodic"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1, 4),), r"extents are \(1, 4\); give one to three integers ≥ 2"),
        (((),), "one to three integers"),
        (((2, 2, 2, 2),), "one to three integers"),
        (((2.5, 4),), "one to three integers"),
        (((4, 4), "twisted"), "boundary is 'twisted'; it must be 'periodic' or 'open'"),
        (((4, 4), ("open",)), "1 boundaries for 2 axes; give one, or one per axis"),
    ],
)
def test_bad_lattices_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Lattice(*arguments)


def test_wrong_number_of_couplings_is_refused():
    with pytest.raises(ValueError, match=r"couplings have shape \(3,\).*one per edge, \(32,\)"):
        LatticeEnergy(Lattice((4, 4)), (1.0, 2.0, 3.0))

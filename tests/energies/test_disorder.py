"""Random systems: a function of the seed, with the moments and degrees that they should have."""

import math

import numpy as np
import pytest

from nmcmc.energies.disorder import edwards_anderson, random_couplings, random_regular, sherrington_kirkpatrick
from nmcmc.energies.lattice import Lattice

BUILDERS = {
    "sk": lambda seed: sherrington_kirkpatrick(12, seed),
    "ea": lambda seed: edwards_anderson(Lattice((4, 5)), seed, "binary"),
    "regular": lambda seed: random_regular(12, 3, seed),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_one_seed_is_one_system(build):
    assert np.array_equal(build(1).couplings, build(1).couplings)
    assert not np.array_equal(build(1).couplings, build(2).couplings)


def test_sk_couplings_have_variance_one_over_n():
    j = sherrington_kirkpatrick(200, 1).couplings * math.sqrt(200)
    assert len(j) == 200 * 199 // 2
    assert abs(j.mean()) < 5 / math.sqrt(len(j))
    assert abs(j.var() - 1) < 5 * math.sqrt(2 / len(j))
    assert abs(1.03**2 * j.var() - 1) > 5 * math.sqrt(2 / len(j)) / 1.5  # its twin: couplings 3 % too large


def test_bonds_are_plus_or_minus_one():
    couplings = random_couplings(10_000, 3, "binary")
    assert set(couplings) == {-1.0, 1.0}
    assert abs(couplings.mean()) < 0.05


def test_another_kind_of_disorder_is_refused():
    with pytest.raises(ValueError, match="disorder is 'uniform'; it must be"):
        edwards_anderson(Lattice((4, 4)), 1, "uniform")


@pytest.mark.parametrize(("n", "degree"), [(8, 7), (9, 6), (10, 1), (20, 3), (50, 4), (300, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_a_regular_graph_is_regular_and_simple(n, degree, seed):
    edges = random_regular(n, degree, seed).edges
    assert np.array_equal(np.bincount(edges.ravel(), minlength=n), np.full(n, degree))
    assert len(np.unique(edges, axis=0)) == len(edges) == n * degree // 2
    assert np.all(edges[:, 0] < edges[:, 1])


@pytest.mark.parametrize(("n", "degree"), [(5, 3), (4, 4), (4, 0)])
def test_an_impossible_degree_is_refused(n, degree):
    with pytest.raises(ValueError, match=f"degree {degree} of {n} spins is impossible"):
        random_regular(n, degree, 1)


def test_one_spin_is_no_glass():
    with pytest.raises(ValueError, match="n_spins is 1; give at least two"):
        sherrington_kirkpatrick(1, 1)

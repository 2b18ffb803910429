"""Cylinders with fields on their ends against enumeration and elimination, and what free fermions cannot sum."""

import math

import numpy as np
import pytest

from nmcmc.energies.boltzmann import BETA_CRITICAL
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.cylinder import Cylinder, log_z_of_rows
from nmcmc.exact.elimination import log_z_given
from nmcmc.exact.enumeration import enumerate_system
from nmcmc.exact.kaufman import torus
from nmcmc.exact.parts import checkerboard, first_half

RNG = np.random.default_rng(1)
PERIODIC = ("open", "periodic")


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (3, 4), (4, 4), (2, 7), (5, 2)])
@pytest.mark.parametrize("bonds", [(0.4, 0.5), (-0.3, 0.2), (0.0, 0.6), (1.1, 0.05)])
def test_fields_of_any_strength_on_both_ends(rows, columns, bonds):
    lattice, cylinder = Lattice((rows, columns), PERIODIC), Cylinder(rows, columns, *bonds)
    assert cylinder.log_z == pytest.approx(enumerate_system(LatticeEnergy(lattice, bonds), 1.0).log_z, rel=1e-12)
    first, last = RNG.normal(size=(2, 3, columns))
    found = cylinder.log_z_in_fields(first, last)
    for k in range(3):
        field = np.zeros((rows, columns))
        field[0], field[-1] = first[k], last[k]
        expected = enumerate_system(LatticeEnergy(lattice, bonds, field.ravel()), 1.0).log_z
        assert found[k] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("extents", "boundary", "coupling"),
    [
        ((4, 4), "periodic", 1.0),
        ((5, 3), "periodic", (-0.7, 1.0)),
        ((5, 4), PERIODIC, 1.0),
        ((2, 3), "periodic", 1.0),
        ((3, 6), "periodic", 1.3),
        ((12, 10), "periodic", 1.0),
    ],
)
@pytest.mark.parametrize("beta", [0.2, BETA_CRITICAL, 0.7])
def test_rows_are_those_of_the_elimination(extents, boundary, coupling, beta):
    energy = LatticeEnergy(Lattice(extents, boundary), coupling)
    half = first_half(energy.lattice)
    middle = ~(np.arange(energy.n_spins) // extents[1] == extents[0] // 2)
    spins = RNG.choice([-1, 1], (5, energy.n_spins)).astype(np.int8)
    for given in (half, ~half, middle):
        expected = log_z_given(energy, beta, spins, given)
        np.testing.assert_allclose(log_z_of_rows(energy, beta, spins, given), expected, rtol=1e-10)
        assert not np.allclose(log_z_of_rows(energy, 1.03 * beta, spins, given), expected, rtol=1e-6)


def test_wide_cylinders_without_field_and_without_bonds_between_rows():
    wide = Cylinder(20, 40, BETA_CRITICAL, BETA_CRITICAL)
    zero = np.zeros((1, 40))
    assert wide.log_z_in_fields(zero, zero)[0] == pytest.approx(wide.log_z, rel=1e-12)
    chains = Cylinder(20, 40, 0.0, BETA_CRITICAL)
    ring = 40 * math.log(2 * math.cosh(BETA_CRITICAL)) + math.log1p(math.tanh(BETA_CRITICAL) ** 40)
    assert chains.log_z == pytest.approx(20 * ring, rel=1e-12)


def test_one_row_more_is_a_sum_over_a_row():
    """A torus is a cylinder closed by one row: Σ over that row of exp(−βH_a) Z(a) is Kaufman's Z."""
    energy = LatticeEnergy(Lattice((14, 8)))
    given = np.arange(112) < 8
    rows = np.ones((256, 112), dtype=np.int8)
    rows[:, :8] = 2 * ((np.arange(256)[:, None] >> np.arange(8)) & 1) - 1
    log_z = log_z_of_rows(energy, BETA_CRITICAL, rows, given)
    assert np.logaddexp.reduce(log_z) == pytest.approx(torus((14, 8), BETA_CRITICAL).log_z, rel=1e-12)


def test_ends_that_contradict_each_other_are_an_error():
    cylinder = Cylinder(12, 20, 0.7, 0.7)
    with pytest.raises(FloatingPointError, match="contradict each other"):
        cylinder.log_z_in_fields(np.full((1, 20), 20.0), np.full((1, 20), -20.0))
    assert np.isfinite(cylinder.log_z_in_fields(np.full((1, 20), 20.0), np.full((1, 20), 20.0)))


@pytest.mark.parametrize(
    ("energy", "beta", "given", "message"),
    [
        (LatticeEnergy(Lattice((4, 4)), field=0.1), 0.4, "half", "no field"),
        (LatticeEnergy(Lattice((4, 4), "open")), 0.4, "half", "axis 1 periodic"),
        (LatticeEnergy(Lattice((4, 4)), -1.0), 0.4, "half", "J > 0"),
        (LatticeEnergy(Lattice((4, 4)), RNG.normal(size=32)), 0.4, "half", "uniform along each axis"),
        (LatticeEnergy(Lattice((2, 4, 4))), 0.4, "half", "two-dimensional"),
        (LatticeEnergy(Lattice((4, 4))), 0.4, "checkerboard", "successive rows"),
        (LatticeEnergy(Lattice((40, 4))), 2.0, "half", "too large for free fermions"),
    ],
)
def test_what_is_no_cylinder_is_refused(energy, beta, given, message):
    mask = {"half": first_half, "checkerboard": checkerboard}[given](energy.lattice)
    with pytest.raises(ValueError, match=message):
        log_z_of_rows(energy, beta, np.ones((1, energy.n_spins), np.int8), mask)

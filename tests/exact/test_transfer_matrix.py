import math

import numpy as np
import pytest

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import enumerate_system
from nmcmc.exact.kaufman import torus
from nmcmc.exact.transfer_matrix import cost, strip

BOUNDARIES = [(a, b) for a in ("open", "periodic") for b in ("open", "periodic")]


def random_energy(lattice, seed=5):
    rng = np.random.default_rng(seed)
    energy = LatticeEnergy(lattice, rng.normal(size=lattice.n_bonds), rng.normal(size=lattice.n_spins))
    energy.offset = 0.7
    return energy


def assert_equal_to_enumeration(lattice, beta):
    energy = random_energy(lattice)
    exact, result = enumerate_system(energy, beta), strip(energy, beta)
    for name in ("log_z", "energy", "energy_variance", "magnetization", "m2", "m4"):
        assert getattr(result, name) == pytest.approx(getattr(exact, name), rel=1e-10, abs=1e-13), name


@pytest.mark.parametrize("beta", [0.0, 0.4, 5.0])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("extents", [(2, 2), (2, 3), (3, 3), (4, 3), (3, 4), (8, 2), (4, 5)])
def test_strip_equals_enumeration(extents, boundary, beta):
    assert_equal_to_enumeration(Lattice(extents, boundary), beta)


@pytest.mark.parametrize("boundary", ["open", "periodic"])
@pytest.mark.parametrize("length", [2, 3, 13])
def test_chain_equals_enumeration(length, boundary):
    assert_equal_to_enumeration(Lattice((length,), boundary), 0.8)


def test_long_chain_in_closed_form():
    beta, n = 1.2, 5000
    result = strip(LatticeEnergy(Lattice((n,))), beta)
    assert result.log_z == pytest.approx(n * math.log(2 * math.cosh(beta)), rel=1e-12)
    assert result.energy_per_spin == pytest.approx(-math.tanh(beta), rel=1e-12)
    assert result.m2 * n == pytest.approx(math.exp(2 * beta), rel=1e-10)


@pytest.mark.parametrize(("extents", "coupling"), [((6, 6), 1.0), ((5, 7), (0.3, 1.1)), ((12, 4), 1.0)])
def test_strip_equals_kaufman(extents, coupling):
    result, exact = strip(LatticeEnergy(Lattice(extents), coupling), 0.44), torus(extents, 0.44, coupling)
    assert result.log_z == pytest.approx(exact.log_z, rel=1e-12)
    assert result.energy == pytest.approx(exact.energy, rel=1e-12)
    assert result.energy_variance == pytest.approx(exact.energy_variance, rel=1e-10)


def test_transposed_lattice_has_the_same_values():
    rng = np.random.default_rng(2)
    fields = rng.normal(size=(4, 9))
    one = strip(LatticeEnergy(Lattice((4, 9), ("periodic", "open")), (0.5, 1.5), fields.ravel()), 0.6)
    other = strip(LatticeEnergy(Lattice((9, 4), ("open", "periodic")), (1.5, 0.5), fields.T.ravel()), 0.6)
    assert one.log_z == pytest.approx(other.log_z, rel=1e-13)
    assert one.m4 == pytest.approx(other.m4, rel=1e-10)


def test_widest_open_strip():
    result = strip(LatticeEnergy(Lattice((16, 17), "open"), (0.0, 1.0)), 0.7)
    assert result.log_z == pytest.approx(16 * (17 * math.log(2) + 16 * math.log(math.cosh(0.7))), rel=1e-12)


def test_strong_couplings_and_fields_do_not_overflow():
    lattice = Lattice((4, 4), "open")
    rng = np.random.default_rng(1)
    energy = LatticeEnergy(lattice, 300 * rng.normal(size=lattice.n_bonds), 300 * rng.normal(size=16))
    assert strip(energy, 20.0).log_z == pytest.approx(enumerate_system(energy, 20.0).log_z, rel=1e-13)


def test_out_of_reach_is_refused():
    for lattice in (Lattice((17, 17), "open"), Lattice((9, 9)), Lattice((17, 32), ("open", "periodic"))):
        with pytest.raises(ValueError, match=r"out of reach.*16 sites, or 8"):
            strip(LatticeEnergy(lattice), 0.4)
        assert cost(lattice) == math.inf
    with pytest.raises(ValueError, match="three dimensions"):
        strip(LatticeEnergy(Lattice((2, 2, 2))), 0.4)
    with pytest.raises(ValueError, match="beta is inf"):
        strip(LatticeEnergy(Lattice((4,))), math.inf)
    assert cost(Lattice((2, 2, 2))) == math.inf

import numpy as np
import pytest

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import enumerate_system
from nmcmc.exact.kaufman import torus
from nmcmc.exact.known import NAMES, exact_values

THERMAL = {"log_z", "free_energy_per_spin", "energy_per_spin", "specific_heat", "entropy_per_spin"}


def test_small_systems_are_known_completely():
    energy = PairwiseEnergy(5, [(0, 1), (1, 2), (3, 4)], [1.0, -0.5, 2.0], fields=0.1)
    values = exact_values(energy, 0.7)
    assert set(values) == set(NAMES)
    assert values["susceptibility"] == enumerate_system(energy, 0.7).susceptibility


def test_narrow_lattices_by_transfer_matrix():
    values = exact_values(LatticeEnergy(Lattice((5, 8), ("open", "periodic")), 1.0, 0.2), 0.5)
    assert set(values) == THERMAL | {"magnetization", "m2", "m4", "binder"}


@pytest.mark.parametrize("coupling", [1.0, (0.5, 1.5), -1.0])
def test_wide_tori_by_kaufman(coupling):
    values = exact_values(LatticeEnergy(Lattice((16, 10)), coupling), 0.44)
    assert set(values) == THERMAL
    assert values["specific_heat"] == torus((16, 10), 0.44, coupling).specific_heat


def test_unknown_systems_give_nothing():
    wide = Lattice((20, 20))
    rng = np.random.default_rng(0)
    assert exact_values(LatticeEnergy(wide, 1.0, 0.1), 0.4) == {}
    assert exact_values(LatticeEnergy(wide, rng.normal(size=wide.n_bonds)), 0.4) == {}
    assert exact_values(LatticeEnergy(Lattice((20, 20), "open")), 0.4) == {}
    assert exact_values(LatticeEnergy(Lattice((19, 20)), -1.0), 0.4) == {}
    assert exact_values(LatticeEnergy(Lattice((4, 4, 4))), 0.4) == {}
    assert exact_values(PairwiseEnergy(30, [(0, 1)]), 0.4) == {}


def test_infinite_temperature_leaves_out_the_infinite_free_energy():
    values = exact_values(LatticeEnergy(Lattice((4, 4))), 0.0)
    assert set(values) == set(NAMES) - {"free_energy_per_spin"}


def test_bad_beta_is_refused():
    for extents in ((4, 4), (4, 16), (16, 16)):
        with pytest.raises(ValueError, match="beta is -1"):
            exact_values(LatticeEnergy(Lattice(extents)), -1.0)

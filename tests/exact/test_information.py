"""Exact mutual information and relative entropies against each other and against known limits."""

import math

import numpy as np
import pytest

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact import information
from nmcmc.exact.enumeration import enumerate_system, probabilities
from nmcmc.exact.parts import checkerboard, first_half

RNG = np.random.default_rng(1)
STRIPS = {
    "torus": LatticeEnergy(Lattice((4, 4))),
    "torus in a field": LatticeEnergy(Lattice((4, 4)), (1.0, 0.5), 0.2),
    "open": LatticeEnergy(Lattice((5, 3), "open"), RNG.normal(size=22), RNG.normal(size=15)),
    "mixed": LatticeEnergy(Lattice((6, 3), ("periodic", "open")), field=RNG.normal(size=18)),
    "ladder": LatticeEnergy(Lattice((7, 2))),
}


@pytest.mark.parametrize("name", STRIPS)
@pytest.mark.parametrize("beta", [0.0, 0.4, 2.0])
def test_transfer_matrices_and_enumeration_agree_on_halves(name, beta):
    energy = STRIPS[name]
    expected = information.mutual_information(energy, beta, first_half(energy.lattice))
    assert information.halves(energy, beta) == pytest.approx(expected, abs=1e-10)


def test_mutual_information_is_zero_when_hot_and_ln_2_when_cold():
    energy = STRIPS["torus"]
    for given in (first_half(energy.lattice), checkerboard(energy.lattice)):
        assert information.mutual_information(energy, 0.0, given) == pytest.approx(0, abs=1e-12)
        assert information.mutual_information(energy, 10.0, given) == pytest.approx(math.log(2), abs=1e-6)


def test_long_strips_do_not_overflow_and_obey_the_area_law():
    """Far apart from criticality I of halves depends on the cuts only, not on the length."""
    values = [information.halves(LatticeEnergy(Lattice((length, 4))), 0.3) for length in (40, 80)]
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    assert math.isfinite(information.halves(LatticeEnergy(Lattice((60, 8))), 3.0))


def test_a_wide_or_short_lattice_is_refused():
    with pytest.raises(ValueError, match="at most 9"):
        information.halves(LatticeEnergy(Lattice((12, 12))), 0.4)


def test_divergence_of_temperatures_is_that_of_the_probabilities():
    energy, betas = STRIPS["torus in a field"], (0.4, 0.45)
    p, q = (probabilities(energy, beta) for beta in betas)
    first, second = (enumerate_system(energy, beta) for beta in betas)
    expected = float(p @ np.log(p / q))
    assert information.divergence(first.energy, first.log_z, second.log_z, betas) == pytest.approx(expected, abs=1e-12)
    everything = np.ones(16, dtype=bool)
    assert information.decimated_divergence(energy, betas, everything) == pytest.approx(expected, abs=1e-12)

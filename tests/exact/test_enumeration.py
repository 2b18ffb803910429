import math

import numpy as np
import pytest

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states, enumerate_system, probabilities


def random_energy(extents, boundary, seed=3):
    rng = np.random.default_rng(seed)
    lattice = Lattice(extents, boundary)
    return LatticeEnergy(lattice, rng.normal(size=lattice.n_bonds), rng.normal(size=lattice.n_spins))


def brute_force(energy, beta):
    """Everything again from the list of all states, in long double."""
    states = all_states(energy.n_spins)
    h = energy(states).astype(np.longdouble)
    weights = np.exp(-beta * (h - h.min()))
    p, m = weights / weights.sum(), states.mean(axis=1, dtype=np.longdouble)
    return {
        "log_z": np.log(weights.sum()) - beta * h.min(),
        "energy": p @ h,
        "energy_variance": p @ (h - p @ h) ** 2,
        "magnetization": p @ m,
        "abs_magnetization": p @ abs(m),
        "m2": p @ m**2,
        "m4": p @ m**4,
    }


@pytest.mark.parametrize("beta", [0.0, 0.3, 2.0])
@pytest.mark.parametrize(
    ("extents", "boundary"), [((3, 4), "periodic"), ((2, 2), "periodic"), ((13,), "open"), ((2, 7), "open")]
)
def test_enumeration_is_the_sum_over_all_states(extents, boundary, beta):
    energy = random_energy(extents, boundary)
    result = enumerate_system(energy, beta)
    for name, value in brute_force(energy, beta).items():
        assert getattr(result, name) == pytest.approx(float(value), rel=1e-12, abs=1e-12), name


def test_probabilities_follow_the_order_of_all_states():
    energy = random_energy((3, 3), "periodic")
    p = probabilities(energy, 0.7)
    log_z = enumerate_system(energy, 0.7).log_z
    np.testing.assert_allclose(p, np.exp(-0.7 * energy(all_states(9)) - log_z), rtol=1e-12)
    assert p.sum() == pytest.approx(1, rel=1e-14)


def test_all_states_in_the_documented_order():
    states = all_states(5)
    assert states.dtype == np.int8
    bits = (states > 0) @ (2 ** np.arange(5))
    np.testing.assert_array_equal(bits, np.arange(32))


def test_cold_system_keeps_digits_of_its_specific_heat():
    result = enumerate_system(LatticeEnergy(Lattice((4, 4))), 8.0)
    # Lowest excitation: one of 16 flipped spins costs 8; the states of energy 12 and more weigh e^-32 as much.
    expected = 64 * 16 * math.exp(-64)
    assert result.energy_variance == pytest.approx(expected, rel=1e-12)
    assert result.energy == -32
    assert result.entropy == pytest.approx(math.log(2), rel=1e-12)


def test_infinite_temperature_and_offset():
    result = enumerate_system(PairwiseEnergy(4, [(0, 1)], offset=2.5), 0.0)
    assert result.log_z == pytest.approx(4 * math.log(2), rel=1e-15)
    assert result.energy == pytest.approx(2.5, rel=1e-15)
    assert result.free_energy == -math.inf
    assert result.m2 == pytest.approx(1 / 4, rel=1e-15)
    shifted = enumerate_system(PairwiseEnergy(4, [(0, 1)], offset=2.5), 0.5)
    assert shifted.log_z == pytest.approx(4 * math.log(2) + math.log(math.cosh(0.5)) - 1.25, rel=1e-14)


def test_derived_quantities_by_their_definitions():
    beta, energy = 0.6, random_energy((2, 4), "periodic")
    result = enumerate_system(energy, beta)
    p = probabilities(energy, beta)
    assert result.entropy_per_spin == pytest.approx(-(p @ np.log(p)) / 8, rel=1e-12)
    assert result.free_energy_per_spin == pytest.approx(-result.log_z / (8 * beta), rel=1e-15)
    assert result.energy_squared == pytest.approx(p @ energy(all_states(8)) ** 2, rel=1e-12)
    assert result.energy_per_spin == pytest.approx(result.energy / 8, rel=1e-15)
    assert result.specific_heat == pytest.approx(beta**2 * result.energy_variance / 8, rel=1e-15)
    assert result.binder == pytest.approx(1 - result.m4 / (3 * result.m2**2), rel=1e-15)
    assert result.susceptibility == pytest.approx(beta * 8 * (result.m2 - result.abs_magnetization**2), rel=1e-15)


def test_largest_system_factorises():
    bonds = [(2 * k, 2 * k + 1) for k in range(12)]
    result = enumerate_system(PairwiseEnergy(24, bonds, 0.8), 1.1)
    assert result.log_z == pytest.approx(24 * math.log(2) + 12 * math.log(math.cosh(0.88)), rel=1e-13)
    assert result.energy == pytest.approx(-12 * 0.8 * math.tanh(0.88), rel=1e-13)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"25 spins.*limit is 24.*transfer_matrix"):
        enumerate_system(PairwiseEnergy(25, [(0, 1)]), 1.0)
    with pytest.raises(ValueError, match="beta is -1"):
        enumerate_system(PairwiseEnergy(2, [(0, 1)]), -1.0)
    with pytest.raises(ValueError, match=r"21 spins; give 1 to 20"):
        all_states(21)

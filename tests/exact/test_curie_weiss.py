import math

import numpy as np
import pytest

from nmcmc.energies.mean_field import CurieWeissEnergy
from nmcmc.exact.curie_weiss import log_binomials, sum_over_magnetization
from nmcmc.exact.enumeration import enumerate_system
from nmcmc.exact.known import NAMES, exact_values


@pytest.mark.parametrize("beta", [0.0, 0.7, 1.0, 2.0, 40.0])
@pytest.mark.parametrize(("coupling", "field"), [(1.0, 0.0), (1.2, 0.3), (-0.8, -0.1)])
def test_it_is_the_sum_over_all_states(beta, coupling, field):
    energy = CurieWeissEnergy(13, coupling, field, 0.25)
    ours, theirs = sum_over_magnetization(energy, beta), enumerate_system(energy, beta)
    for name in ("log_z", "energy", "energy_variance", "m2", "m4", "abs_magnetization"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-11, abs=1e-12), name


def test_large_systems_reach_the_saddle_point():
    n, beta = 100_000, 1.5
    m = 0.85855963
    free = 0.5 * m**2 - (math.log(2 * math.cosh(beta * m))) / beta
    energy = CurieWeissEnergy.__new__(CurieWeissEnergy)  # of 5·10⁹ pairs only the formula is needed
    energy.n_spins, energy.coupling, energy.field, energy.offset = n, 1.0, 0.0, 0.0
    assert sum_over_magnetization(energy, beta).free_energy_per_spin == pytest.approx(free, abs=2e-5)


def test_it_is_what_is_known():
    values = exact_values(CurieWeissEnergy(200), 1.1)
    assert set(values) == set(NAMES)
    assert values["log_z"] == pytest.approx(sum_over_magnetization(CurieWeissEnergy(200), 1.1).log_z, rel=1e-15)


def test_binomials_add_up():
    assert np.exp(log_binomials(20)).sum() == pytest.approx(2**20, rel=1e-12)


def test_impossible_beta_is_refused():
    with pytest.raises(ValueError, match="beta is -1"):
        sum_over_magnetization(CurieWeissEnergy(3), -1.0)

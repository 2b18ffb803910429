import csv
import math
from pathlib import Path

import mpmath
import numpy as np
import pytest

from nmcmc.energies.boltzmann import BETA_CRITICAL
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import enumerate_system
from nmcmc.exact.kaufman import onsager, spontaneous_magnetization, torus

BETAS = [0.0, 1e-3, 0.2, BETA_CRITICAL, 0.6, 2.0]
REFERENCE = list(csv.DictReader((Path(__file__).parent / "torus_log_z.csv").read_text().splitlines()))


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("coupling", [1.0, (0.7, 1.3), (0.0, 1.0)])
@pytest.mark.parametrize("extents", [(2, 2), (2, 3), (3, 2), (3, 3), (3, 4), (4, 4), (4, 5)])
def test_torus_equals_enumeration(extents, coupling, beta):
    exact = enumerate_system(LatticeEnergy(Lattice(extents), coupling), beta)
    result = torus(extents, beta, coupling)
    assert result.log_z == pytest.approx(exact.log_z, rel=1e-13)
    assert result.energy == pytest.approx(exact.energy, rel=1e-9, abs=1e-12)
    assert result.energy_variance == pytest.approx(exact.energy_variance, rel=1e-9)


@pytest.mark.parametrize("coupling", [-1.0, (-0.5, 1.0)])
def test_negative_couplings_along_even_extents(coupling):
    exact = enumerate_system(LatticeEnergy(Lattice((4, 4)), coupling), 0.5)
    assert torus((4, 4), 0.5, coupling).log_z == pytest.approx(exact.log_z, rel=1e-13)


@pytest.mark.parametrize("row", REFERENCE, ids=lambda row: f"{row['L']}-{row['beta']}")
def test_torus_equals_reference(row):
    beta = float(row["beta"])
    beta = BETA_CRITICAL if abs(beta - BETA_CRITICAL) < 1e-9 else beta
    assert torus((int(row["L"]), int(row["L"])), beta).log_z == pytest.approx(float(row["log_z"]), abs=2e-9)


def test_critical_energy_approaches_its_limit_as_ferdinand_and_fisher_say():
    # U = -sqrt(2) - 2 t2 t3 t4/((t2 + t3 + t4) L) + O(L^-3) with theta constants at exp(-pi), Phys. Rev. 185, 832.
    t2, t3, t4 = (float(mpmath.jtheta(k, 0, mpmath.exp(-mpmath.pi))) for k in (2, 3, 4))
    for length in (32, 64):
        amplitude = (torus((length, length), BETA_CRITICAL).energy_per_spin + math.sqrt(2)) * length
        assert amplitude == pytest.approx(-2 * t2 * t3 * t4 / (t2 + t3 + t4), abs=1 / length**2)


def test_cold_torus_keeps_digits_and_does_not_overflow():
    result = torus((64, 64), 10.0)
    n = 64 * 64
    assert result.log_z == pytest.approx(20 * n + math.log(2), rel=1e-15)
    assert result.energy_per_spin == -2
    assert result.specific_heat == pytest.approx(100 * 64 * math.exp(-80), rel=1e-9)


def test_large_torus_is_the_infinite_lattice_away_from_the_critical_point():
    result, limit = torus((256, 256), 0.3), onsager(0.3)
    assert result.free_energy_per_spin == pytest.approx(limit.free_energy_per_spin, rel=1e-14)
    assert result.energy_per_spin == pytest.approx(limit.energy_per_spin, rel=1e-12)


def test_thermodynamic_relations():
    beta, step = 0.4, 1e-4
    middle = torus((6, 8), beta)
    below, above = torus((6, 8), beta - step), torus((6, 8), beta + step)
    assert middle.energy == pytest.approx(-(above.log_z - below.log_z) / (2 * step), rel=1e-6)
    assert middle.energy_variance == pytest.approx((below.energy - above.energy) / (2 * step), rel=1e-6)
    assert middle.entropy == pytest.approx(beta * (middle.energy - middle.free_energy), rel=1e-12)


def test_infinite_lattice():
    assert onsager(BETA_CRITICAL).energy_per_spin == pytest.approx(-math.sqrt(2), abs=1e-13)
    # Onsager: log Z/N = log(2)/2 + 2 G/pi at the critical point, with Catalan's constant G.
    catalan = 0.915965594177219015
    log_z = -BETA_CRITICAL * onsager(BETA_CRITICAL).free_energy_per_spin
    assert log_z == pytest.approx(0.5 * math.log(2) + 2 * catalan / math.pi, rel=1e-14)
    assert onsager(10.0).energy_per_spin == -2
    assert onsager(0.0).energy_per_spin == 0
    assert onsager(0.0).free_energy_per_spin == -math.inf


def test_spontaneous_magnetization():
    assert spontaneous_magnetization(0.44) == 0
    assert spontaneous_magnetization(0.5) == pytest.approx(0.911319377877496, rel=1e-12)
    assert spontaneous_magnetization(1000.0) == 1


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="two integers ≥ 2"):
        torus((1, 4), 0.4)
    with pytest.raises(ValueError, match="beta is nan"):
        torus((4, 4), np.nan)
    with pytest.raises(ValueError, match="frustrated"):
        torus((3, 4), 0.4, -1.0)
    with pytest.raises(ValueError, match="beta is -1"):
        onsager(-1)

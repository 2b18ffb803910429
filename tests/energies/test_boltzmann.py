import numpy as np
import pytest
import torch

from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy


def test_log_density_is_minus_beta_times_energy():
    energy = LatticeEnergy(Lattice((4, 4)))
    spins = np.random.default_rng(0).choice(np.array([-1, 1], dtype=np.int8), size=(5, 16))
    target = Boltzmann(energy, 0.3)
    np.testing.assert_array_equal(target.log_density(spins), -0.3 * energy(spins))
    np.testing.assert_array_equal(target.log_density(torch.from_numpy(spins)).numpy(), -0.3 * energy(spins))
    assert target.n_spins == 16


def test_critical_point_is_self_dual():
    assert np.sinh(2 * BETA_CRITICAL) == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("beta", [-0.1, float("nan"), float("inf")])
def test_bad_beta_is_refused(beta):
    with pytest.raises(ValueError, match=r"it must be a finite number ≥ 0"):
        Boltzmann(LatticeEnergy(Lattice((4, 4))), beta)

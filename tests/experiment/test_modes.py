"""`nmcmc evaluate --modes`, and where there is a field."""

import numpy as np
from command_line import call

from nmcmc.analysis.importance import checked_log_weight
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.experiment.chains import draw_stage
from nmcmc.experiment.modes import mode_numbers, target_chain
from nmcmc.experiment.options import Options
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler


def test_a_shipped_model_has_all_modes():
    result = call("evaluate ising2d-8-critical --n-samples 10000 --modes --json --threads 1")
    assert (result.code, result.err) == (0, "")
    modes = result.json["modes"]
    assert set(modes) == {"split_rhat", "share_up", "acceptance_rate", "mode_drop"}
    assert modes["split_rhat"]["value"] < 1.05
    assert result.json["pareto_k"]["value"] < 0.5


def test_in_a_field_up_and_down_are_no_symmetry():
    energy = LatticeEnergy(Lattice((4, 4)), field=0.1)
    target, sampler = Boltzmann(energy, 0.4), HierarchicalSampler(energy, 0.4, leaf=3, rng=Rng(1))
    draws = draw_stage(sampler, target, 10_000, Rng(2), Options(1, quiet=True))
    found = mode_numbers(sampler, target, checked_log_weight(draws["log_weight"]), Rng(3))
    assert set(found) == {"split_rhat", "acceptance_rate", "mode_drop"}
    assert found["split_rhat"]["reliable"]
    assert found["mode_drop"]["reliable"], found["mode_drop"]["why"]
    assert abs(found["mode_drop"]["value"]) < 5 * found["mode_drop"]["error"]


def test_chains_of_the_target_start_up_and_down_and_keep_configurations():
    energy = LatticeEnergy(Lattice((4, 4)))
    chain = target_chain(Boltzmann(energy, 2.0), Rng(4))
    assert chain.spins.shape == (16, 200, 16)
    assert 0.3 < np.mean(chain.spins.sum(axis=2) > 0) < 0.7

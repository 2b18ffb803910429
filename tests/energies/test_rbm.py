"""The marginal of a restricted Boltzmann machine: the sum over its hidden spins."""

import math

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.energies.rbm import RestrictedBoltzmannEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.exact.known import exact_values
from nmcmc.random import Rng
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.partial_fields import OneParameterSampler
from nmcmc.samplers.sk import CavitySampler
from nmcmc.samplers.sparse import SparseSampler
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import run


def machine(n_hidden=3, n_spins=5, seed=1):
    generator = np.random.default_rng(seed)
    return RestrictedBoltzmannEnergy(
        generator.normal(size=(n_hidden, n_spins)), generator.normal(size=n_spins), generator.normal(size=n_hidden)
    )


def test_it_is_the_sum_over_hidden_spins():
    energy, v, h = machine(), all_states(5).astype(float), all_states(3).astype(float)
    joint = (v @ energy.visible)[:, None] + h @ energy.hidden + v @ energy.weights.T @ h.T
    np.testing.assert_allclose(energy(all_states(5)), -np.log(np.exp(joint).sum(axis=1)), rtol=1e-13)


def test_tensors_and_single_rows_give_the_same():
    energy, states = machine(), all_states(5)
    np.testing.assert_allclose(energy(torch.from_numpy(states)), energy(states), rtol=1e-13)
    assert all(energy(states[k : k + 1])[0] == energy(states)[k] for k in range(32))
    assert np.array_equal(energy.magnetization(states), states.mean(axis=1))


def test_large_fields_do_not_overflow():
    energy = RestrictedBoltzmannEnergy(np.full((1, 2), 1e5))
    assert energy(np.ones((1, 2), dtype=np.int8))[0] == -2e5


def test_it_serves_where_an_energy_does():
    energy = machine()
    assert probabilities(energy, 1.0).sum() == pytest.approx(1)
    assert exact_values(energy, 1.0) == {}

    class Uniform:
        n_spins = 5

        def sample(self, n, rng):
            from nmcmc.types import Draw

            spins = torch.where(rng.uniform((n, 5)) < 0.5, 1, -1).to(torch.int8)
            return Draw(spins, self.log_prob(spins))

        def log_prob(self, spins):
            return torch.full((len(spins),), -5 * np.log(2), dtype=torch.float64)

    update = Independence(Uniform(), Boltzmann(energy, 1.0))
    state, _ = update.step(update.init(all_states(5)), Rng(1))
    assert state.spins.shape == (32, 5)


@pytest.mark.parametrize(
    "arguments",
    [(np.ones(3),), (np.ones((0, 3)),), (np.ones((2, 3)), np.ones(2)), (np.ones((2, 3)), 0.0, np.array([1.0, np.nan]))],
)
def test_other_shapes_are_refused(arguments):
    with pytest.raises(ValueError, match=r"has shape|have shape"):
        RestrictedBoltzmannEnergy(*arguments)
    with pytest.raises(ValueError, match="not finite"):
        RestrictedBoltzmannEnergy(np.array([[np.inf]]))


def test_configurations_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"this energy takes \(batch, 5\)"):
        machine()(np.ones((2, 4), dtype=np.int8))


@pytest.mark.parametrize("kind", [MADESampler, SparseSampler, CavitySampler, OneParameterSampler])
def test_nets_that_start_from_couplings_say_that_it_has_none(kind):
    with pytest.raises(TypeError, match=f"{kind.__name__} starts from couplings and fields"):
        kind(machine(), 1.0, rng=Rng(1))


def test_the_chain_of_a_net_that_starts_near_it_has_its_mean_energy():
    energy, states = machine(), all_states(5)
    net = MADESampler(PairwiseEnergy(5, [], [], energy.visible), 1.0, width=2, depth=1, rng=Rng(1))
    update = Independence(perturbed(net), Boltzmann(energy, 1.0))
    chain = run(update, 2000, Rng(2), observables={"energy": energy}, n_chains=50, warmup=200)
    means, exact = chain.series["energy"].mean(axis=1), probabilities(energy, 1.0) @ energy(states)
    error = means.std(ddof=1) / math.sqrt(50)
    assert abs(means.mean() - exact) < 5 * error
    drawn = update.sampler.sample(2000, Rng(3)).spins.numpy()
    assert abs(energy(drawn).mean() - exact) > 50 * error, "the net alone has another one"

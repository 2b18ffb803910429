"""Gradients against their exact values by enumeration; each with a twin at another β that must fail."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.training.objectives import block_local_reverse_kl, forward_kl, reverse_kl

BETA, WRONG = 0.44, 0.44 * 1.03


def gradient(module, loss):
    """The gradient of a loss with respect to all parameters that it depends on, flat, in float64."""
    module.zero_grad(set_to_none=True)
    loss.backward()
    return torch.cat([p.grad.flatten().double() for p in module.parameters() if p.grad is not None]).numpy()


def exact_reverse_kl(sampler, beta):
    """KL(q‖p) up to a constant: Σ q (log q + βH), differentiable."""
    states = torch.from_numpy(all_states(sampler.n_spins))
    log_q = sampler.log_prob(states)
    return (log_q.exp() * (log_q - Boltzmann(sampler.energy, beta).log_density(states))).sum()


def deviations(estimates, right, wrong):
    """Largest |z| of any component against the right gradient, and z along right − wrong against each."""
    n, direction = len(estimates), right - wrong
    error = estimates.std(axis=0, ddof=1) / math.sqrt(n)
    moves = error > 0
    assert np.array_equal(estimates.mean(axis=0)[~moves], right[~moves])
    largest = np.max(np.abs(estimates.mean(axis=0) - right)[moves] / error[moves])
    along = estimates @ direction
    z = (along.mean() - np.array([right @ direction, wrong @ direction])) / (along.std(ddof=1) / math.sqrt(n))
    return largest, abs(z[0]), abs(z[1])


def assert_unbiased(estimates, right, wrong):
    largest, z_right, z_wrong = deviations(estimates, right, wrong)
    assert largest < 5
    assert z_right < 5
    assert z_wrong > 5


def glass():
    rng = np.random.default_rng(1)
    return PairwiseEnergy(6, [(i, j) for i in range(6) for j in range(i)], rng.normal(size=15), rng.normal(size=6))


def test_reverse_kl_is_an_unbiased_gradient():
    energy = glass()
    sampler = perturbed(MADESampler(energy, BETA, width=2, depth=2, rng=Rng(1)))
    target = Boltzmann(energy, BETA)
    estimates = np.array([gradient(sampler, reverse_kl(sampler, target, Rng(seed), batch=100)) for seed in range(800)])
    right, wrong = (gradient(sampler, exact_reverse_kl(sampler, beta)) for beta in (BETA, WRONG))
    assert_unbiased(estimates, right, wrong)


@pytest.mark.parametrize("batch", [2, 3])
def test_the_baseline_of_a_draw_is_the_mean_over_the_others(batch):
    energy = glass()
    sampler = perturbed(MADESampler(energy, BETA, width=2, depth=1, rng=Rng(1)))
    target = Boltzmann(energy, BETA)
    draw = sampler.sample(batch, Rng(3))
    cost = (draw.log_prob - target.log_density(draw.spins)).tolist()
    expected = 0
    for i in range(batch):
        others = [cost[j] for j in range(batch) if j != i]
        score = gradient(sampler, sampler.log_prob(draw.spins[i : i + 1]).sum())
        expected = expected + (cost[i] - sum(others) / len(others)) * score / batch
    found = gradient(sampler, reverse_kl(sampler, target, Rng(3), batch=batch))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def per_net(sampler, loss):
    """Gradient of the global loss, each net's divided by its number of blocks."""
    sampler.zero_grad(set_to_none=True)
    loss.backward()
    parts = []
    for key, net in sampler.nets.items():
        parts += [
            p.grad.flatten().double() / len(sampler.groups[key].sites) for p in net.parameters() if p.grad is not None
        ]
    return torch.cat(parts).numpy()


@pytest.mark.parametrize(("leaf", "coupling", "field"), [(1, 1.0, 0.2), (3, 1.0, 0.0)])
def test_block_local_reverse_kl_is_the_gradient_of_the_global_one(leaf, coupling, field):
    energy = LatticeEnergy(Lattice((4, 4)), coupling, field)
    samplers = [perturbed(HierarchicalSampler(energy, beta, leaf=leaf, width=2, rng=Rng(1))) for beta in (BETA, WRONG)]
    objective = partial(block_local_reverse_kl, borders=63, crosses=4)
    target = Boltzmann(energy, BETA)
    estimates = np.array([gradient(samplers[0], objective(samplers[0], target, Rng(seed))) for seed in range(150)])
    right, wrong = (per_net(s, exact_reverse_kl(s, s.beta)) for s in samplers)
    assert_unbiased(estimates, right, wrong)


def test_block_local_reverse_kl_takes_its_borders_out_of_configurations():
    """Where no symmetry moves the windows, the sampler's own draws give the gradient of the global divergence."""
    lattice, rng = Lattice((4, 4)), np.random.default_rng(1)
    energy = LatticeEnergy(lattice, rng.normal(size=lattice.n_bonds), 0.1)
    samplers = [perturbed(HierarchicalSampler(energy, beta, leaf=1, width=2, rng=Rng(1))) for beta in (BETA, WRONG)]
    target = Boltzmann(energy, BETA)

    def own(step):
        return samplers[0].sample(256, Rng(step)).spins

    def estimate(step):
        loss = block_local_reverse_kl(samplers[0], target, Rng(step), step, borders=255, crosses=4, configurations=own)
        return gradient(samplers[0], loss)

    estimates = np.array([estimate(step) for step in range(300)])
    assert_unbiased(estimates, *(per_net(s, exact_reverse_kl(s, s.beta)) for s in samplers))


def test_staggered_nets_start_one_after_another_from_the_smallest_blocks():
    sampler = HierarchicalSampler(LatticeEnergy(Lattice((8, 8))), BETA, leaf=1, width=1, rng=Rng(1))
    target, smallest_first = Boltzmann(sampler.energy, BETA), sampler.keys[::-1]

    def trained_at(step, stagger):
        sampler.zero_grad(set_to_none=True)
        block_local_reverse_kl(sampler, target, Rng(2), step, borders=4, crosses=2, stagger=stagger).backward()
        return [key for key in smallest_first if any(p.grad is not None for p in sampler.nets[key].parameters())]

    assert len(smallest_first) > 3
    assert [trained_at(step, 5) for step in (0, 4, 5, 14)] == [smallest_first[:n] for n in (1, 1, 2, 3)]
    assert trained_at(1000, 5) == trained_at(0, 0) == smallest_first


def test_of_large_blocks_fewer_borders_are_drawn(monkeypatch):
    sampler = HierarchicalSampler(LatticeEnergy(Lattice((64, 64))), BETA, width=1, rng=Rng(1))
    drawn, draw_block = {}, sampler.draw_block

    def count(key, borders, rng):
        drawn[key.rsplit("_", 1)[0]] = len(borders)
        return draw_block(key, borders, rng)

    monkeypatch.setattr(sampler, "draw_block", count)
    block_local_reverse_kl(sampler, Boltzmann(sampler.energy, BETA), Rng(2), borders=40, crosses=2)
    assert drawn == {
        "torus_64x64": 20,
        "cylinder_63x64": 20,
        "block_63x63": 20,
        "block_31x63": 42,
        "block_31x31": 80,
        "block_15x31": 80,
        "block_15x15": 80,
    }


def data_of(energy, beta):
    """Step → independent configurations."""
    states, cumulative = all_states(energy.n_spins), np.cumsum(probabilities(energy, beta))

    def configurations(step):
        index = np.searchsorted(cumulative, Rng(step).child("data").generator.random(200), side="right")
        return torch.from_numpy(states[np.minimum(index, len(states) - 1)])

    return configurations


@pytest.mark.parametrize("kind", ["made", "hierarchical"])
def test_forward_kl_is_an_unbiased_gradient(kind):
    energy = LatticeEnergy(Lattice((4, 4)), 1.0, 0.2)
    if kind == "made":
        sampler = perturbed(MADESampler(energy, BETA, width=2, depth=1, rng=Rng(1)))
    else:
        sampler = perturbed(HierarchicalSampler(energy, BETA, leaf=2, width=2, rng=Rng(1)))
    states = torch.from_numpy(all_states(16))
    objective = partial(forward_kl, configurations=data_of(energy, BETA), batch=200)
    target = Boltzmann(energy, BETA)
    estimates = np.array([gradient(sampler, objective(sampler, target, Rng(k), k)) for k in range(300)])
    gradients = []
    for beta in (BETA, WRONG):
        p = torch.from_numpy(probabilities(energy, beta))
        if kind == "made":
            gradients.append(gradient(sampler, -(p * sampler.log_prob(states)).sum()))
        else:
            gradients.append(per_net(sampler, -(p * sampler.whole.log_prob_lines(states)).sum()))
    assert_unbiased(estimates, *gradients)


def test_the_noise_of_the_gradient_vanishes_where_q_is_p():
    """On a cycle cut open a fresh MADE with the right skip connection is exact, and then every draw costs the same."""
    energy = PairwiseEnergy(5, [(i, i + 1) for i in range(4)])
    sampler = MADESampler(energy, BETA, width=2, rng=Rng(1))
    g = gradient(sampler, reverse_kl(sampler, Boltzmann(energy, BETA), Rng(2), batch=20))
    assert np.max(np.abs(g)) < 1e-5


def test_one_draw_has_no_baseline():
    energy = PairwiseEnergy(3, [(0, 1)])
    sampler = MADESampler(energy, BETA, rng=Rng(1))
    with pytest.raises(ValueError, match="draw at least 2"):
        reverse_kl(sampler, Boltzmann(energy, BETA), Rng(1), batch=1)
    blocks = HierarchicalSampler(LatticeEnergy(Lattice((4, 4))), BETA, leaf=3, rng=Rng(1))
    with pytest.raises(ValueError, match="draw at least 2"):
        block_local_reverse_kl(blocks, Boltzmann(blocks.energy, BETA), Rng(1), borders=4, crosses=1)


def test_block_local_training_refuses_a_target_at_another_beta():
    blocks = HierarchicalSampler(LatticeEnergy(Lattice((4, 4))), BETA, leaf=1, rng=Rng(1))
    with pytest.raises(ValueError, match="built for the target"):
        block_local_reverse_kl(blocks, Boltzmann(blocks.energy, 2 * BETA), Rng(1))

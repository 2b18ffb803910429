"""Networks on partial fields: kernels equal torch, starts are the physics, and beat what starts at random."""

from functools import partial

import numpy as np
import pytest
import torch
from perturbed import perturbed
from small_glasses import glass, kl

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.disorder import random_regular, sherrington_kirkpatrick
from nmcmc.energies.mean_field import DenseEnergy, all_pairs
from nmcmc.exact.conditionals import conditional_logits, partial_fields
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.kernels import partial_fields as kernels
from nmcmc.kernels.independence import acceptance_probability
from nmcmc.random import Rng
from nmcmc.samplers import partial_fields as module
from nmcmc.samplers.masked_net import log_prob_of_logits
from nmcmc.samplers.partial_fields import OneLayerSampler, OneParameterSampler, start_at_random
from nmcmc.samplers.sk import CavitySampler, ReplicaSampler
from nmcmc.samplers.store import at_beta
from nmcmc.samplers.tap import TAPSampler
from nmcmc.training.loop import Plan, train
from nmcmc.training.objectives import reverse_kl

BUILDERS = {
    "one-parameter": OneParameterSampler,
    "one-layer": OneLayerSampler,
    "sk-rs": partial(ReplicaSampler, levels=0),
    "sk-1rsb": partial(ReplicaSampler, levels=1),
    "sk-3rsb": partial(ReplicaSampler, levels=3),
    "cavity": CavitySampler,
    "tap": TAPSampler,
}


@pytest.fixture(params=BUILDERS)
def build(request):
    return BUILDERS[request.param]


@pytest.mark.parametrize("field", [0.0, 0.3])
def test_the_compiled_draw_is_the_one_by_full_passes(build, field):
    sampler = perturbed(build(glass(13, field=field), 0.7))
    fast, slow = sampler.sample(150, Rng(2)), sampler.sample_by_passes(150, Rng(2))
    assert torch.equal(fast.spins, slow.spins)
    torch.testing.assert_close(fast.log_prob, slow.log_prob, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("first", range(9))
def test_fields_of_the_guess_are_those_of_all_spins_left(first):
    """The kernel takes four spins at a time, and 1 to 9 are left."""
    generator, n, shape = np.random.default_rng(first), 9, (9, kernels.LANES)
    x, guess, between = (generator.normal(size=size) for size in (shape, shape, (n, n)))
    out = np.full(shape, np.nan)
    kernels._fields_of_guess(x.ravel(), between, guess.ravel(), first, out.ravel())
    np.testing.assert_allclose(out[first:], (x + between[:, first:] @ guess[first:])[first:], rtol=0, atol=1e-13)
    assert np.isnan(out[:first]).all()


def test_a_gradient_in_slices_is_that_of_all_rows(build, monkeypatch):
    monkeypatch.setattr(module, "SLICE_PAIRS", 1)  # the least slice: 8 rows
    sampler = perturbed(build(glass(7), 0.7))
    spins = sampler.sample(37, Rng(2)).spins
    factors = torch.linspace(-1, 2, 37, dtype=torch.float64)
    trained = [p for p in sampler.parameters() if p.requires_grad]
    value, inputs = sampler.log_prob(spins), spins.to(torch.float32)
    whole = log_prob_of_logits(sampler.logits(inputs), inputs)
    torch.testing.assert_close(value, whole, rtol=0, atol=1e-5)
    for sliced, expected in zip(
        torch.autograd.grad(value @ factors, trained), torch.autograd.grad(whole @ factors, trained), strict=True
    ):
        torch.testing.assert_close(sliced, expected, rtol=1e-4, atol=1e-4)


def test_a_logit_sees_only_spins_before_it(build):
    sampler = perturbed(build(glass(9), 0.7))
    spins = torch.from_numpy(all_states(9)).float()
    logits = sampler.logits(spins)
    for i in range(9):
        flipped = spins.clone()
        flipped[:, i:] *= -1
        torch.testing.assert_close(sampler.logits(flipped)[:, i], logits[:, i], rtol=0, atol=1e-5)


def test_fields_of_all_spins_are_those_of_the_exact_form():
    energy, states = glass(8), all_states(8)
    sampler, expected = OneParameterSampler(energy, 0.7), partial_fields(energy, states)
    spins = torch.from_numpy(states).float()
    np.testing.assert_allclose(sampler.partial_fields(spins), np.triu(expected, 1), atol=1e-5)
    np.testing.assert_allclose(sampler.own_fields(spins), np.einsum("bii->bi", expected), atol=1e-5)


def test_without_fields_the_two_signs_are_equally_likely(build):
    sampler = perturbed(build(glass(10, field=0.0), 0.7))
    states = torch.from_numpy(all_states(10))
    with torch.no_grad():
        torch.testing.assert_close(sampler.log_prob(states), sampler.log_prob(-states), rtol=0, atol=1e-12)


def test_the_cavity_is_exact_if_the_spins_left_are_not_coupled():
    """A star: spin 0 sees all others, they see it alone."""
    energy = DenseEnergy(6, [(0, k) for k in range(1, 6)], [0.3, -0.7, 1.1, 0.2, -0.4], np.linspace(-0.5, 0.5, 6))
    for sampler in (ReplicaSampler(energy, 0.9, levels=2), CavitySampler(energy, 0.9), TAPSampler(energy, 0.9)):
        expected = conditional_logits(energy, 0.9, all_states(6))
        np.testing.assert_allclose(
            sampler.logits(torch.from_numpy(all_states(6)).float()).detach(), expected, atol=2e-6
        )


def test_two_spins_left_are_right_to_first_order_in_their_coupling():
    """Halving the coupling among the spins left quarters the error of the guess, and only halves that of the cavity."""
    ratios = {}
    for build in (CavitySampler, BUILDERS["sk-rs"]):
        errors = []
        for small in (0.1, 0.05):
            energy = DenseEnergy(3, all_pairs(3), [0.6, 0.5, small], [0.0, 0.7, 0.4])
            first = build(energy, 1.0).logits(torch.ones(1, 3))[0, 0]
            errors.append(float(first.detach()) - conditional_logits(energy, 1.0, np.ones((1, 3), dtype=np.int8))[0, 0])
        ratios[build] = errors[0] / errors[1]
    assert ratios[CavitySampler] == pytest.approx(4, rel=0.1)
    assert ratios[BUILDERS["sk-rs"]] == pytest.approx(2, rel=0.1)


def test_every_step_of_physics_brings_the_start_nearer():
    energy = sherrington_kirkpatrick(12, 3)
    gaps = [kl(build(energy, 0.8)) for build in (OneLayerSampler, ReplicaSampler, CavitySampler, TAPSampler)]
    assert gaps[0] > 4 * gaps[1] > 16 * gaps[2] > 64 * gaps[3] > 0


def test_levels_do_not_move_the_start():
    energy, states = glass(8), torch.from_numpy(all_states(8)).float()
    first = ReplicaSampler(energy, 0.7, levels=0).logits(states)
    torch.testing.assert_close(ReplicaSampler(energy, 0.7, levels=3).logits(states), first)


def test_the_independence_chain_keeps_the_target(build):
    energy = glass(8)
    sampler = perturbed(build(energy, 0.7))
    states, p = all_states(8), probabilities(energy, 0.7)
    with torch.no_grad():
        log_q = sampler.log_prob(torch.from_numpy(states)).numpy()
    log_weight = Boltzmann(energy, 0.7).log_density(states) - log_q
    accept = np.array([[acceptance_probability(b - a) for b in log_weight] for a in log_weight])
    matrix = np.exp(log_q)[None] * accept
    matrix[np.diag_indices(256)] += 1 - matrix.sum(axis=1)
    assert np.max(np.abs(p @ matrix - p)) < 1e-12
    assert np.max(np.abs(np.exp(log_q) - p)) > 1e-4


def test_at_another_beta_weights_in_units_of_beta_are_a_start():
    energy = sherrington_kirkpatrick(12, 3)
    moved = at_beta(ReplicaSampler(energy, 0.5, levels=1), 0.6)
    assert kl(moved) == pytest.approx(kl(ReplicaSampler(energy, 0.6, levels=1)), rel=1e-6)


def test_a_start_at_random_loses_to_the_physics():
    energy = sherrington_kirkpatrick(12, 3)
    gaps = []
    for random in (False, True):
        sampler = ReplicaSampler(energy, 1.0, levels=0)
        if random:
            start_at_random(sampler, Rng(5))
        plan = Plan(steps=80, learning_rate=0.01, warmup=10, evaluate_every=0)
        train(sampler, Boltzmann(energy, 1.0), partial(reverse_kl, batch=200), plan, Rng(1))
        gaps.append(kl(sampler))
    assert gaps[1] > 8 * gaps[0]


def test_maximum_likelihood_learns_from_the_chances_of_heat_bath(build):
    energy = glass(9)
    sampler = perturbed(build(energy, 0.7))
    spins = sampler.sample(200, Rng(3)).spins
    rows = Rng(4).generator.integers(0, 200, 50)
    loss = sampler.cross_entropy(spins, 50, Rng(4))
    chosen = spins[torch.from_numpy(rows)].double()
    chances = torch.sigmoid(1.4 * (chosen @ torch.as_tensor(energy.coupling_matrix) + torch.as_tensor(energy.fields)))
    logits = sampler.logits(chosen.float()).double()
    expected = -(chances * logits.sigmoid().log() + (1 - chances) * (-logits).sigmoid().log()).sum(dim=1).mean()
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    assert loss.requires_grad


def test_sparse_systems_are_welcome(build):
    sampler = build(random_regular(10, 3, 1), 0.5)
    assert float(sampler.log_prob(torch.from_numpy(all_states(10))).exp().sum().detach()) == pytest.approx(1, abs=1e-6)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="levels is -1"):
        ReplicaSampler(glass(4), 0.5, levels=-1)
    with pytest.raises(ValueError, match="beta is"):
        CavitySampler(glass(4), -0.5)

"""The TAP network: its torch walk, its order in the couplings, the choice of the reaction, and a deep glass."""

from functools import partial

import numpy as np
import pytest
import torch
from perturbed import perturbed
from small_glasses import glass, kl

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.disorder import sherrington_kirkpatrick
from nmcmc.energies.mean_field import DenseEnergy, all_pairs
from nmcmc.exact.conditionals import conditional_logits
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.samplers.logistic import likeliest
from nmcmc.samplers.sk import CavitySampler
from nmcmc.samplers.tap import (
    REACTIONS,
    RIDGES,
    TAPSampler,
    _inputs_of,
    fitted,
    settled,
    with_reaction,
)
from nmcmc.training.loop import Plan, train
from nmcmc.training.objectives import reverse_kl


def test_the_kernel_finds_the_terms_of_the_torch_walk():
    sampler = perturbed(TAPSampler(glass(13), 1.1, reaction=0.6, layers=7))
    draw = sampler.sample(40, Rng(2))
    uniforms = Rng(2).uniform((40, 13))
    spins, terms = sampler.walk(40, lambda i, logit: torch.where(uniforms[:, i] < logit.double().sigmoid(), 1.0, -1.0))
    assert torch.equal(spins.to(torch.int8), draw.spins)
    torch.testing.assert_close(sampler.terms(spins), terms, rtol=1e-5, atol=1e-5)


def error_of_the_first_logit(coupling, **options):
    """Of three spins, the second and third of which are coupled by so much."""
    energy = DenseEnergy(3, all_pairs(3), [0.6, 0.5, coupling], [0.0, 0.7, 0.4])
    first = TAPSampler(energy, 1.0, layers=60, **options).logits(torch.ones(1, 3))[0, 0]
    return float(first.detach()) - conditional_logits(energy, 1.0, all_states(3)[-1:])[0, 0]


def test_logits_are_right_to_second_order_in_the_couplings_among_the_spins_left():
    """Halving them takes the error to an eighth, or a little less at couplings that float32 can tell apart."""
    assert 7 < error_of_the_first_logit(0.2) / error_of_the_first_logit(0.1) < 11


def test_with_less_reaction_logits_are_off_even_without_couplings_among_the_spins_left():
    assert abs(error_of_the_first_logit(0.0)) < 1e-6
    assert abs(error_of_the_first_logit(0.0, reaction=0.5)) > 1e-2


def test_the_gradient_is_that_of_log_q():
    sampler = perturbed(TAPSampler(glass(6), 0.8))
    spins = sampler.sample(30, Rng(1)).spins
    sampler.log_prob(spins).sum().backward()
    place, small = (2, 1), 1e-2
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            sampler.weights[place] += sign * small
            values.append(float(sampler.log_prob(spins).sum()))
            sampler.weights[place] -= sign * small
    assert float(sampler.weights.grad[place]) == pytest.approx((values[0] - values[1]) / (2 * small), rel=1e-2)


def free_energy(sampler, n=500):
    """−E_q[log w], up to a constant: the higher, the farther from the glass."""
    draw = sampler.sample(n, Rng(9))
    return float((draw.log_prob - Boltzmann(sampler.energy, sampler.beta).log_density(draw.spins)).mean())


def test_a_deep_glass_needs_less_reaction():
    start = TAPSampler(sherrington_kirkpatrick(40, 1), 2.5)
    deep = settled(start, Rng(1))
    assert deep.reaction in REACTIONS[2:]
    assert free_energy(deep) < free_energy(start) - 1


@pytest.mark.parametrize("seed", range(4))
def test_in_a_warm_glass_noise_does_not_choose_the_reaction(seed):
    """KL is 1e-5 for the full reaction and a hundred times that for the least: 200 draws know E[−ln w] to 1e-3."""
    assert settled(TAPSampler(sherrington_kirkpatrick(50, 1), 0.5), Rng(seed)).reaction >= 0.9


def test_in_a_glass_the_start_is_nearer_than_that_of_the_cavity():
    energy, beta = sherrington_kirkpatrick(60, 2), 1.5
    assert free_energy(settled(TAPSampler(energy, beta), Rng(1))) < free_energy(CavitySampler(energy, beta)) - 1


def test_weights_stay_with_another_reaction():
    sampler = perturbed(TAPSampler(glass(5), 0.8, layers=3))
    other = with_reaction(sampler, 0.4)
    assert torch.equal(other.weights, sampler.weights)
    assert (other.reaction, other.gain, other.layers) == (0.4, 0.7, 3)


def test_few_steps_bring_it_nearer():
    sampler = settled(TAPSampler(sherrington_kirkpatrick(14, 2), 1.5), Rng(1))
    before, plan = kl(sampler), Plan(steps=30, learning_rate=0.03, warmup=5, evaluate_every=0)
    train(sampler, Boltzmann(sampler.energy, 1.5), partial(reverse_kl, batch=200), plan, Rng(1))
    assert kl(sampler) < 0.5 * before


def states_of(energy, beta, n, seed=3):
    """Independent exact configurations of a small system."""
    chosen = np.random.default_rng(seed).choice(2**energy.n_spins, n, p=probabilities(energy, beta))
    return torch.from_numpy(all_states(energy.n_spins)[chosen])


@pytest.mark.parametrize("beta", [1.5, 4.0])
def test_a_fit_brings_it_nearer_even_where_the_start_is_far(beta):
    start = TAPSampler(glass(10, seed=5, field=0.2), beta)
    near = fitted(start, states_of(start.energy, beta, 3000))
    far = fitted(start, states_of(start.energy, 0.6 * beta, 3000))
    assert kl(near) < 0.3 * kl(start)
    assert kl(near) < 0.3 * kl(far)
    assert torch.equal(start.weights, torch.ones(10, 4))


def test_a_fit_ends_where_the_likelihood_with_a_ridge_is_flat():
    start = TAPSampler(glass(9), 1.0)
    given = states_of(start.energy, 1.0, 400).float()
    sampler = fitted(start, given)
    logits, chances = sampler.logits(given).double(), sampler.chances(given).double()
    (torch.nn.functional.softplus(logits) - chances * logits).sum().backward()
    slope, moved = sampler.weights.grad, (sampler.weights - 1).detach()
    assert min(float((slope + ridge * moved).abs().max()) for ridge in RIDGES) < 1e-3
    assert float(moved.abs().max()) > 1e-2


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_few_configurations_leave_a_good_start_as_it_is(beta):
    start = TAPSampler(glass(10, seed=5, field=0.2), beta)
    few = states_of(start.energy, beta, 60)
    assert kl(fitted(start, few)) < 1.1 * kl(start) + 1e-6
    # Without a choice of the ridge the noise of 40 weights is what is left.
    eager = with_reaction(start, 1.0)
    eager.weights.data.copy_(likeliest(*_inputs_of(eager, few.float()), 1.0))
    assert kl(eager) > 2 * kl(start)


def test_a_fit_needs_configurations_of_the_system():
    start = TAPSampler(glass(5), 1.0)
    with pytest.raises(ValueError, match="1 configurations were given; a fit needs at least 2"):
        fitted(start, torch.ones((1, 5), dtype=torch.int8))
    with pytest.raises(ValueError, match=r"this sampler takes \(n, 5\)"):
        fitted(start, torch.ones((4, 6), dtype=torch.int8))
    for wrong in (torch.zeros((4, 5)), torch.full((4, 5), float("nan")), torch.tensor([[0, 1, 1, 1, 1]] * 3)):
        with pytest.raises(ValueError, match="give spins ±1"):
            fitted(start, wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reaction": 1.1}, "reaction is 1.1"),
        ({"reaction": float("nan")}, "reaction is nan"),
        ({"layers": 0}, "layers is 0"),
        ({"layers": 2.5}, "layers is 2.5; it must be a whole number"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TAPSampler(glass(4), 0.5, **options)


@pytest.mark.parametrize(("scale", "beta"), [(1e20, 1.0), (1.0, 1e20), (1e10, 1e10), (1.0, 1e39), (1e306, 1.0)])
def test_what_leaves_the_range_of_the_kernel_is_refused(scale, beta):
    energy = DenseEnergy(3, all_pairs(3), [scale, -scale, scale], [0.0, 0.7, 0.4])
    with pytest.raises(ValueError, match="too large for the network"):
        TAPSampler(energy, beta)


def test_large_numbers_within_that_range_are_finite():
    for scale, beta in ((1e16, 1.0), (1.0, 1e16), (1e8, 1e8), (1000.0, 50.0)):
        energy = DenseEnergy(3, all_pairs(3), [scale, -scale, scale], [0.0, 0.7, 0.4])
        sampler = TAPSampler(energy, beta)
        draw = sampler.sample(20, Rng(1))
        terms = sampler.walk(20, lambda i, logit, spins=draw.spins: spins[:, i].float())[1]
        for values in (draw.log_prob, sampler.terms(draw.spins.float()), terms):
            assert torch.isfinite(values).all()


@pytest.mark.parametrize("shape", [(3, 4), (3, 6), (5,)], ids=str)
def test_spins_of_another_shape_are_refused(shape):
    """The kernel would read and write beyond its arrays."""
    sampler = TAPSampler(glass(5), 0.5, layers=2)
    for read in (sampler.logits, sampler.terms, sampler.log_prob):
        with pytest.raises(ValueError, match=r"this sampler takes \(n, 5\)"):
            read(torch.ones(shape))

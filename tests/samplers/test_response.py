"""The start at linear response, against exact conditionals and against the start without it."""

import math

import numpy as np
import pytest
import torch

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.disorder import sherrington_kirkpatrick
from nmcmc.energies.mean_field import DenseEnergy, all_pairs
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.exact.known import exact_values
from nmcmc.samplers.partial_fields import OneLayerSampler, OneParameterSampler
from nmcmc.samplers.response import answers, believed_beta, follow_response, start_at_response
from nmcmc.samplers.sk import ReplicaSampler

KINDS = {"one-layer": OneLayerSampler, "SK_2RSB": lambda energy, beta: ReplicaSampler(energy, beta, levels=2)}


def divergence(sampler):
    """Return KL(q‖p) by enumeration."""
    energy, states = sampler.energy, torch.from_numpy(all_states(sampler.n_spins))
    with torch.no_grad():
        log_q = sampler.log_prob(states).numpy()
    log_p = Boltzmann(energy, sampler.beta).log_density(states).numpy() - exact_values(energy, sampler.beta)["log_z"]
    return float(np.exp(log_q) @ (log_q - log_p))


def dense(matrix):
    pairs = all_pairs(len(matrix))
    return DenseEnergy(len(matrix), pairs, matrix[pairs[:, 0], pairs[:, 1]])


def correlations(energy, beta):
    """Return ⟨s_k s_l⟩ by enumeration."""
    states = all_states(energy.n_spins).astype(float)
    weights = np.exp(-beta * energy(torch.from_numpy(states.astype(np.int8))).numpy())
    return np.einsum("a,ak,al->kl", weights / weights.sum(), states, states)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [0.2, 0.5])
def test_the_start_is_several_times_closer_than_couplings_alone(kind, beta):
    sampler = KINDS[kind](sherrington_kirkpatrick(14, 3), beta)
    before = divergence(sampler)
    start_at_response(sampler)
    assert divergence(sampler) < before / 3


def test_answers_of_the_spins_after_the_first_are_their_correlations():
    # To first order in J_0l, the magnetisation that spin 0 leaves on l is β Σ_l' ⟨s_l s_l'⟩ J_0l' = β χ_0l.
    beta, energy = 0.3, sherrington_kirkpatrick(12, 5)
    couplings = energy.coupling_matrix
    expected = correlations(dense(couplings[1:, 1:]), beta) @ couplings[0, 1:]
    found, free = answers(energy, beta)
    error = np.abs(found[0, 1:] - expected).max()
    assert error < 0.2 * np.abs(expected - couplings[0, 1:]).max()
    assert np.all(free[0] == 1)


def test_spins_without_couplings_among_each_other_answer_alone():
    star = np.zeros((5, 5))
    star[0, 1:] = star[1:, 0] = (0.3, -0.2, 0.5, 0.1)
    sampler = ReplicaSampler(dense(star), 0.8)
    before = sampler.shifts.detach().clone()
    start_at_response(sampler)
    torch.testing.assert_close(sampler.shifts.detach(), before, rtol=1e-6, atol=1e-6)
    assert divergence(sampler) < 1e-10


def test_response_is_believed_up_to_where_the_paramagnet_gets_soft():
    n = 50
    ferromagnet = dense((np.ones((n, n)) - np.eye(n)) / n)
    assert believed_beta(ferromagnet, 0.5) == 0.5
    assert 0.7 < believed_beta(ferromagnet, 2.0) < 0.95  # it orders at 1


@pytest.mark.parametrize("beta", [3.0, 20.0, 1e4])
def test_steps_to_a_large_beta_do_not_pass_over_the_glass(beta):
    assert 0.4 < believed_beta(sherrington_kirkpatrick(200, 1), beta) < 0.9  # softest about 1, stiff again beyond


@pytest.mark.parametrize("strong", [0.0, 10.0, 1e3])
def test_a_strong_bond_does_not_keep_the_others_from_answering(strong):
    energy = sherrington_kirkpatrick(12, 3)
    energy = PairwiseEnergy(14, [*energy.edges, (12, 13)], [*energy.couplings, strong])
    assert believed_beta(energy, 0.5) == 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("energy", [PairwiseEnergy(3, [], 1.0, 0.2), PairwiseEnergy(3, [(0, 1)], 0.0)])
def test_without_couplings_there_is_nothing_to_answer(kind, energy):
    assert believed_beta(energy, 0.7) == 0.7
    sampler = KINDS[kind](energy, 0.7)
    start_at_response(sampler)
    assert divergence(sampler) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [3.0, 1e30])
def test_weights_are_finite_where_spins_are_frozen(kind, beta):
    small = sherrington_kirkpatrick(8, 1)
    frozen = PairwiseEnergy(8, small.edges, small.couplings, [0.0, 1e3, 0.0, -1e3] * 2)
    for energy in (small, frozen):
        sampler = KINDS[kind](energy, beta)
        start_at_response(sampler)
        assert all(bool(torch.isfinite(p).all()) for p in sampler.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_following_response_from_its_start_is_the_start_at_the_other_beta(kind):
    energy = sherrington_kirkpatrick(9, 1)
    first, other = KINDS[kind](energy, 0.3), KINDS[kind](energy, 0.6)
    start_at_response(first)
    start_at_response(other)
    moved = follow_response(first, 0.6)
    assert math.isclose(moved.beta, 0.6)
    for a, b in zip(moved.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_other_samplers_are_refused_by_name():
    with pytest.raises(TypeError, match="OneParameterSampler has no start"):
        start_at_response(OneParameterSampler(sherrington_kirkpatrick(5, 1), 0.5))

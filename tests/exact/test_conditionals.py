"""The exact form of every autoregressive network: partial fields, twice beta, ln ρ⁺ − ln ρ⁻."""

import numpy as np
import pytest

from nmcmc.energies.disorder import random_regular, sherrington_kirkpatrick
from nmcmc.energies.mean_field import CurieWeissEnergy, DenseEnergy, all_pairs
from nmcmc.exact.conditionals import conditional_logits, partial_fields
from nmcmc.exact.enumeration import all_states, probabilities


def with_fields(n, seed=1):
    generator, pairs = np.random.default_rng(seed), all_pairs(n)
    return DenseEnergy(n, pairs, generator.normal(size=len(pairs)) / n**0.5, generator.normal(size=n))


@pytest.mark.parametrize(
    "energy", [with_fields(10), sherrington_kirkpatrick(9, 1), random_regular(8, 3, 1), with_fields(1)]
)
@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_the_product_of_conditionals_is_the_distribution(energy, beta):
    states = all_states(energy.n_spins)
    logits = conditional_logits(energy, beta, states)
    log_q = -np.logaddexp(0, -states * logits).sum(axis=1)
    assert np.max(np.abs(np.exp(log_q) - probabilities(energy, beta))) < 1e-10


def test_a_conditional_sees_only_spins_before_it():
    energy, states = with_fields(7), all_states(7)
    logits = conditional_logits(energy, 1.0, states)
    for i in range(7):
        flipped = states.copy()
        flipped[:, i:] *= -1
        np.testing.assert_allclose(conditional_logits(energy, 1.0, flipped)[:, i], logits[:, i], rtol=1e-13)


def test_partial_fields_are_sums_over_earlier_spins():
    energy, states = with_fields(6), all_states(6)
    fields = partial_fields(energy, states)
    for i in range(6):
        expected = energy.fields + states[:, :i] @ energy.coupling_matrix[:i]
        np.testing.assert_allclose(fields[:, i], expected, rtol=1e-13, atol=1e-13)


def test_what_twice_beta_leaves_is_odd_in_the_fields():
    """Reversing all partial fields reverses ln ρ⁺ − ln ρ⁻, with fields too: the nets need no biases."""
    energy, states = with_fields(6), all_states(6)
    mirrored = DenseEnergy(6, energy.edges, energy.couplings, -energy.fields)
    np.testing.assert_allclose(
        conditional_logits(mirrored, 0.8, -states), -conditional_logits(energy, 0.8, states), rtol=1e-12, atol=1e-13
    )


def test_more_spins_are_refused():
    with pytest.raises(ValueError, match="exact conditionals of 17 spins are out of reach"):
        conditional_logits(CurieWeissEnergy(17), 1.0, np.ones((1, 17), dtype=np.int8))

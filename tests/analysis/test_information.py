"""Mutual information and relative entropy from sampled states of the 4×4 torus against enumeration."""

import numpy as np
import pytest
from sticky import assert_calibrated, sticky

from nmcmc.analysis import information
from nmcmc.analysis.free_energy import reciprocal_log_z
from nmcmc.analysis.quantity import Quantity
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact import information as exact
from nmcmc.exact.elimination import log_z_given
from nmcmc.exact.enumeration import all_states, enumerate_system, probabilities
from nmcmc.exact.parts import checkerboard, first_half, log_z_of_free_spins

BETA, N_REPLICAS = 0.4, 150
ENERGY = LatticeEnergy(Lattice((4, 4)), field=0.05)
STATES = all_states(16)
H = ENERGY(STATES)
P = probabilities(ENERGY, BETA)
Q = probabilities(ENERGY, 0.35)
LOG_WEIGHT = -BETA * H - np.log(Q)
PARTS = {"halves": (first_half, log_z_given), "checkerboard": (checkerboard, log_z_of_free_spins)}


@pytest.fixture(scope="module", params=PARTS)
def part(request):
    """Return log Z(a) and log Z(b) of every state, and the exact mutual information."""
    mask, log_z = PARTS[request.param]
    given = mask(ENERGY.lattice)
    sums = [log_z(ENERGY, BETA, STATES, chosen) for chosen in (given, ~given)]
    return *sums, exact.mutual_information(ENERGY, BETA, given)


def test_weighted_draws_are_calibrated(part):
    log_z_a, log_z_b, expected = part
    rng, found = np.random.default_rng(2), []
    for index in rng.choice(2**16, (N_REPLICAS, 1000), p=Q):
        values = -BETA * H[index], log_z_a[index], log_z_b[index], LOG_WEIGHT[index]
        found.append(information.weighted_mutual_information(*values).estimate())
    assert_calibrated(found, expected)


def test_chains_are_calibrated_with_an_exact_and_a_measured_log_z(part):
    log_z_a, log_z_b, expected = part
    rng, known, measured = np.random.default_rng(3), [], []
    log_z = enumerate_system(ENERGY, BETA).log_z
    for _ in range(N_REPLICAS):
        states = sticky(P, 2, 600, 0.5, rng)
        values = -BETA * H[states], log_z_a[states], log_z_b[states]
        known.append(information.chain_mutual_information(*values, log_z).estimate())
        own = reciprocal_log_z(LOG_WEIGHT[states])
        measured.append(information.chain_mutual_information(*values, own).estimate())
    assert_calibrated(known, expected)
    assert_calibrated(measured, expected)


def test_weighted_draws_take_a_log_z_that_is_known(part):
    log_z_a, log_z_b, expected = part
    index = np.random.default_rng(7).choice(2**16, 100_000, p=Q)
    values = -BETA * H[index], log_z_a[index], log_z_b[index], LOG_WEIGHT[index]
    log_z = enumerate_system(ENERGY, BETA).log_z
    assert abs(information.weighted_mutual_information(*values, log_z=log_z).estimate().deviation(expected)) < 5
    wrong = information.weighted_mutual_information(*values, log_z=1.03 * log_z).estimate()
    assert abs(wrong.deviation(expected)) > 5


def test_a_bracket_is_its_middle_and_half_its_width_unless_its_ends_are_crossed():
    noise = np.random.default_rng(8).normal(size=400)
    least, most = (Quantity(value, {"draws": noise - noise.mean()}) for value in (1.0, 1.4))
    found = information.bracketed(least, most).estimate()
    assert (found.value, found.reliable) == (pytest.approx(1.2), True)
    assert found.error == pytest.approx(np.hypot(0.2, least.estimate().error))
    crossed = information.bracketed(most, least).estimate()
    assert not crossed.reliable
    assert "above the upper one" in crossed.why


def test_a_wrong_beta_is_found(part):
    log_z_a, log_z_b, expected = part
    index = np.random.default_rng(4).choice(2**16, 100_000, p=probabilities(ENERGY, 0.97 * BETA))
    log_z = enumerate_system(ENERGY, BETA).log_z
    wrong = information.chain_mutual_information(-BETA * H[index], log_z_a[index], log_z_b[index], log_z).estimate()
    assert abs(wrong.deviation(expected)) > 5


def test_relative_entropy_of_two_temperatures_and_of_their_decimations_is_calibrated():
    betas, given, rng = (BETA, 0.43), checkerboard(ENERGY.lattice), np.random.default_rng(5)
    coarse = np.subtract(*(log_z_of_free_spins(ENERGY, beta, STATES, given) for beta in betas[::-1]))
    whole, decimated = [], []
    for _ in range(N_REPLICAS):
        states = sticky(P, 2, 600, 0.5, rng)
        whole.append(information.relative_entropy(-(betas[1] - betas[0]) * H[states]).estimate())
        decimated.append(information.relative_entropy(coarse[states]).estimate())
    assert_calibrated(whole, exact.decimated_divergence(ENERGY, betas, np.ones(16, bool)))
    assert_calibrated(decimated, exact.decimated_divergence(ENERGY, betas, given))


def test_temperatures_too_far_apart_are_reported():
    states = sticky(P, 2, 600, 0.5, np.random.default_rng(6))
    assert "5 %" in information.relative_entropy(3.0 * H[states]).estimate().why

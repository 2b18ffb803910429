"""Reweighting in β on the 4×4 torus against enumeration: values, errors, and where it must be refused."""

import math

import numpy as np
import pytest
from sticky import assert_calibrated, sticky

from nmcmc.analysis import reweighting
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, enumerate_system, probabilities

BETA, NEAR = 0.4, 0.43
ENERGY = LatticeEnergy(Lattice((4, 4)))
STATES = all_states(16)
H, M = ENERGY(STATES), ENERGY.magnetization(STATES)
P = probabilities(ENERGY, BETA)


def series(index):
    return {"energy": H[index], "magnetization": M[index]}


def test_all_quantities_at_a_beta_nearby_are_exact_within_5_sigma():
    known = enumerate_system(ENERGY, NEAR)
    found = reweighting.reweight(series(sticky(P, 10, 5000, 0.5, np.random.default_rng(1))), 16, BETA, NEAR)
    names = ["energy_per_spin", "specific_heat", "abs_magnetization", "m2", "m4", "binder", "susceptibility"]
    assert set(names) < set(found)
    for name in names:
        assert found[name].reliable
        assert abs(found[name].deviation(getattr(known, name))) < 5, name
    there = enumerate_system(ENERGY, BETA)
    assert abs(found["energy_per_spin"].deviation(there.energy_per_spin)) > 5


def test_errors_are_calibrated():
    rng, known = np.random.default_rng(2), enumerate_system(ENERGY, NEAR)
    energy, heat = [], []
    for _ in range(150):
        h = H[sticky(P, 2, 1000, 0.5, rng)]
        energy.append(reweighting.reweighted(h / 16, h, NEAR - BETA).estimate())
        variance = reweighting.reweighted_function(lambda e, e2: e2 - e**2, [h + 20, (h + 20) ** 2], h, NEAR - BETA)
        heat.append(variance)
    assert_calibrated(energy, known.energy_per_spin)
    assert_calibrated(heat, known.energy_variance)


def test_beyond_the_reach_of_the_chain_the_result_is_flagged():
    index = sticky(P, 2, 2000, 0.5, np.random.default_rng(3))
    far = reweighting.reweight(series(index), 16, BETA, 0.05)["energy_per_spin"]
    assert not far.reliable
    assert "independent states carry the weight" in far.why
    low, high = reweighting.reweighting_range(H[index], BETA, H[index])
    assert low < BETA < high
    inside = reweighting.reweight(series(index), 16, BETA, 0.9 * low + 0.1 * BETA)["energy_per_spin"]
    outside = reweighting.reweight(series(index), 16, BETA, 1.1 * low - 0.1 * BETA)["energy_per_spin"]
    assert inside.reliable
    assert not outside.reliable


def test_the_reach_is_where_reweight_believes_the_specific_heat():
    """Of four tori: towards their ground states the number of states that carry it falls, and later rises again."""
    index = np.random.default_rng(7).choice(2**16, (4, 4, 500), p=P)
    data = {"energy": H[index].sum(axis=0), "magnetization": M[index].mean(axis=0)}
    for end in reweighting.reweighting_range(data["energy"], BETA):
        for share, believed in ((0.95, True), (1.05, False)):
            found = reweighting.reweight(data, 64, BETA, BETA + share * (end - BETA))["specific_heat"]
            assert found.reliable == believed


def test_the_effective_number_is_that_of_the_formula():
    index = np.random.default_rng(4).choice(2**16, (4, 50_000), p=P)
    step = NEAR - BETA
    w = np.exp(-step * H)
    exact = (P @ w) ** 2 / (P @ w**2)
    assert reweighting.effective_states(H[index], step) == pytest.approx(200_000 * exact, rel=0.05)
    assert reweighting.effective_states(H[index], 0.0) == pytest.approx(200_000, rel=0.05)


def test_a_chain_that_is_too_short_reaches_nowhere():
    index = np.random.default_rng(5).choice(2**16, (1, 50), p=P)
    assert reweighting.reweighting_range(H[index], BETA) == (BETA, BETA)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="those of one chain"):
        reweighting.reweighted(np.zeros((1, 5)), np.zeros((1, 6)), 0.1)
    with pytest.raises(ValueError, match="to_beta is -1"):
        reweighting.reweight({}, 16, 0.4, -1.0)
    with pytest.raises(ValueError, match="to_beta is nan"):
        reweighting.reweight({}, 16, 0.4, math.nan)


def test_constant_energies_reach_nowhere():
    assert reweighting.reweighting_range(np.ones((2, 100)), BETA) == (BETA, BETA)
    assert reweighting.reweighting_range(np.ones((1, 50)), BETA) == (BETA, BETA)


def test_the_reach_is_that_of_the_observable():
    """The specific heat is biased before the weights alone run out: its own terms come from fewer states."""
    rng, pulls = np.random.default_rng(6), []
    for _ in range(30):
        h = H[sticky(P, 4, 2000, 0.5, rng)]
        low, _ = reweighting.reweighting_range(h, BETA)
        wide, _ = reweighting.reweighting_range(h, BETA, h)
        assert BETA > low > wide
        heat = reweighting.reweighted_function(lambda e, e2: e2 - e**2, [h, h**2], h, low - BETA)
        pulls.append(heat.deviation(enumerate_system(ENERGY, low).energy_variance))
    assert abs(np.mean(pulls)) < 1

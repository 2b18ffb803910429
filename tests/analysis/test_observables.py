import math

import numpy as np
import pytest

from nmcmc.analysis.observables import beyond_lattice, derive, measurements, structure_factor
from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.types import Estimate
from nmcmc.updates.run import run
from nmcmc.updates.swendsen_wang import SwendsenWang

NAMES = {
    "energy_per_spin",
    "specific_heat",
    "magnetization",
    "abs_magnetization",
    "m2",
    "m4",
    "binder",
    "susceptibility",
}


def all_states(n_spins):
    bits = (np.arange(2**n_spins)[:, None] >> np.arange(n_spins)) & 1
    return (2 * bits - 1).astype(np.int8)


def recorded(spins, energy, extents):
    return {name: measure(spins) for name, measure in measurements(energy, extents).items()}


@pytest.mark.parametrize("extents", [(6,), (4, 6), (3, 4, 5)])
def test_structure_factor_equals_the_sum_over_sites(extents):
    spins = np.random.default_rng(1).choice([-1, 1], (5, math.prod(extents))).astype(np.int8)
    positions = np.indices(extents).reshape(len(extents), -1)
    expected = np.mean(
        [np.abs(spins @ np.exp(2j * np.pi * x / L)) ** 2 for x, L in zip(positions, extents, strict=True)], axis=0
    )
    np.testing.assert_allclose(structure_factor(spins, extents), expected / spins.shape[1], rtol=1e-12, atol=1e-12)


def test_structure_factor_does_not_depend_on_the_batch():
    spins = np.random.default_rng(1).choice([-1, 1], (7, 64)).astype(np.int8)
    rows = [structure_factor(row[None], (8, 8))[0] for row in spins]
    np.testing.assert_array_equal(structure_factor(spins, (8, 8)), rows)


def test_measurements_are_energy_and_magnetization():
    energy = LatticeEnergy(Lattice((3, 4)))
    spins = np.random.default_rng(2).choice([-1, 1], (9, 12)).astype(np.int8)
    series = recorded(spins, energy, None)
    assert set(series) == {"energy", "magnetization"}
    np.testing.assert_array_equal(series["energy"], energy(spins))
    np.testing.assert_allclose(series["magnetization"], spins.mean(axis=1), rtol=1e-15)
    with pytest.raises(ValueError, match="hold 16 sites"):
        measurements(energy, (4, 4))


def ising_draws(beta, n, seed):
    """Independent draws of the 3×3 torus by enumeration, and its exact averages at beta."""
    energy = LatticeEnergy(Lattice((3, 3)))
    states = recorded(all_states(9), energy, (3, 3))
    p = np.exp(-beta * (states["energy"] - states["energy"].min()))
    p /= p.sum()
    index = np.random.default_rng(seed).choice(len(p), n, p=p)
    return {name: row[index].reshape(4, -1) for name, row in states.items()}, states, p


def exact_values(states, p, beta):
    e, m, f = states["energy"], states["magnetization"], states["structure_factor"]
    m2 = p @ m**2
    return {
        "energy_per_spin": p @ e / 9,
        "specific_heat": beta**2 * (p @ e**2 - (p @ e) ** 2) / 9,
        "magnetization": p @ m,
        "abs_magnetization": p @ np.abs(m),
        "m2": m2,
        "m4": p @ m**4,
        "binder": 1 - (p @ m**4) / (3 * m2**2),
        "susceptibility": beta * 9 * (m2 - (p @ np.abs(m)) ** 2),
        "correlation_length": math.sqrt(9 * m2 / (p @ f) - 1) / (2 * math.sin(math.pi / 3)),
    }


def test_derived_quantities_are_exact_within_5_sigma_and_a_wrong_beta_is_refused():
    beta = 0.3
    series, states, p = ising_draws(beta, 40_000, seed=3)
    estimates = derive(series, 9, beta, (3, 3))
    exact = exact_values(states, p, beta)
    assert set(estimates) == set(exact) == NAMES | {"correlation_length"}
    deviations = {name: abs(estimates[name].deviation(exact[name])) for name in exact}
    assert max(deviations.values()) < 5, deviations
    assert all(e.reliable and abs(e.tau_int - 0.5) < 5 * e.tau_int_error for e in estimates.values())
    _, _, wrong = ising_draws(1.03 * beta, 1000, seed=3)
    off = exact_values(states, wrong, 1.03 * beta)
    assert max(abs(estimates[name].deviation(off[name])) for name in exact) > 5


def test_structure_factor_and_m2_of_the_ring_are_the_closed_forms():
    """⟨s_0 s_x⟩ = (u^x + u^(L−x))/(1 + u^L) with u = tanh β."""
    beta, length = 0.7, 12
    energy = LatticeEnergy(Lattice((length,)))
    states = recorded(all_states(length), energy, (length,))
    p = np.exp(-beta * states["energy"])
    p /= p.sum()
    x, u = np.arange(length), math.tanh(beta)
    correlation = (u**x + u ** (length - x)) / (1 + u**length)
    assert p @ states["structure_factor"] == pytest.approx(correlation @ np.cos(2 * np.pi * x / length), rel=1e-12)
    assert length * (p @ states["magnetization"] ** 2) == pytest.approx(correlation.sum(), rel=1e-12)


def chain_at(beta, extents):
    energy = LatticeEnergy(Lattice(extents))
    observables = measurements(energy, extents)
    update = SwendsenWang(Boltzmann(energy, beta))
    chain = run(update, 1000, Rng(1), observables=observables, n_chains=8, warmup=200)
    return derive(chain.series, energy.n_spins, beta, extents)["correlation_length"]


def test_a_correlation_length_is_believed_up_to_the_critical_point_and_has_a_remark_where_the_lattice_is_ordered():
    """On 16×16 at β = 0.46 the formula gives 23 where the ordered phase has 6.6; at β_c it gives 0.905 L."""
    critical = chain_at(BETA_CRITICAL, (16, 16))
    assert (critical.reliable, critical.why) == (True, "")
    assert abs(critical.deviation(0.905 * 16)) < 5
    assert chain_at(0.35, (16, 16)).why == ""
    for beta in (0.46, 0.5, 0.7):
        ordered = chain_at(beta, (16, 16))
        assert ordered.reliable
        assert "longer than the lattice, 16" in ordered.why
    assert chain_at(0.2216546, (6, 6, 6)).why == ""
    assert "longer than the lattice, 6" in chain_at(0.26, (6, 6, 6)).why


def test_a_ring_never_orders_and_its_length_is_that_of_the_closed_form():
    """√u/(1 − u), u = tanh β, at any length of the ring; here it is longer than that."""
    found, u = chain_at(2.5, (32,)), math.tanh(2.5)
    assert found.why == ""
    assert found.value > 32
    assert abs(found.deviation(math.sqrt(u) / (1 - u))) < 5


@pytest.mark.parametrize(("value", "error", "marked"), [(8.5, 0.3, False), (8.5, 0.2, True), (7.0, 0.01, False)])
def test_lengths_beyond_the_lattice_are_marked_where_their_errors_say_so(value, error, marked):
    found = beyond_lattice(Estimate(value, error), (8, 8))
    assert (found.value, found.error, found.reliable) == (value, error, True)
    assert found.why.startswith("longer than the lattice, 8") == marked
    short = beyond_lattice(Estimate(value, error, reliable=False, why="short"), (8, 8))
    assert not short.reliable
    assert short.why.startswith("short; longer than") == marked


def test_unequal_extents_have_no_correlation_length():
    rng = np.random.default_rng(1)
    series = {name: rng.random((1, 200)) for name in ("energy", "magnetization", "structure_factor")}
    assert set(derive(series, 12, 0.5, (3, 4))) == NAMES
    del series["structure_factor"]
    assert set(derive(series, 16, 0.5, (4, 4))) == NAMES


def test_specific_heat_survives_a_large_offset():
    energies = np.random.default_rng(1).standard_normal((1, 5000))
    m = np.random.default_rng(2).random((1, 5000))
    plain = derive({"energy": energies, "magnetization": m}, 10, 0.5)["specific_heat"]
    shifted = derive({"energy": energies + 1e7, "magnetization": m}, 10, 0.5)["specific_heat"]
    assert shifted.value == pytest.approx(plain.value, rel=1e-6)
    assert shifted.error == pytest.approx(plain.error, rel=1e-4)


def test_ordered_state_is_flagged():
    series = {"energy": np.full((2, 100), -32.0), "magnetization": np.ones((2, 100))}
    estimates = derive(series, 16, 1.0)
    assert estimates["energy_per_spin"].value == -2
    assert not any(estimate.reliable for estimate in estimates.values())


def test_infinite_temperature_leaves_out_what_vanishes_there():
    series, _, _ = ising_draws(0.0, 1000, seed=3)
    assert set(derive(series, 9, 0.3, (3, 3))) - set(derive(series, 9, 0.0, (3, 3))) == {
        "specific_heat",
        "susceptibility",
        "correlation_length",
    }

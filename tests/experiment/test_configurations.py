"""Configurations to learn from follow the target and are a function of seed and step."""

import numpy as np
import pytest
import torch
from statistical import LIMIT, z_score

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.disorder import sherrington_kirkpatrick
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.known import exact_values
from nmcmc.experiment.configurations import (
    EVERY,
    MOST_RUNGS,
    N_CHAINS,
    N_DRAWS,
    Configurations,
    ladder,
    ordered,
    unfrustrated,
)
from nmcmc.random import Rng

SYSTEMS = {
    "hot": (1.0, 0.0, 0.25),
    "critical": (1.0, 0.0, 0.4406868),
    "cold": (1.0, 0.0, 0.5),
    "antiferromagnet": (-1.0, 0.0, 0.4406868),
    "mixed": ((1.0, -0.7), 0.0, 0.4),
    "glass": (np.random.default_rng(1).choice([-1.0, 1.0], 128), 0.0, 0.5),
    "field": (1.0, 0.1, 0.35),
    "antiferromagnet in a field": (-1.0, -0.5, 0.35),
}


def target_of(name, extents=(8, 8)):
    coupling, field, beta = SYSTEMS[name]
    return Boltzmann(LatticeEnergy(Lattice(extents), coupling, field), beta)


def test_they_depend_on_seed_and_step_only():
    target = target_of("hot", (4, 4))
    first, second = (Configurations(target, Rng(1).child("data")) for _ in range(2))
    steps = [0, EVERY - 1, EVERY, 5 * EVERY + 3]
    there = [first(step) for step in steps]
    back = [second(step) for step in reversed(steps)][::-1]
    assert all(torch.equal(a, b) for a, b in zip(there, back, strict=True))
    assert there[0] is there[1]
    assert len({part.numpy().tobytes() for part in there}) == 3
    assert not torch.equal(Configurations(target, Rng(2).child("data"))(0), there[0])
    for part in there:
        assert (part.dtype, tuple(part.shape)) == (torch.int8, (N_CHAINS * N_DRAWS, 16))
        assert set(part.unique().tolist()) == {-1, 1}


@pytest.mark.parametrize("name", SYSTEMS)
def test_they_have_the_energy_of_the_target_and_not_of_another_beta(name):
    target = target_of(name)
    configurations = Configurations(target, Rng(1))
    series = np.concatenate(
        [target.energy(configurations(k * EVERY).numpy()).reshape(N_CHAINS, N_DRAWS) / 64 for k in range(16)]
    )
    right, wrong = (exact_values(target.energy, b)["energy_per_spin"] for b in (target.beta, 1.03 * target.beta))
    assert abs(z_score(series, right)) < LIMIT
    assert abs(z_score(series, wrong)) > LIMIT


@pytest.mark.parametrize(("field", "beta"), [(0.0, 2.5), (0.05, 4.0)])
def test_of_a_cold_glass_they_come_from_ladders_because_clusters_and_heat_bath_stand_still(field, beta, monkeypatch):
    target, z = Boltzmann(sherrington_kirkpatrick(20, 3, field), beta), []
    exact = exact_values(target.energy, target.beta)["energy_per_spin"]
    for frustrated in (True, False):
        monkeypatch.setattr("nmcmc.experiment.configurations.unfrustrated", lambda energy, no=not frustrated: no)
        configurations = Configurations(target, Rng(1))
        sets = [configurations(k * EVERY).numpy() for k in range(16)]
        series = np.concatenate([target.energy(s).reshape(N_CHAINS, N_DRAWS) / 20 for s in sets])
        z.append(abs(z_score(series, exact)))
    assert z[0] < LIMIT
    assert z[1] > LIMIT


@pytest.mark.parametrize("name", ["cold", "antiferromagnet"])
def test_without_field_both_signs_are_as_frequent(name):
    target = target_of(name)
    m = Configurations(target, Rng(1))(0).numpy() @ ordered(target.energy)
    assert abs(np.sign(m).mean()) < 0.3
    assert np.abs(m).mean() > 32


@pytest.mark.parametrize(("field", "sign"), [(0.3, 1), (-0.3, -1)])
def test_in_a_field_and_cold_they_are_along_it(field, sign):
    target = Boltzmann(LatticeEnergy(Lattice((8, 8)), 1.0, field), 1.0)
    assert torch.all(sign * Configurations(target, Rng(1))(0).sum(dim=1) > 0)


def satisfied(energy, spins):
    i, j = energy.edges.T
    return energy.couplings * spins[i] * spins[j] >= 0


def test_order_is_a_ground_state_where_nothing_is_frustrated():
    lattice, rng = Lattice((6, 8)), np.random.default_rng(1)
    assert np.all(ordered(LatticeEnergy(lattice, 0.5)) == 1)
    gauge = rng.choice([-1, 1], 48)
    couplings = rng.random(lattice.n_bonds) * gauge[lattice.edges].prod(axis=1)
    for energy in (
        LatticeEnergy(lattice, -1.0),
        LatticeEnergy(lattice, (1.0, -0.5)),
        LatticeEnergy(lattice, couplings),
        PairwiseEnergy(5, [(4, 3), (1, 0), (3, 2)], [-1.0, -1.0, 1.0]),
    ):
        spins = ordered(energy)
        assert spins.dtype == np.int8
        assert set(spins.tolist()) == {-1, 1}
        assert np.all(satisfied(energy, spins))


def test_an_antiferromagnet_costs_as_many_clusters_as_a_ferromagnet():
    one, other = (
        Configurations(target_of(name, (16, 16)), Rng(1)).update.clusters for name in ("critical", "antiferromagnet")
    )
    assert other == pytest.approx(one, rel=0.5)


def test_systems_that_are_not_pairwise_are_refused():
    class Other:
        n_spins = 4

    with pytest.raises(TypeError, match="Other is not pairwise"):
        Configurations(Boltzmann(Other(), 0.4), Rng(1))


def test_in_a_weak_field_both_phases_are_there():
    """Chains at low temperature cannot turn over; their weights differ by exp(−2βhN) ≈ 0.91."""
    target = Boltzmann(LatticeEnergy(Lattice((8, 8)), 1.0, 0.001), 0.7)
    up = [target.energy.magnetization(Configurations(target, Rng(seed))(0).numpy()) > 0 for seed in range(4)]
    assert 0.25 < np.mean(up) < 0.8
    strong = Boltzmann(LatticeEnergy(Lattice((8, 8)), 1.0, 0.5), 0.7)
    assert np.all(strong.energy.magnetization(Configurations(strong, Rng(1))(0).numpy()) > 0)


@pytest.mark.parametrize("factor", [0.01, 1.0, 100.0])
def test_ladders_do_not_depend_on_the_unit_of_the_couplings(factor):
    glass = sherrington_kirkpatrick(50, 1)
    scaled = PairwiseEnergy(50, glass.edges, factor * glass.couplings)
    np.testing.assert_allclose(factor * ladder(scaled, 2.0 / factor), ladder(glass, 2.0), rtol=1e-12)
    assert Configurations(Boltzmann(scaled, 2.0 / factor), Rng(1)).rungs == len(ladder(glass, 2.0))


def test_ladders_rise_by_equal_steps_and_then_by_equal_ratios():
    glass = sherrington_kirkpatrick(50, 1)
    warm, cold = ladder(glass, 1.0), ladder(glass, 200.0)
    np.testing.assert_allclose(np.diff(warm), warm[0], rtol=1e-12)
    assert len(warm) == pytest.approx(50**0.5 / 2, abs=1)
    assert warm[-1] == 1.0
    assert cold[-1] == 200.0
    ratios = cold[1:] / cold[:-1]
    np.testing.assert_allclose(ratios[cold[:-1] > 2], ratios[-1], rtol=1e-9)
    assert np.all(np.diff(ratios) < 1e-9)


def test_ladders_have_two_to_so_many_temperatures():
    assert len(ladder(sherrington_kirkpatrick(200, 1), 1e30)) == MOST_RUNGS
    assert ladder(sherrington_kirkpatrick(10, 1), 1e-30).tolist() == [5e-31, 1e-30]


def clusters_of_two(coupling, fields, between=0.01):
    """Two pairs of spins that are coupled weakly."""
    return PairwiseEnergy(4, [(0, 1), (2, 3), (1, 2)], [coupling, coupling, between], fields)


@pytest.mark.parametrize(
    ("energy", "expected"),
    [
        (clusters_of_two(1.0, 0.5), True),
        (clusters_of_two(1.0, [0.5, 0.5, -0.5, -0.5]), False),
        (clusters_of_two(1.0, [0.5, 0.5, -0.5, -0.5], between=0.0), True),
        (clusters_of_two(1.0, [0.5, 0.5, -0.5, -0.5], between=-0.1), True),
        (clusters_of_two(-1.0, [0.5, 0.5, -0.5, -0.5]), False),
        (PairwiseEnergy(2, [(0, 1)], -1.0, 0.1), False),
        (PairwiseEnergy(2, [], 1.0, [0.1, -0.1]), True),
    ],
)
def test_fields_that_compete_make_ladders(energy, expected):
    assert unfrustrated(energy) is expected
    assert (Configurations(Boltzmann(energy, 2.0), Rng(1)).rungs == 1) is expected


def test_chains_in_fields_start_where_every_field_is_satisfied():
    energy = PairwiseEnergy(4, [(0, 1), (2, 3)], 5.0, [0.5, 0.5, -0.5, 0.0])
    assert np.all(Configurations(Boltzmann(energy, 20.0), Rng(1))(0).numpy() == [1, 1, -1, -1])

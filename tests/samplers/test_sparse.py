"""The sparse net: its inputs are the partial fields, its fast draw is the slow one, and enough of it is exact."""

import math

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.samplers.known_fields import KnownFields
from nmcmc.samplers.sparse import SparseSampler
from nmcmc.training.loop import Plan, train
from nmcmc.training.objectives import reverse_kl


def random_graph(n, seed=1, field=0.3, p=0.4):
    rng = np.random.default_rng(seed)
    edges = [(i, j) for i in range(n) for j in range(i) if rng.random() < p]
    return PairwiseEnergy(n, edges, rng.normal(size=len(edges)), field * rng.normal(size=n))


SYSTEMS = {
    "graph": random_graph(11),
    "graph without field": random_graph(11, field=0.0),
    "torus": LatticeEnergy(Lattice((3, 4))),
    "double bonds": LatticeEnergy(Lattice((2, 5)), 0.7, 0.2),
    "open, J of zero": LatticeEnergy(Lattice((4, 3), "open"), (1.0, 0.0)),
    "no bonds": PairwiseEnergy(4, [], fields=[0.1, -0.2, 0.3, 0.0]),
}


@pytest.fixture(params=SYSTEMS)
def energy(request):
    return SYSTEMS[request.param]


def partial_fields(energy, beta, spins):
    """x_il = 2β Σ_{j<i} J_jl s_j, (batch, i, l), by its definition."""
    n = energy.n_spins
    matrix = np.zeros((n, n))
    for (i, j), coupling in zip(energy.edges, energy.couplings, strict=True):
        matrix[i, j] += coupling
        matrix[j, i] += coupling
    before = np.tril(np.ones((n, n)), -1)
    return 2 * beta * np.einsum("ij,bj,jl->bil", before, spins.astype(float), matrix)


def test_the_inputs_of_spin_i_are_the_fields_that_its_predecessors_changed(energy):
    spins = np.random.default_rng(2).choice(np.array([-1, 1], dtype=np.int8), size=(9, energy.n_spins))
    sampler, expected = SparseSampler(energy, 0.7, rng=Rng(1)), partial_fields(energy, 0.7, spins)
    x = sampler.known(torch.from_numpy(spins).float()).flatten(1)[:, sampler.places] * sampler.mask
    start, sites = sampler.known.frontier()
    changed = np.any(partial_fields(energy, 0.7, np.ones((1, energy.n_spins))) != 0, axis=0)
    for i in range(energy.n_spins):
        mine = sites[start[i] : start[i + 1]]
        np.testing.assert_allclose(x[:, i, : len(mine)], expected[:, i, mine], atol=1e-5)
        missing = [l for l in range(i + 1, energy.n_spins) if l not in mine]
        np.testing.assert_allclose(expected[:, i, missing], 0, atol=1e-12)
        assert np.all(changed[i, mine])
    own = expected[:, np.arange(energy.n_spins), np.arange(energy.n_spins)]
    np.testing.assert_allclose(sampler.known.total(torch.from_numpy(spins).float()), own, atol=1e-5)


def test_a_lattice_has_no_more_inputs_than_a_row_or_two():
    start, _ = KnownFields(LatticeEnergy(Lattice((8, 8), "open")), 0.5).frontier()
    assert np.diff(start).max() == 7
    start, _ = KnownFields(LatticeEnergy(Lattice((8, 8))), 0.5).frontier()
    assert np.diff(start).max() == 15


def test_a_fresh_net_is_the_physics(energy):
    states = all_states(energy.n_spins)
    expected = partial_fields(energy, 0.6, states)[:, np.arange(energy.n_spins), np.arange(energy.n_spins)]
    logits = SparseSampler(energy, 0.6, rng=Rng(1)).logits(torch.from_numpy(states).float()).detach()
    np.testing.assert_allclose(logits, expected + 1.2 * energy.fields, atol=1e-5)


@pytest.mark.parametrize(("width", "depth"), [(1, 1), (3, 1), (5, 2), (2, 3)])
def test_the_incremental_draw_is_the_one_by_full_passes(energy, width, depth):
    sampler = perturbed(SparseSampler(energy, 0.7, width=width, depth=depth, rng=Rng(1)))
    fast, slow = sampler.sample(150, Rng(2)), sampler.sample_by_passes(150, Rng(2))
    assert torch.equal(fast.spins, slow.spins)
    torch.testing.assert_close(fast.log_prob, slow.log_prob, rtol=1e-6, atol=1e-6)


def test_logit_i_ignores_spins_from_i_on(energy):
    sampler = perturbed(SparseSampler(energy, 0.7, width=3, depth=2, rng=Rng(1)))
    spins = torch.from_numpy(all_states(energy.n_spins)[::7]).float()
    logits = sampler.logits(spins)
    for i in range(energy.n_spins):
        flipped = spins.clone()
        flipped[:, i:] *= -1
        assert torch.equal(sampler.logits(flipped)[:, : i + 1], logits[:, : i + 1])


def test_without_field_both_signs_are_equally_likely(energy):
    sampler = perturbed(SparseSampler(energy, 0.7, width=3, depth=2, rng=Rng(1)))
    states = torch.from_numpy(all_states(energy.n_spins))
    both = sampler.log_prob(states), sampler.log_prob(-states)
    assert torch.allclose(*both, rtol=1e-5, atol=1e-6) == (not energy.has_field)


def test_an_open_chain_is_exact_from_the_start():
    """There P(s_i | s_<i) = σ(2βJ s_i s_(i−1)), which is the known field."""
    sampler = SparseSampler(LatticeEnergy(Lattice((7,), "open"), 1.3), 0.8, rng=Rng(1))
    log_p = np.log(probabilities(sampler.energy, 0.8))
    np.testing.assert_allclose(sampler.log_prob(torch.from_numpy(all_states(7))).detach(), log_p, atol=1e-5)


def test_training_comes_close_to_the_target():
    energy = LatticeEnergy(Lattice((3, 4)), np.random.default_rng(3).normal(size=24))
    target = Boltzmann(energy, 0.6)
    sampler = SparseSampler(energy, 0.6, width=4, rng=Rng(1))
    p, states = probabilities(energy, 0.6), torch.from_numpy(all_states(12))

    def kl():
        log_q = sampler.log_prob(states).detach().numpy()
        return float(np.exp(log_q) @ (log_q - np.log(p)))

    before = kl()
    train(sampler, target, reverse_kl, Plan(steps=100, n_evaluate=100), Rng(2))
    assert before > 0.2
    assert kl() < 0.1 * before


@pytest.mark.parametrize("sizes", [{"width": 0}, {"depth": 0}])
def test_empty_nets_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes ≥ 1"):
        SparseSampler(SYSTEMS["torus"], 0.4, **sizes, rng=Rng(1))


def test_impossible_beta_is_refused():
    with pytest.raises(ValueError, match="beta is"):
        SparseSampler(SYSTEMS["torus"], math.nan, rng=Rng(1))

"""A sampler averaged over translations: still normalised, closer to its target, and refused where it would not be."""

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.analysis.importance import kl
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical import sampler as module
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.symmetrized import SymmetrizedSampler, translations

BETA = 0.44
TORUS = LatticeEnergy(Lattice((4, 4)), 1.0, 0.1)


def averaged(energy, k, sampler=None):
    base = sampler or perturbed(HierarchicalSampler(energy, BETA, leaf=1, width=2, rng=Rng(1)))
    return SymmetrizedSampler(base, translations(energy, k))


@pytest.mark.parametrize(
    ("extents", "boundary", "k"),
    [
        ((4, 6), "periodic", 3),
        ((8, 5), ("periodic", "open"), 4),
        ((8, 8), "periodic", 4),
        ((6,), "periodic", 3),
        ((4, 30), ("open", "periodic"), 15),
    ],
)
def test_translations_are_different_and_leave_the_energy_as_it_is(extents, boundary, k):
    energy = LatticeEnergy(Lattice(extents, boundary), 1.0, 0.3)
    sites = translations(energy, k)
    assert np.array_equal(sites[0], np.arange(energy.n_spins))
    assert len({row.tobytes() for row in sites}) == k
    spins = 2 * np.random.default_rng(1).integers(0, 2, (20, energy.n_spins), dtype=np.int8) - 1
    for row in sites:
        np.testing.assert_allclose(energy(spins[:, row]), energy(spins), rtol=1e-12)


def test_the_distribution_is_the_mean_of_the_translated_ones():
    base = perturbed(HierarchicalSampler(TORUS, BETA, leaf=1, width=2, rng=Rng(1)))
    states, lattice = all_states(16), all_states(16).reshape(-1, 4, 4)
    shift = np.unravel_index(translations(TORUS, 2)[1, 0], (4, 4))
    moved = np.roll(lattice, [-s for s in shift], (1, 2)).reshape(-1, 16)
    with torch.no_grad():
        one, other, both = (
            sampler.log_prob(torch.from_numpy(np.ascontiguousarray(spins))).exp().numpy()
            for sampler, spins in ((base, states), (base, moved), (averaged(TORUS, 2, base), states))
        )
    np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-12)
    assert np.abs(one - other).max() > 1e-6


@pytest.mark.parametrize("pad", [0, 1, 8])
def test_draws_take_one_number_more_than_spins_however_far_apart_rows_are(monkeypatch, pad):
    """They are those of the base at all numbers but the last of each row, which chooses the translation."""
    sampler, numbers = averaged(TORUS, 2), Rng(5).uniform((50, 17))
    whole, spins = sampler.sampler.whole, torch.zeros((50, 16), dtype=torch.int8)
    whole.draw_lines(spins, numbers)
    whole.draw_leaves(spins, numbers)
    back = sampler.back[(numbers[:, 16] * 2).long()]
    monkeypatch.setattr(module, "PAD", pad)
    assert torch.equal(sampler.sample(50, Rng(5)).spins, spins.gather(1, back))


def test_draws_follow_the_distribution():
    """χ² over the 16 classes of the first row and column's four spins; those of one translation alone do not fit."""
    sampler = averaged(TORUS, 2)
    n, states = 40_000, torch.from_numpy(all_states(16))
    drawn = sampler.sample(n, Rng(3)).spins
    powers = torch.tensor([1, 2, 4, 8])

    def classes(spins):
        return ((spins[:, [0, 1, 4, 6]] > 0).long() * powers).sum(dim=1)

    counts = torch.bincount(classes(drawn), minlength=16).numpy()

    def chi_square(distribution):
        with torch.no_grad():
            p = distribution.log_prob(states).exp().numpy()
        expected = n * np.bincount(classes(states).numpy(), weights=p, minlength=16)
        return float(((counts - expected) ** 2 / expected).sum())

    limit = 15 + 5 * 30**0.5
    assert chi_square(sampler) < limit < chi_square(sampler.sampler)


def test_averaging_lowers_the_divergence():
    target, base = Boltzmann(TORUS, BETA), perturbed(HierarchicalSampler(TORUS, BETA, leaf=1, width=2, rng=Rng(1)))
    states = all_states(16)
    p = probabilities(TORUS, BETA)

    def divergence(sampler):
        with torch.no_grad():
            log_q = sampler.log_prob(torch.from_numpy(states)).numpy()
        return float(np.exp(log_q) @ (log_q - np.log(p)))

    one, two = divergence(base), divergence(averaged(TORUS, 2, base))
    assert 0 < two < one - 0.1
    draw = averaged(TORUS, 2, base).sample(20_000, Rng(4))
    found = kl(target.log_density(draw.spins.numpy()) - draw.log_prob.numpy(), log_z(target))
    assert abs(found.deviation(two)) < 5
    assert abs(found.deviation(one)) > 5


def log_z(target):
    density = target.log_density(all_states(16))
    return float(np.logaddexp.reduce(density))


@pytest.mark.parametrize(
    ("energy", "k", "message"),
    [
        (LatticeEnergy(Lattice((4, 4), "open")), 2, "need an axis that is periodic"),
        (LatticeEnergy(Lattice((4, 4)), np.linspace(0.5, 1, 32)), 2, "couplings and field that are uniform"),
        (LatticeEnergy(Lattice((4, 6))), 4, "choose from 1 to 3"),
        (LatticeEnergy(Lattice((4, 6))), 0, "0 translations are asked for"),
    ],
)
def test_what_is_no_symmetry_is_refused(energy, k, message):
    with pytest.raises(ValueError, match=message):
        translations(energy, k)


@pytest.mark.parametrize("sites", [np.zeros((2, 16)), np.arange(16), np.empty((0, 16)), np.arange(15)[None]])
def test_sites_must_be_permutations(sites):
    with pytest.raises(ValueError, match=r"give K ≥ 1 permutations of 16 spins, \(K, 16\)"):
        SymmetrizedSampler(perturbed(HierarchicalSampler(TORUS, BETA, leaf=1, width=2, rng=Rng(1))), sites)

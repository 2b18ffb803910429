"""The PixelCNN: masks that keep causality, a fast draw that is the slow one, both signs alike without a field."""

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.samplers.pixelcnn import PixelCNNSampler
from nmcmc.training.loop import Plan, train
from nmcmc.training.objectives import forward_kl, reverse_kl


def glass(extents, field=0.3, boundary="periodic"):
    lattice, rng = Lattice(extents, boundary), np.random.default_rng(1)
    return LatticeEnergy(lattice, rng.normal(size=lattice.n_bonds), field * rng.normal(size=lattice.n_spins))


SYSTEMS = {
    "torus": LatticeEnergy(Lattice((4, 3))),
    "torus in a field": LatticeEnergy(Lattice((3, 4)), 0.8, 0.3),
    "glass": glass((3, 4)),
    "glass without field": glass((2, 5), 0.0, "open"),
}


@pytest.fixture(params=SYSTEMS)
def energy(request):
    return SYSTEMS[request.param]


@pytest.mark.parametrize(("width", "depth", "half_kernel"), [(2, 1, 1), (3, 2, 1), (5, 3, 2), (1, 2, 3), (4, 2, 6)])
def test_the_incremental_draw_is_the_one_by_full_passes(energy, width, depth, half_kernel):
    size = {"width": width, "depth": depth, "half_kernel": half_kernel}
    sampler = perturbed(PixelCNNSampler(energy, 0.6, **size, rng=Rng(1)), scale=0.1)
    fast, slow = sampler.sample(150, Rng(2)), sampler.sample_by_passes(150, Rng(2))
    assert torch.equal(fast.spins, slow.spins)
    torch.testing.assert_close(fast.log_prob, slow.log_prob, rtol=1e-6, atol=1e-6)


def test_rows_out_of_sight_are_replaced():
    """More rows than the cache keeps, and more configurations than one group of lanes."""
    sampler = perturbed(PixelCNNSampler(glass((9, 4)), 0.5, width=3, depth=3, half_kernel=2, rng=Rng(1)), scale=0.1)
    fast, slow = sampler.sample(70, Rng(2)), sampler.sample_by_passes(70, Rng(2))
    assert torch.equal(fast.spins, slow.spins)
    torch.testing.assert_close(fast.log_prob, slow.log_prob, rtol=1e-6, atol=1e-6)


def test_logit_i_ignores_spins_from_i_on(energy):
    sampler = perturbed(PixelCNNSampler(energy, 0.6, width=3, depth=3, half_kernel=2, rng=Rng(1)))
    n = energy.n_spins
    spins = torch.from_numpy(all_states(n)[::37]).float()
    logits = sampler.logits(spins)
    for i in range(n):
        flipped = spins.clone()
        flipped[:, i:] *= -1
        torch.testing.assert_close(sampler.logits(flipped)[:, : i + 1], logits[:, : i + 1], rtol=0, atol=1e-5)
        if i % energy.lattice.extents[1]:  # the left neighbour is seen
            flipped = spins.clone()
            flipped[:, i - 1] *= -1
            assert not torch.allclose(sampler.logits(flipped)[:, i], logits[:, i], atol=1e-3)


def test_a_site_sees_as_far_as_its_kernels_reach():
    sampler = perturbed(
        PixelCNNSampler(LatticeEnergy(Lattice((6, 7), "open"), 1.0, 0.1), 0.0, half_kernel=1, rng=Rng(1))
    )
    spins = torch.ones(1, 42)
    changed = spins.clone()
    changed[0, 16] = -1  # row 2, column 2
    moved = (sampler.logits(spins) != sampler.logits(changed)).reshape(6, 7)
    # Three masked convolutions of reach 1: three rows down, and to the right along the own row.
    assert set(np.argwhere(moved.numpy())[:, 0]) == {2, 3, 4, 5}
    assert moved[2].tolist() == [False, False, False, True, True, True, False]


def test_without_field_both_signs_are_equally_likely(energy):
    sampler = perturbed(PixelCNNSampler(energy, 0.6, width=3, depth=2, half_kernel=1, rng=Rng(1)))
    states = torch.from_numpy(all_states(energy.n_spins))
    both = sampler.log_prob(states), sampler.log_prob(-states)
    assert torch.allclose(*both, rtol=1e-5, atol=1e-6) == (not energy.has_field)
    assert float(both[0].exp().sum().detach()) == pytest.approx(1, abs=1e-6)


def test_a_fresh_net_is_the_field_of_the_known_neighbours():
    energy = SYSTEMS["glass"]
    states = all_states(12)
    expected = np.zeros((len(states), 12)) + 1.2 * energy.fields
    for (i, j), coupling in zip(energy.edges, energy.couplings, strict=True):
        expected[:, max(i, j)] += 1.2 * coupling * states[:, min(i, j)]
    logits = PixelCNNSampler(energy, 0.6, rng=Rng(1)).logits(torch.from_numpy(states).float())
    np.testing.assert_allclose(logits.detach(), expected, atol=1e-5)


@pytest.mark.parametrize("objective", ["reverse", "forward"])
def test_training_comes_close_to_the_target(objective):
    energy = LatticeEnergy(Lattice((3, 4)))
    target, states = Boltzmann(energy, 0.44), all_states(12)
    sampler = PixelCNNSampler(energy, 0.44, width=4, depth=2, half_kernel=1, rng=Rng(1))
    p = probabilities(energy, 0.44)

    def kl():
        log_q = sampler.log_prob(torch.from_numpy(states)).detach().numpy()
        return float(np.exp(log_q) @ (log_q - np.log(p)))

    chosen = np.random.default_rng(1).choice(len(p), 4000, p=p)
    data = torch.from_numpy(states[chosen])

    def learn(sampler, target, rng, step=0):
        return forward_kl(sampler, target, rng, step, configurations=lambda step: data)

    before = kl()
    loss = reverse_kl if objective == "reverse" else learn
    train(sampler, target, loss, Plan(steps=100, n_evaluate=100), Rng(2))
    assert before > 0.3
    assert kl() < 0.15 * before


@pytest.mark.parametrize("lattice", [Lattice((6,)), Lattice((2, 2, 2))])
def test_other_lattices_are_refused(lattice):
    with pytest.raises(ValueError, match="needs a two-dimensional lattice"):
        PixelCNNSampler(LatticeEnergy(lattice), 0.4, rng=Rng(1))


@pytest.mark.parametrize("sizes", [{"width": 0}, {"depth": 0}, {"half_kernel": 0}])
def test_empty_nets_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes ≥ 1"):
        PixelCNNSampler(SYSTEMS["torus"], 0.4, **sizes, rng=Rng(1))

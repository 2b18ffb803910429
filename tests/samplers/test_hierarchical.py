import math

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical import sampler as module
from nmcmc.samplers.hierarchical.block import Block, gather
from nmcmc.samplers.hierarchical.leaves import Leaves
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.masked_net import MaskedNet

BOUNDARIES = ["periodic", "open", ("periodic", "open"), ("open", "periodic")]


def random_energy(extents, boundary="periodic", seed=1, field=0.3):
    lattice, rng = Lattice(extents, boundary), np.random.default_rng(seed)
    return LatticeEnergy(lattice, rng.normal(size=lattice.n_bonds), field * rng.normal(size=lattice.n_spins))


def sampler_on(energy, beta=0.44, **options):
    return perturbed(HierarchicalSampler(energy, beta, rng=Rng(1), **options))


def total_probability(sampler):
    states = torch.from_numpy(all_states(sampler.n_spins))
    with torch.no_grad():
        return math.fsum(float(sampler.log_prob(part).exp().sum()) for part in states.split(2**17))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("leaf", "depth"), [(1, 1), (2, 1), (3, 2)])
def test_probabilities_add_up_to_one(boundary, leaf, depth):
    sampler = sampler_on(random_energy((4, 4), boundary), leaf=leaf, depth=depth, width=2)
    assert total_probability(sampler) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("extents", "boundary"),
    [((4, 5), "periodic"), pytest.param((5, 4), ("open", "periodic"), marks=pytest.mark.slow)],
)
def test_probabilities_of_a_4x5_lattice_add_up_to_one(extents, boundary):
    assert total_probability(sampler_on(random_energy(extents, boundary), leaf=3, width=2)) == pytest.approx(
        1, abs=1e-6
    )


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("extents", [(4, 4), (5, 7), (12, 9)])
@pytest.mark.parametrize(("leaf", "depth"), [(1, 1), (3, 2), (7, 1)])
def test_log_prob_of_a_draw_is_what_sample_said(extents, boundary, leaf, depth):
    for energy in (random_energy(extents, boundary), LatticeEnergy(Lattice(extents, boundary))):
        sampler = sampler_on(energy, leaf=leaf, depth=depth, width=2)
        draw = sampler.sample(100, Rng(2))
        assert draw.log_prob.dtype == torch.float64
        torch.testing.assert_close(sampler.log_prob(draw.spins), draw.log_prob, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("garbage", [-1, 0, 77])
def test_a_draw_reads_no_spin_before_it_is_drawn(monkeypatch, garbage):
    sampler, empty = sampler_on(random_energy((12, 9)), leaf=3, width=2), torch.empty

    def littered(*shape, **options):
        room = empty(*shape, **options)
        return room.fill_(garbage) if room.dtype == torch.int8 else room

    draw, log_weight = sampler.sample(100, Rng(2)), sampler.sample_log_weight(100, Rng(2))
    monkeypatch.setattr(torch, "empty", littered)
    again = sampler.sample(100, Rng(2))
    assert torch.equal(again.spins, draw.spins)
    assert torch.equal(again.log_prob, draw.log_prob)
    assert torch.equal(sampler.sample_log_weight(100, Rng(2)), log_weight)


@pytest.mark.parametrize("pad", [0, 1, 8])
def test_a_draw_is_that_of_plain_arrays_however_far_apart_its_rows_are(monkeypatch, pad):
    sampler = sampler_on(random_energy((12, 9)), leaf=3, width=2)
    spins, uniforms = torch.zeros((100, 108), dtype=torch.int8), Rng(2).uniform((100, 108))
    log_q = sampler.whole.draw_lines(spins, uniforms)
    log_z = sampler.whole.draw_leaves(spins, uniforms)
    leaves = sampler.whole.line_energy(spins) - sampler.energy(spins)
    monkeypatch.setattr(module, "PAD", pad)
    draw = sampler.sample(100, Rng(2))
    assert torch.equal(draw.spins, spins)
    assert torch.equal(draw.log_prob, log_q + (sampler.beta * leaves - log_z))


@pytest.mark.parametrize(("extents", "leaf"), [((12, 9), 3), ((16, 16), 7)])
def test_the_path_of_other_devices_draws_the_same_configurations(monkeypatch, extents, leaf):
    sampler = sampler_on(random_energy(extents), leaf=leaf, width=2)
    by_kernels, weights = sampler.sample(17, Rng(2)), sampler.sample_log_weight(17, Rng(2))
    monkeypatch.setattr(MaskedNet, "draw", MaskedNet.draw_by_torch)
    monkeypatch.setattr(Leaves, "draw", Leaves.by_torch)
    monkeypatch.setattr(Leaves, "log_z", lambda leaves, spins: leaves.by_torch(spins, None))
    by_torch = sampler.sample(17, Rng(2))
    assert torch.equal(by_torch.spins, by_kernels.spins)
    torch.testing.assert_close(by_torch.log_prob, by_kernels.log_prob, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(sampler.sample_log_weight(17, Rng(2)), weights, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("leaf", [1, 3, 7])
def test_leaves_summed_out_leave_the_weight_of_the_draw_as_it_is(boundary, leaf):
    energy = random_energy((8, 9), boundary)
    sampler = sampler_on(energy, leaf=leaf, width=2)
    draw = sampler.sample(70, Rng(2))
    log_weight = Boltzmann(energy, 0.44).log_density(draw.spins) - draw.log_prob
    torch.testing.assert_close(sampler.sample_log_weight(70, Rng(2)), log_weight, rtol=1e-10, atol=1e-9)


def test_the_block_of_the_whole_lattice_weighs_as_the_sampler_does():
    sampler = sampler_on(random_energy((8, 8)), leaf=3, width=2)
    key = sampler.keys[0]
    inputs, log_weight = sampler.draw_block(key, torch.empty((50, 0), dtype=torch.int8), Rng(2))
    torch.testing.assert_close(log_weight, sampler.sample_log_weight(50, Rng(2)), rtol=1e-12, atol=1e-12)
    spins = sampler.sample(50, Rng(2)).spins
    line = sampler.groups[key].line[0]
    assert torch.equal(inputs, spins[:, line].float())


@pytest.mark.parametrize("leaf", [1, 3])
def test_the_weight_of_a_block_is_that_of_its_inside(leaf):
    """log w = −βH(bonds that touch the inside) − log q(inside), whatever is drawn in the leaves."""
    energy = random_energy((8, 8))
    sampler = sampler_on(energy, leaf=leaf, width=2)
    for key in sampler.keys:
        block, region = sampler.block(key), sampler.groups[key].region
        borders = torch.from_numpy(np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (20, region.n_border)))
        _, log_weight = sampler.draw_block(key, borders, Rng(5))
        uniforms = Rng(5).uniform((20, region.n_sites))
        spins = torch.cat([borders, torch.ones((20, region.fields.size), dtype=torch.int8)], dim=1)
        log_q = block.draw_lines(spins, uniforms)
        log_z = block.draw_leaves(spins, uniforms)
        edges, couplings = region.edges
        s = spins.numpy().astype(float)
        inside = s[:, region.n_border :] @ region.fields.ravel()
        minus_h = (s[:, edges[:, 0]] * s[:, edges[:, 1]]) @ couplings + inside
        lines = -0.44 * block.line_energy(spins)
        log_q_leaves = 0.44 * minus_h - lines.numpy() - log_z.numpy()
        np.testing.assert_allclose(log_weight, 0.44 * minus_h - log_q.numpy() - log_q_leaves, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(block.log_prob_lines(spins).detach(), log_q, rtol=1e-5, atol=1e-6)


def test_what_fits_a_leaf_is_exact_and_has_no_net():
    energy = random_energy((4, 4), "open")
    sampler = HierarchicalSampler(energy, 0.7, leaf=7, rng=Rng(1))
    assert sampler.keys == []
    states = torch.from_numpy(all_states(16))
    np.testing.assert_allclose(sampler.log_prob(states), np.log(probabilities(energy, 0.7)), rtol=0, atol=1e-6)
    draw = sampler.sample(10, Rng(1))
    torch.testing.assert_close(sampler.log_prob(draw.spins), draw.log_prob, rtol=1e-12, atol=0)
    log_z = Boltzmann(energy, 0.7).log_density(draw.spins) - draw.log_prob
    torch.testing.assert_close(sampler.sample_log_weight(10, Rng(1)), log_z, rtol=1e-12, atol=0)


def test_at_infinite_temperature_a_fresh_sampler_is_exact():
    sampler = HierarchicalSampler(random_energy((5, 6)), 0.0, leaf=3, rng=Rng(1))
    np.testing.assert_allclose(sampler.sample(9, Rng(2)).log_prob, -30 * math.log(2), rtol=1e-12)


@pytest.mark.parametrize(("boundary", "leaf"), [("open", 7), ("periodic", 3), (("open", "periodic"), 1)])
def test_draws_follow_q_and_not_q_at_another_beta(boundary, leaf):
    energy, n = random_energy((4, 4), boundary), 100_000
    states = torch.from_numpy(all_states(16))
    e = energy(all_states(16))
    sampler = sampler_on(energy, leaf=leaf, width=2)
    drawn = sampler.sample(n, Rng(3)).spins.numpy()
    for beta, right in ((0.44, True), (0.44 * 1.03, False)):
        twin = perturbed(HierarchicalSampler(energy, beta, leaf=leaf, width=2, rng=Rng(1)))
        q = twin.log_prob(states).exp().detach().numpy()
        z = (energy(drawn).mean() - q @ e) / math.sqrt((q @ e**2 - (q @ e) ** 2) / n)
        assert (abs(z) < 5) == right
        if right:
            correlation = (drawn.T.astype(float) @ drawn) / n
            exact = (all_states(16) * q[:, None]).T @ all_states(16)
            error = np.sqrt((1 - np.minimum(exact**2, 1)) / n) + np.eye(16)
            assert np.max(np.abs(correlation - exact) / error) < 5


@pytest.mark.parametrize("leaf", [1, 3])
def test_without_field_a_configuration_is_as_probable_as_its_negative(leaf):
    sampler = sampler_on(random_energy((8, 9), field=0.0), leaf=leaf, width=2)
    spins = sampler.sample(64, Rng(2)).spins
    torch.testing.assert_close(sampler.log_prob(spins), sampler.log_prob(-spins), rtol=1e-12, atol=0)
    field = sampler_on(random_energy((8, 9)), leaf=leaf, width=2)
    assert (field.log_prob(spins) - field.log_prob(-spins)).abs().max() > 0.1


def test_draws_do_not_depend_on_the_number_of_threads(set_threads):
    sampler = sampler_on(random_energy((12, 9)), leaf=3, width=2)
    draws = []
    for number in (1, 2):
        set_threads(number)
        draws.append(sampler.sample(33, Rng(2)))
    assert torch.equal(draws[0].spins, draws[1].spins)
    assert torch.equal(draws[0].log_prob, draws[1].log_prob)


@pytest.mark.parametrize(("extents", "leaf"), [((16, 16), 3), ((9, 9), 1)])
def test_borders_are_those_of_draws(extents, leaf):
    sampler = sampler_on(LatticeEnergy(Lattice(extents)), leaf=leaf, width=2)
    for key, group in sampler.groups.items():
        n = 3 * len(group.sites)
        expected = sampler.borders_of(key, sampler.sample(3, Rng(4)).spins)
        drawn = sampler.draw_borders(key, n, Rng(4))
        assert sorted(drawn.tolist()) == sorted(expected.tolist())
        assert sampler.draw_borders(key, n - 1, Rng(4)).shape == (n - 1, group.region.n_border)


def test_every_block_may_lend_its_border():
    sampler = sampler_on(LatticeEnergy(Lattice((16, 16))), leaf=1, width=2)
    key, group = max(sampler.groups.items(), key=lambda item: len(item[1].sites))
    chosen = set()
    for seed in range(200):
        every = sampler.borders_of(key, sampler.sample(1, Rng(seed)).spins).tolist()
        chosen.add(every.index(sampler.draw_borders(key, 1, Rng(seed))[0].tolist()))
    assert chosen == set(range(len(group.sites)))
    assert len(chosen) == 16


def test_cross_entropy_of_single_blocks_is_that_of_the_lines():
    """With spins in place of chances, and every block of every configuration once, the loss is −E[log q]."""
    sampler = sampler_on(random_energy((8, 8)), leaf=3, width=2)
    spins = sampler.sample(40, Rng(3)).spins
    inputs = {key: gather(spins, group) for key, group in sampler.groups.items()}
    hard = [
        sampler.nets[key].cross_entropy(rows, (1 + rows[:, group.region.n_border :]) / 2)
        for (key, group), rows in zip(sampler.groups.items(), inputs.values(), strict=True)
    ]
    expected = -sampler.whole.log_prob_lines(spins).mean()
    torch.testing.assert_close(sum(hard).double(), expected)


def test_cross_entropy_adds_up_the_trained_nets_each_on_windows_of_its_own():
    sampler = sampler_on(LatticeEnergy(Lattice((8, 8))), leaf=3, width=2)
    spins = sampler.sample(5, Rng(3)).spins
    parts = {
        key: net.cross_entropy(*sampler.windows(key, spins, 30, Rng(1).child(key))) for key, net in sampler.nets.items()
    }
    torch.testing.assert_close(sampler.cross_entropy(spins, 30, Rng(1)), sum(parts.values()))
    sampler.train_only(sampler.keys[1])
    torch.testing.assert_close(sampler.cross_entropy(spins, 30, Rng(1)), parts[sampler.keys[1]])


def test_one_net_alone_is_trained_and_biases_without_field_stay_frozen():
    for field in (0.0, 0.3):
        sampler = sampler_on(LatticeEnergy(Lattice((16, 16)), 1.0, field), leaf=3, width=2)
        before = {name for name, p in sampler.named_parameters() if p.requires_grad}
        for key in sampler.keys:
            sampler.train_only(key)
            assert sampler.trained_keys == [key]
            free = {name for name, p in sampler.named_parameters() if p.requires_grad}
            assert free == {name for name in before if name.startswith(f"nets.{key}.")}
            assert any("bias" in name for name in free) == (field != 0)


@pytest.mark.parametrize(("extents", "leaf"), [((16, 16), 1), ((13, 11), 2)])
def test_the_keys_inside_are_those_that_draw_the_rest_of_a_block(extents, leaf):
    sampler = sampler_on(LatticeEnergy(Lattice(extents)), leaf=leaf, width=2)
    for key, group in sampler.groups.items():
        block = set(group.sites[0, group.region.n_border :].tolist()) - set(group.line[0].tolist())
        inside = [
            other
            for other in sampler.keys
            if any(block.issuperset(line) for line in sampler.groups[other].line.tolist())
        ]
        assert sampler.keys_inside(key) == inside
    assert sampler.keys_inside(sampler.keys[0]) == sampler.keys[1:]


def test_a_net_starts_the_same_on_every_lattice_that_has_its_block():
    small, large = (HierarchicalSampler(LatticeEnergy(Lattice((e, e))), 0.44, leaf=1, rng=Rng(1)) for e in (16, 32))
    shared = [key for key in small.keys if key in large.keys]
    assert [key.split("_")[1] for key in shared] == ["7x7", "3x7", "3x3"]
    for key in shared:
        for a, b in zip(small.nets[key].parameters(), large.nets[key].parameters(), strict=True):
            assert torch.equal(a, b)


def test_nets_start_at_the_field_of_known_neighbours():
    """With one line left to draw between exact leaves, 2β Σ J s is the whole logit but for the leaves' pull."""
    energy = random_energy((4, 4))
    sampler = HierarchicalSampler(energy, 0.44, leaf=3, rng=Rng(1))
    group = sampler.groups[sampler.keys[1]]
    spins = sampler.sample(20, Rng(2)).spins
    sites = group.sites[0]
    border, line = sites[: group.region.n_border].tolist(), sites[group.cut.line].tolist()
    logits = sampler.nets[sampler.keys[1]].logits(spins[:, border + line].float()).detach()
    for i, site in enumerate(line):
        known = set(border + line[:i])
        pull = np.full(20, energy.fields[site])
        for (a, b), coupling in zip(energy.edges.tolist(), energy.couplings.tolist(), strict=True):
            if site in (a, b) and a + b - site in known:
                pull += coupling * spins[:, a + b - site].numpy()
        np.testing.assert_allclose(logits[:, i], 0.88 * pull, rtol=1e-5, atol=1e-6)


def test_nets_get_biases_only_where_a_field_acts():
    lattice = Lattice((8, 8))
    field = np.zeros(64)
    field[0] = 0.5
    sampler = HierarchicalSampler(LatticeEnergy(lattice, 1.0, field), 0.44, leaf=3, rng=Rng(1))
    assert [net.biases for net in sampler.nets.values()] == [True] + [False] * (len(sampler.nets) - 1)
    without = HierarchicalSampler(LatticeEnergy(lattice), 0.44, leaf=3, rng=Rng(1))
    assert not any(net.biases for net in without.nets.values())


@pytest.mark.parametrize("beta", [-0.1, math.nan, math.inf])
def test_impossible_beta_is_refused(beta):
    with pytest.raises(ValueError, match="beta is"):
        HierarchicalSampler(LatticeEnergy(Lattice((4, 4))), beta, rng=Rng(1))


def test_couplings_too_strong_and_other_nets_are_refused():
    with pytest.raises(ValueError, match="choose a smaller leaf"):
        HierarchicalSampler(LatticeEnergy(Lattice((16, 16)), 100.0), 1.0, rng=Rng(1))
    sampler = HierarchicalSampler(LatticeEnergy(Lattice((8, 8))), 0.44, rng=Rng(1))
    nets = torch.nn.ModuleDict({key: torch.nn.Identity() for key in sampler.keys})
    block = Block(sampler.whole.parts, 0.44, nets)
    with pytest.raises(TypeError, match="is a Identity, not a MaskedNet"):
        block.net(block.parts.lines[0])

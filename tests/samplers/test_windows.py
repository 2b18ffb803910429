"""What a net learns from: genuine images of its blocks, and exactly how likely their spins are."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.windows import Windows

BETA = 0.44
SYSTEMS = {
    "torus": (Lattice((6, 6)), 1.0, 0.0),
    "rectangle": (Lattice((4, 6)), 1.0, 0.0),
    "anisotropic": (Lattice((6, 6)), (1.0, 0.5), 0.0),
    "open": (Lattice((6, 6), "open"), -1.0, 0.0),
    "one open axis": (Lattice((6, 6), ("periodic", "open")), 1.0, 0.0),
    "field": (Lattice((6, 6)), 1.0, 0.3),
    "random couplings": (Lattice((6, 6)), np.random.default_rng(1).normal(size=72), 0.3),
    "random fields": (Lattice((6, 6)), 1.0, np.random.default_rng(1).normal(size=36)),
}


def energy_of(name):
    return LatticeEnergy(*SYSTEMS[name])


def sampler_of(energy, beta=BETA):
    return HierarchicalSampler(energy, beta, leaf=1, width=1, rng=Rng(1))


def blocks_of(name):
    """The sites of all blocks, (n_blocks, n_border) and (n_blocks, n_line), of every net, and of MADE."""
    energy = energy_of(name)
    nets = {key: (group.border, group.line) for key, group in sampler_of(energy).groups.items()}
    sites = np.arange(energy.n_spins)[None]
    return energy, nets | {"made": (sites[:, :0], sites)}


def bonds(edges, couplings):
    return sorted((min(i, j), max(i, j), c) for (i, j), c in zip(edges.tolist(), couplings.tolist(), strict=True))


def symmetries(energy):
    """Every composition of translation, reflections and transposition that leaves bonds and fields as they are."""
    extents = energy.lattice.extents
    sites, own, found = np.arange(energy.n_spins).reshape(extents), bonds(energy.edges, energy.couplings), []
    for i, j, flip, turn, transpose in product(range(extents[0]), range(extents[1]), *[(False, True)] * 3):
        image = np.roll(sites, (i, j), (0, 1))
        image = image[::-1] if flip else image
        image = image[:, ::-1] if turn else image
        image = image.T if transpose else image
        if image.shape != extents:
            continue
        image = image.ravel()
        if bonds(image[energy.edges], energy.couplings) == own and np.all(energy.fields[image] == energy.fields):
            found.append(image)
    return found


def traced(windows, n_configurations, n, seed):
    """The site and the configuration of every spin of n windows: at beta 0 any int8 numbers can be drawn."""
    n_spins = windows.n_spins
    sites = torch.arange(n_spins, dtype=torch.int8).repeat(n_configurations, 1)
    numbers = torch.arange(n_configurations, dtype=torch.int8)[:, None].repeat(1, n_spins)
    return [windows.draw(spins, n, Rng(seed))[0].numpy().astype(int) for spins in (sites, numbers)]


@pytest.mark.parametrize("name", SYSTEMS)
def test_windows_are_all_images_of_the_blocks_under_symmetries_and_nothing_else(name):
    energy, nets = blocks_of(name)
    images = symmetries(energy)
    assert len(images) == {
        "torus": 288,
        "rectangle": 96,
        "anisotropic": 144,
        "open": 8,
        "one open axis": 24,
        "field": 288,
    }.get(name, 1)
    for border, line in nets.values():
        blocks = np.concatenate([border, line], axis=1)
        expected = {tuple(image[block].tolist()) for image in images for block in blocks}
        sites, _ = traced(Windows(energy, 0.0, border, line), 1, 20 * len(expected), seed=1)
        assert {tuple(row) for row in sites.tolist()} == expected


@pytest.mark.parametrize("name", SYSTEMS)
def test_windows_hold_the_spins_of_one_configuration_and_their_exact_chances(name):
    energy, nets = blocks_of(name)
    spins = np.random.default_rng(2).choice(np.array([-1, 1], dtype=np.int8), size=(7, energy.n_spins))
    up, down = (np.repeat(spins, energy.n_spins, axis=0) for _ in range(2))
    each = np.tile(np.arange(energy.n_spins), 7)
    up[np.arange(len(up)), each], down[np.arange(len(up)), each] = 1, -1
    exact = 1 / (1 + np.exp(BETA * (energy(up) - energy(down)))).reshape(spins.shape)
    for border, line in nets.values():
        sites, numbers = traced(Windows(energy, 0.0, border, line), 7, 200, seed=3)
        assert np.all(numbers == numbers[:, :1])
        assert set(numbers[:, 0]) == set(range(7))
        inputs, chances = Windows(energy, BETA, border, line).draw(torch.from_numpy(spins), 200, Rng(3))
        assert (inputs.dtype, chances.dtype) == (torch.float32, torch.float32)
        np.testing.assert_array_equal(inputs, spins[numbers, sites])
        np.testing.assert_allclose(chances, exact[numbers, sites][:, border.shape[1] :], rtol=1e-6)


def test_windows_of_a_system_without_lattice_are_whole_configurations():
    rng = np.random.default_rng(1)
    edges = [(i, j) for i in range(6) for j in range(i)]
    energy, sites = PairwiseEnergy(6, edges, rng.normal(size=15), rng.normal(size=6)), np.arange(6)[None]
    states, p = torch.from_numpy(all_states(6)), probabilities(energy, BETA)
    inputs, chances = Windows(energy, BETA, sites[:, :0], sites).draw(states, 500, Rng(1))
    index = (inputs.numpy() > 0) @ (2 ** np.arange(6))
    assert np.array_equal(states.numpy()[index], inputs)
    for i in range(6):
        high, low = p[index | 2**i], p[index & ~(2**i)]
        np.testing.assert_allclose(chances[:, i], high / (high + low), rtol=1e-5)


class Every:
    """In place of an Rng: choices that take their turns."""

    generator = SimpleNamespace(integers=lambda low, high, n: low + np.arange(n) % (high - low))


def test_chances_have_the_conditional_mean_of_the_spins_given_what_the_net_knows():
    """Summed over all states: E[chance_i | border, line so far] = P(s_i = +1 | border, line so far)."""
    energy = LatticeEnergy(Lattice((4, 4)), np.random.default_rng(1).normal(size=32), 0.2)
    states, p, wrong = all_states(16), probabilities(energy, BETA), probabilities(energy, 1.03 * BETA)
    sampler = sampler_of(energy)
    for key in sampler.keys:
        inputs, chances = (part.numpy() for part in sampler.windows(key, torch.from_numpy(states), 2**16, Every))
        n_border = inputs.shape[1] - chances.shape[1]
        for i in range(chances.shape[1]):
            known = (inputs[:, : n_border + i] > 0) @ (2 ** np.arange(n_border + i))
            spin = inputs[:, n_border + i] > 0
            total = np.bincount(known, p)
            np.testing.assert_allclose(
                np.bincount(known, p * chances[:, i]) / total, np.bincount(known, p * spin) / total, rtol=1e-5
            )
            twin = np.bincount(known, wrong * spin) / np.bincount(known, wrong)
            assert np.max(np.abs(np.bincount(known, p * chances[:, i]) / total - twin)) > 1e-4


def test_chances_spread_less_than_spins():
    energy, nets = blocks_of("torus")
    spins = torch.from_numpy(np.random.default_rng(2).choice(np.array([-1, 1], dtype=np.int8), size=(50, 36)))
    border, line = nets["made"]
    inputs, chances = Windows(energy, BETA, border, line).draw(spins, 1000, Rng(1))
    assert float(chances.var()) < 0.7 * float(((1 + inputs) / 2).var())


def test_windows_depend_neither_on_threads_nor_on_the_layout_of_configurations(set_threads):
    energy, nets = blocks_of("torus")
    windows = Windows(energy, BETA, *list(nets.values())[2])
    spins = torch.from_numpy(np.random.default_rng(2).choice(np.array([-1, 1], dtype=np.int8), size=(9, 36)))
    results = []
    for number, given in ((1, spins), (2, spins), (1, spins.T.contiguous().T)):
        set_threads(number)
        results.append(windows.draw(given, 101, Rng(1)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize(
    "spins",
    [
        torch.ones(36, dtype=torch.int8),
        torch.ones((2, 35), dtype=torch.int8),
        torch.ones((0, 36), dtype=torch.int8),
        torch.ones((2, 36), dtype=torch.float32),
        torch.ones((2, 36), dtype=torch.int8, device="meta"),
    ],
    ids=["one axis", "sites", "empty", "floats", "device"],
)
def test_other_configurations_are_refused(spins):
    energy, nets = blocks_of("torus")
    with pytest.raises(ValueError, match=r"configurations are torch.*they must be torch.int8 \(n ≥ 1, 36\) on the CPU"):
        Windows(energy, BETA, *nets["made"]).draw(spins, 3, Rng(1))

import math

import numpy as np
import pytest

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.kernels.lanes import STATE, fill_words, seed_lanes
from nmcmc.kernels.rng import below, next_word, uniform
from nmcmc.random import Rng
from nmcmc.updates.run import random_start
from nmcmc.updates.swendsen_wang import SwendsenWang
from nmcmc.updates.wolff import Wolff

CLUSTERS = [Wolff, SwendsenWang]


def torus(beta=0.44, coupling=1.0):
    return Boltzmann(LatticeEnergy(Lattice((4, 6)), coupling), beta)


@pytest.mark.parametrize("update", CLUSTERS)
def test_a_field_is_refused_with_advice(update):
    with pytest.raises(ValueError, match=r"zero field.*HeatBath"):
        update(Boltzmann(LatticeEnergy(Lattice((4, 4)), 1.0, 0.1), 0.4))


@pytest.mark.parametrize("clusters", [0, 1.5, 2.0, math.nan])
def test_clusters_are_a_whole_number(clusters):
    with pytest.raises(ValueError, match=f"clusters is {clusters}; give a whole number ≥ 1"):
        Wolff(torus(), clusters=clusters)


@pytest.mark.parametrize("coupling", [1.0, -1.0])
@pytest.mark.parametrize("clusters", [1, 3])
def test_wolff_flips_as_many_spins_as_it_reports(coupling, clusters):
    wolff, rng = Wolff(torus(coupling=coupling), clusters), Rng(1)
    state = wolff.init(random_start(50, 24, rng))
    after, info = wolff.step(state, rng)
    flipped = np.count_nonzero(after.spins != state.spins, axis=1)
    assert info["cluster_size"].shape == (50,)
    if clusters == 1:
        np.testing.assert_array_equal(flipped, info["cluster_size"])
    assert np.all((info["cluster_size"] - flipped) % 2 == 0)
    assert np.all(info["cluster_size"] >= clusters)


@pytest.mark.parametrize("coupling", [1.0, -1.0])
def test_clusters_at_zero_and_infinite_temperature(coupling):
    rng = Rng(2)
    frozen = (coupling ** np.indices((4, 6)).sum(axis=0)).ravel().astype(np.int8)[None]
    _, cold = Wolff(torus(1e3, coupling)).step(Wolff(torus()).init(frozen), rng)
    _, hot = Wolff(torus(0.0, coupling)).step(Wolff(torus()).init(frozen), rng)
    assert (cold["cluster_size"][0], hot["cluster_size"][0]) == (24, 1)
    _, cold = SwendsenWang(torus(1e3, coupling)).step(Wolff(torus()).init(frozen), rng)
    _, hot = SwendsenWang(torus(0.0, coupling)).step(Wolff(torus()).init(frozen), rng)
    assert (cold["n_clusters"][0], hot["n_clusters"][0]) == (1, 24)


@pytest.mark.parametrize(
    ("extents", "boundary"), [((6, 4), "periodic"), ((5, 6), ("open", "periodic")), ((7,), "open")]
)
def test_a_wolff_cluster_is_the_one_that_the_random_numbers_say(extents, boundary):
    """A plain breadth-first search on the same numbers: half a word for each neighbour, forward and back by axis."""
    lattice = Lattice(extents, boundary)
    wolff = Wolff(Boltzmann(LatticeEnergy(lattice, 0.8), 0.4), clusters=3)
    rng, replay = Rng(4), Rng(4)
    state = wolff.init(random_start(9, lattice.n_spins, Rng(5)))
    after, info = wolff.step(state, rng)
    threshold = (1 - np.exp(-2 * 0.4 * 0.8)) * 2**32
    for spins, stream, expected, size in zip(
        state.spins.copy(), replay.streams(9).copy(), after.spins, info["cluster_size"], strict=True
    ):
        total = 0
        for _ in range(3):
            queue = [int(below(stream, lattice.n_spins))]
            sign = spins[queue[0]]
            spins[queue[0]] = -sign
            for site in queue:
                for forward in lattice.forward:
                    word, back = int(next_word(stream)), np.flatnonzero(forward == site)
                    for number, at in ((word >> 32, forward[site]), (word % 2**32, back[0] if len(back) else -1)):
                        if at >= 0 and spins[at] == sign and number < threshold:
                            spins[at] = -sign
                            queue.append(int(at))
            total += len(queue)
        np.testing.assert_array_equal(spins, expected)
        assert total == size


def glass(n=12):
    """Couplings of both signs, a third of all pairs: many loops are frustrated."""
    rng = np.random.default_rng(8)
    edges = [(i, j) for i in range(n) for j in range(i) if rng.random() < 1 / 3]
    return PairwiseEnergy(n, edges, rng.normal(size=len(edges)))


def test_a_wolff_cluster_of_any_couplings_is_the_one_that_the_random_numbers_say():
    energy = glass()
    wolff, rng, replay = Wolff(Boltzmann(energy, 0.7), clusters=3), Rng(4), Rng(4)
    state = wolff.init(random_start(9, 12, Rng(5)))
    after, info = wolff.step(state, rng)
    start, neighbour, couplings = energy.adjacency()
    sizes = []
    for s, stream, expected in zip(state.spins.copy(), replay.streams(9).copy(), after.spins, strict=True):
        sizes.append(0)
        for _ in range(3):
            cluster = [int(below(stream, 12))]
            for site in cluster:
                for k in range(start[site], start[site + 1]):
                    j, coupling = int(neighbour[k]), couplings[k]
                    satisfied = j not in cluster and coupling * s[site] * s[j] > 0
                    if satisfied and uniform(stream) < 1 - np.exp(-2 * 0.7 * abs(coupling)):
                        cluster.append(j)
            s[cluster] *= -1
            sizes[-1] += len(cluster)
        np.testing.assert_array_equal(s, expected)
    np.testing.assert_array_equal(info["cluster_size"], sizes)


def test_a_wolff_cluster_is_connected_and_aligned():
    energy, rng = LatticeEnergy(Lattice((8, 8), "open")), Rng(3)
    wolff = Wolff(Boltzmann(energy, 0.5))
    state = wolff.init(random_start(20, 64, rng))
    after, _ = wolff.step(state, rng)
    for before, changed in zip(state.spins, after.spins != state.spins, strict=True):
        sites = np.flatnonzero(changed)
        assert len(set(before[sites])) == 1
        reached = {int(sites[0])}
        inside = [(int(i), int(j)) for i, j in energy.edges if changed[i] and changed[j]]
        for _ in sites:
            reached |= {k for edge in inside if reached & set(edge) for k in edge}
        assert reached == set(sites.tolist())


def test_one_kernel_serves_plain_lattices_and_one_the_rest():
    lattice = Lattice((4, 4))
    assert Wolff(Boltzmann(LatticeEnergy(lattice), 0.4))._lattice_tables is not None
    assert SwendsenWang(Boltzmann(LatticeEnergy(lattice), 0.4))._row_tables is not None
    random = np.random.default_rng(0).normal(size=lattice.n_bonds)
    others = LatticeEnergy(lattice, -1.0), LatticeEnergy(lattice, random), PairwiseEnergy(16, lattice.edges)
    assert all(Wolff(Boltzmann(energy, 0.4))._lattice_tables is None for energy in others)
    assert all(SwendsenWang(Boltzmann(energy, 0.4))._row_tables is None for energy in others)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
@pytest.mark.parametrize("extents", [(2,), (7,), (2, 2), (3, 70), (5, 2), (2, 3, 4), (3, 2, 2)])
def test_swendsen_wang_clusters_of_a_lattice_at_zero_temperature_are_its_domains(extents, boundary):
    lattice = Lattice(extents, boundary)
    update, rng = SwendsenWang(Boltzmann(LatticeEnergy(lattice), 1e3)), Rng(5)
    state = update.init(random_start(10, lattice.n_spins, rng))
    after, info = update.step(state, rng)
    for before, spins, count in zip(state.spins, after.spins, info["n_clusters"], strict=True):
        domain = np.arange(lattice.n_spins)
        i, j = lattice.edges[before[lattice.edges[:, 0]] == before[lattice.edges[:, 1]]].T
        while np.any(domain[i] != domain[j]):
            np.minimum.at(domain, i, domain[j])
            np.minimum.at(domain, j, domain[i])
        assert count == len(set(domain.tolist()))
        assert all(len(set((spins * before)[domain == d].tolist())) == 1 for d in set(domain.tolist()))


class Numbers:
    """The random numbers of one step: 32 bits each, from lanes seeded by the chain's stream."""

    def __init__(self, stream):
        self.state = np.empty(STATE, dtype=np.uint64)
        seed_lanes(stream, self.state)

    def halves(self, n):
        words = np.empty(n // 2 + 9, dtype=np.uint64)
        fill_words(self.state, words, (n + 1) // 2)
        return words.view(np.uint32)[:n]


def merged(n, bonds):
    """Return the lowest site of the cluster of every site, clusters joined by bonds one after the other."""
    label = np.arange(n)
    for i, j in bonds:
        label[label == max(label[i], label[j])] = min(label[i], label[j])
    return label


@pytest.mark.parametrize("periodic", [True, False])
def test_swendsen_wang_joins_and_flips_what_the_random_numbers_say(periodic):
    """Every run of sites joined along its row has a coin, and that of its first run decides a cluster."""
    energy, rng = LatticeEnergy(Lattice((5, 9), "periodic" if periodic else "open"), (0.7, 1.2)), Rng(6)
    update = SwendsenWang(Boltzmann(energy, 0.6))
    state = update.init(random_start(1, 45, rng))
    numbers, s = Numbers(rng.streams(1)[0].copy()), state.spins[0]
    after, info = update.step(state, rng)
    site = np.arange(45).reshape(5, 9)
    down, along = np.round(2**32 * -np.expm1(-1.2 * np.array([0.7, 1.2]))).astype(np.int64)
    bonds, begins = [], np.ones((5, 9), dtype=int)
    for i in range(5):
        random = numbers.halves(9)
        beside = [(site[i, j], site[i, j - 1]) for j in range(9)]
        active = [j for j in range(9) if random[j] < along and s[beside[j][0]] == s[beside[j][1]]]
        begins[i, [j for j in active if j > 0]] = 0
        bonds += [beside[j] for j in active if j > 0 or periodic]
        for k in [i - 1] * (i > 0) + [0] * (i == 4 and periodic):
            pairs = zip(site[i], site[k], numbers.halves(9), strict=True)
            bonds += [(a, b) for a, b, number in pairs if number < down and s[a] == s[b]]
    label, run = merged(45, bonds), np.cumsum(begins) - 1
    coins = np.empty(9, dtype=np.uint64)
    fill_words(numbers.state, coins, -(-int(begins.sum()) // 64))
    signs = [2 * (int(coins[k // 64]) >> int(k % 64) & 1) - 1 for k in run[label]]
    np.testing.assert_array_equal(after.spins[0], s * signs)
    assert info["n_clusters"][0] == len(np.unique(label))


def test_swendsen_wang_of_any_couplings_joins_and_flips_what_the_random_numbers_say():
    energy = glass()
    update, rng, replay = SwendsenWang(Boltzmann(energy, 0.7)), Rng(4), Rng(4)
    state = update.init(random_start(9, 12, Rng(5)))
    after, info = update.step(state, rng)
    counts = []
    for s, stream, expected in zip(state.spins, replay.streams(9).copy(), after.spins, strict=True):
        bonds = []
        for (i, j), coupling in zip(energy.edges, energy.couplings, strict=True):
            if coupling * s[i] * s[j] > 0 and uniform(stream) < 1 - np.exp(-2 * 0.7 * abs(coupling)):
                bonds.append((i, j))
        label = merged(12, bonds)
        flip = {root: int(next_word(stream)) >> 63 for root in np.unique(label)}
        np.testing.assert_array_equal(expected, s * [1 - 2 * flip[root] for root in label])
        counts.append(len(flip))
    np.testing.assert_array_equal(info["n_clusters"], counts)


def test_swendsen_wang_flips_whole_clusters_only():
    # At β → ∞ every satisfied bond is active: two open chains in their ground states are two clusters.
    energy = PairwiseEnergy(6, [(0, 1), (1, 2), (3, 4), (4, 5)], [1.0, -1.0, 1.0, 1.0])
    rng, ground = Rng(4), np.array([1, 1, -1, -1, -1, -1], dtype=np.int8)
    update = SwendsenWang(Boltzmann(energy, 1e3))
    _, spins, info = update.block(update.init(ground[None]), rng, 200)
    assert np.all(info["n_clusters"] == 2)
    patterns = {tuple((row * ground).tolist()) for row in spins[0]}
    assert patterns == {(a, a, a, b, b, b) for a in (1, -1) for b in (1, -1)}

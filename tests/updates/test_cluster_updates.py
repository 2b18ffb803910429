import numpy as np
import pytest

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
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


def test_no_cluster_is_refused():
    with pytest.raises(ValueError, match="clusters is 0"):
        Wolff(torus(), clusters=0)


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
    random = np.random.default_rng(0).normal(size=lattice.n_bonds)
    others = LatticeEnergy(lattice, -1.0), LatticeEnergy(lattice, random), PairwiseEnergy(16, lattice.edges)
    assert all(Wolff(Boltzmann(energy, 0.4))._lattice_tables is None for energy in others)


def test_swendsen_wang_flips_whole_clusters_only():
    # At β → ∞ every satisfied bond is active: two open chains in their ground states are two clusters.
    energy = PairwiseEnergy(6, [(0, 1), (1, 2), (3, 4), (4, 5)], [1.0, -1.0, 1.0, 1.0])
    rng, ground = Rng(4), np.array([1, 1, -1, -1, -1, -1], dtype=np.int8)
    update = SwendsenWang(Boltzmann(energy, 1e3))
    _, spins, info = update.block(update.init(ground[None]), rng, 200)
    assert np.all(info["n_clusters"] == 2)
    patterns = {tuple((row * ground).tolist()) for row in spins[0]}
    assert patterns == {(a, a, a, b, b, b) for a in (1, -1) for b in (1, -1)}

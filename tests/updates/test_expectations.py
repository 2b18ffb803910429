"""Every local and cluster update against enumeration, and against a β that is off by 3 %, which must fail."""

import numpy as np
import pytest
from statistical import LIMIT, z_score

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import run
from nmcmc.updates.swendsen_wang import SwendsenWang
from nmcmc.updates.wolff import Wolff


def glass(lattice, field=0.0):
    rng = np.random.default_rng(11)
    return LatticeEnergy(lattice, rng.normal(size=lattice.n_bonds), field * rng.normal(size=lattice.n_spins))


def complete_graph(n):
    edges = [(i, j) for i in range(n) for j in range(i)]
    return PairwiseEnergy(n, edges, 0.7 * np.random.default_rng(4).normal(size=len(edges)))


SYSTEMS = {
    "torus 3x3": LatticeEnergy(Lattice((3, 3))),
    "torus 4x4": LatticeEnergy(Lattice((4, 4))),
    "torus 2x5": LatticeEnergy(Lattice((2, 5))),
    "open 4x4": LatticeEnergy(Lattice((4, 4), "open")),
    "strip 3x4, J by axis": LatticeEnergy(Lattice((3, 4), ("periodic", "open")), (0.6, 1.3)),
    "ring": LatticeEnergy(Lattice((13,))),
    "torus 2x2x3": LatticeEnergy(Lattice((2, 2, 3)), 0.7),
    "antiferromagnet 4x4": LatticeEnergy(Lattice((4, 4)), -1.0),
    "frustrated antiferromagnet 3x3": LatticeEnergy(Lattice((3, 3)), -1.0),
    "glass 3x4": glass(Lattice((3, 4))),
    "complete graph": complete_graph(8),
}
FIELDS = {
    "torus 4x4 in a field": LatticeEnergy(Lattice((4, 4)), 0.8, 0.3),
    "glass 3x3 in random fields": glass(Lattice((3, 3)), 0.5),
}
BIPARTITE_FIELDS = {
    "torus 4x4 in a field": LatticeEnergy(Lattice((4, 4)), 0.8, 0.3),
    "open glass 3x4 in random fields": glass(Lattice((3, 4), "open"), 0.5),
}
BETAS = [0.2, 0.44, 0.6]
ODD_ONES = ["strip 3x4, J by axis", "ring", "torus 2x2x3", "frustrated antiferromagnet 3x3", "complete graph"]
CLUSTER_CASES = [(name, beta) for name in SYSTEMS for beta in ([0.44] if name in ODD_ONES else BETAS)]
LOCAL_CASES = [
    *((name, beta) for name in ["torus 3x3", "open 4x4", "glass 3x4", *FIELDS] for beta in BETAS),
    *((name, 0.44) for name in ODD_ONES),
]
OBSERVABLES = {"abs_m": lambda spins: abs(spins.mean(axis=1)), "m": lambda spins: spins.mean(axis=1)}


def check(update, energy, beta, seed, n_draws=300):
    observables = {"energy": energy, **OBSERVABLES}
    if beta < 0.3:
        n_draws = 600  # a hot system hardly notices 3 %
    chain = run(update(Boltzmann(energy, beta)), n_draws, Rng(seed), observables=observables, n_chains=400, warmup=100)
    states = all_states(energy.n_spins)
    values = {name: observable(states) for name, observable in observables.items()}
    right, wrong = probabilities(energy, beta), probabilities(energy, 1.03 * beta)
    scores = {name: z_score(chain.series[name], right @ values[name]) for name in observables}
    assert max(map(abs, scores.values())) < LIMIT, scores
    assert abs(z_score(chain.series["energy"], wrong @ values["energy"])) > LIMIT


@pytest.mark.parametrize(("name", "beta"), CLUSTER_CASES)
def test_wolff(name, beta):
    check(lambda target: Wolff(target, clusters=2), SYSTEMS[name], beta, seed=1)


@pytest.mark.parametrize(("name", "beta"), CLUSTER_CASES)
def test_swendsen_wang(name, beta):
    check(SwendsenWang, SYSTEMS[name], beta, seed=2, n_draws=600)


@pytest.mark.parametrize(("name", "beta"), LOCAL_CASES)
def test_metropolis_random_scan(name, beta):
    check(Metropolis, (SYSTEMS | FIELDS)[name], beta, seed=3)


@pytest.mark.parametrize(("name", "beta"), LOCAL_CASES)
def test_heat_bath_random_scan(name, beta):
    check(HeatBath, (SYSTEMS | FIELDS)[name], beta, seed=4)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", BIPARTITE_FIELDS)
@pytest.mark.parametrize("update", [Metropolis, HeatBath])
def test_checkerboard(update, name, beta):
    check(lambda target: update(target, scan="checkerboard"), BIPARTITE_FIELDS[name], beta, seed=5)

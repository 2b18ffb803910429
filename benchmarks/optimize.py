"""Which cuts does the annealing find, beside dwave-samplers' SimulatedAnnealingSampler in the same time?

Graphs like those of the G-set, made from a seed and read through the reader of G-set files: toroidal 100×8 grids with
weights ±1 (as G11), whose best cut the transfer matrix knows exactly, random graphs of 800 sites and 19176 edges with
weights 1 (as G1) and ±1 (as G6), and of 2000 sites and 19990 edges (as G22). Both programs make annealings of 1000
sweeps, which is the default of both, with their own default temperatures, sixteen at a time on one thread, in turn,
until each has used the same processor time; processor time and not wall time, for other programs may run beside this
one. Wall times are recorded too. Compilation of nmcmc's kernel comes before the clock starts (users wait some seconds
for it once per installation); what dwave-samplers does before it samples counts, as part of its call.
"""

import tempfile
import time
from pathlib import Path

import dimod
import numpy as np
import torch
from dwave.samplers import SimulatedAnnealingSampler
from record import note, parser, record

from nmcmc.annealing import anneal, schedule
from nmcmc.energies.graphs import MaxCut, toroidal_graph
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.readers import gset_text, read_terms
from nmcmc.energies.terms import terms_of
from nmcmc.exact.transfer_matrix import strip
from nmcmc.random import Rng

READS = 16
COLD = 40.0
"""β at which only ground states count: the next level weighs e^−160 times its number of states."""


def random_graph(n, n_edges, signs, rng):
    """Return a graph with edges drawn at random, weights 1 or ±1."""
    i, j = np.triu_indices(n, 1)
    chosen = rng.generator.choice(len(i), n_edges, replace=False)
    weights = 2 * rng.generator.integers(0, 2, n_edges) - 1 if signs else np.ones(n_edges)
    return terms_of("graph", n, np.stack([i[chosen], j[chosen]], axis=1), weights)


FAMILIES = {
    "toroidal 100x8, weights ±1": lambda rng: toroidal_graph((100, 8), rng),
    "800 sites, 19176 edges, weights 1": lambda rng: random_graph(800, 19176, False, rng),
    "800 sites, 19176 edges, weights ±1": lambda rng: random_graph(800, 19176, True, rng),
    "2000 sites, 19990 edges, weights 1": lambda rng: random_graph(2000, 19990, False, rng),
}


def through_a_file(terms):
    """Return the MaxCut problem of a graph that was written to a file and read again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.gset"
        path.write_text(gset_text(terms))
        return MaxCut(read_terms(path))


def exact_cut(problem, extents):
    """Return the best cut of a toroidal graph by transfer matrix."""
    ground = strip(LatticeEnergy(Lattice(extents), -problem.terms.weights), COLD).energy
    if abs(ground - round(ground)) > 1e-6:
        raise RuntimeError(f"the mean energy {ground} at β = {COLD} is not that of the ground states")
    return problem.value_of_energy(round(ground))


def ours(problem, sweeps, seed):
    """Return a function k → cuts of sixteen annealings."""
    betas = schedule(problem.energy, sweeps)
    anneal(problem.energy, betas[:2], READS, Rng(seed))

    def batch(k):
        spins = anneal(problem.energy, betas, READS, Rng(seed).child("batch", k))
        return problem.value(problem.answer(spins))

    return batch


def theirs(problem, sweeps, seed):
    """Return the same of dwave-samplers: H = Σ w s s there too."""
    pairs = [tuple(pair) for pair in problem.graph.pairs.tolist()]
    model = dimod.BinaryQuadraticModel({}, dict(zip(pairs, problem.graph.weights.tolist(), strict=True)), "SPIN")
    sampler = SimulatedAnnealingSampler()

    def batch(k):
        found = sampler.sample(model, num_reads=READS, num_sweeps=sweeps, seed=1000 * seed + k)
        order = np.argsort(np.array(list(found.variables)))
        return problem.value(problem.answer(found.record.sample[:, order].astype(np.int8)))

    return batch


def timed(batches, seconds):
    """Let each program find cuts for that processor time, always the one that has had least of it.

    Returns program → all cuts, the processor time after each batch, the wall time of all.
    """
    found = {program: ([], [0.0], [0.0]) for program in batches}
    while min(spent[-1] for _, spent, _ in found.values()) < seconds:
        program = min(found, key=lambda name: found[name][1][-1])
        cuts, spent, wall = found[program]
        begin, began = time.process_time(), time.perf_counter()
        cuts.append(batches[program](len(cuts)))
        spent.append(spent[-1] + time.process_time() - begin)
        wall.append(wall[-1] + time.perf_counter() - began)
    return {program: (np.array(cuts), spent[1:], wall[-1]) for program, (cuts, spent, wall) in found.items()}


def row(cuts, spent, wall, best_known):
    """Return what a program found, in plain numbers."""
    hits = int(np.count_nonzero(cuts == best_known))
    reached = np.flatnonzero(np.any(cuts == best_known, axis=1))
    return {
        "best": float(cuts.max()),
        "mean": float(cuts.mean()),
        "annealings": int(cuts.size),
        "hits_of_best_known": hits,
        "cpu_seconds": spent[-1],
        "cpu_seconds_to_best_known": spent[reached[0]] if reached.size else None,
        "wall_seconds": wall,
    }


def compare(name, seed, args):
    """Return both programs' rows on one graph."""
    problem = through_a_file(FAMILIES[name](Rng(seed).child(name)))
    exact = exact_cut(problem, (100, 8)) if name.startswith("toroidal") else None
    batches = {"nmcmc": ours(problem, args.sweeps, seed), "dwave-samplers": theirs(problem, args.sweeps, seed)}
    found = timed(batches, args.seconds)
    best = max(cuts.max() for cuts, _, _ in found.values())
    if exact is not None and best > exact:
        raise RuntimeError(f"a cut of {best} is above the exact optimum {exact}")
    rows = {program: row(*values, best if exact is None else exact) for program, values in found.items()}
    note(f"{name}, seed {seed}: exact {exact}; " + "; ".join(f"{p} {r['best']:g}" for p, r in rows.items()))
    return {"graph": name, "seed": seed, "exact": exact, "best_known": float(best if exact is None else exact), **rows}


def main():
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=3.0, help="processor time of each program on each graph")
    options.add_argument("--sweeps", type=int, default=1000)
    options.add_argument("--graphs", type=int, default=3, help="graphs of each family")
    args = options.parse_args()
    if args.quick:
        args.seconds, args.graphs = 0.2, 1
    torch.set_num_threads(1)
    seeds = range(args.seed, args.seed + args.graphs)
    rows = [compare(name, seed, args) for name in FAMILIES for seed in seeds]
    record("optimize", {"threads": 1, "rows": rows}, args, packages=["dimod", "dwave-samplers"])


if __name__ == "__main__":
    main()

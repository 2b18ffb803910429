"""How many nanoseconds does a Wolff cluster take per flipped spin, on the critical 128×128 torus and one core?

Median over repeats that alternate with those of mcising (a Rust program), if it is installed. Both start from the
same equilibrated configuration.
"""

import time

import numpy as np
import torch
from record import note, parser, record

from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.updates.run import random_start
from nmcmc.updates.wolff import Wolff

try:
    import mcising
except ImportError:
    mcising = None


def ours(spins, beta, clusters, seed):
    """Return a function that grows and flips the clusters and returns the number of flipped spins."""
    update = Wolff(Boltzmann(LatticeEnergy(Lattice(spins.shape)), beta), clusters)
    rng, state = Rng(seed), update.init(spins.reshape(1, -1))

    def repeat():
        nonlocal state
        state, info = update.step(state, rng)
        return int(info["cluster_size"][0])

    return repeat


def theirs(spins, beta, clusters, seed):
    """Return the same for mcising, whose sweep is one cluster."""
    simulation = mcising.IsingSimulation(len(spins), 1.0, 0.0, 0.0, 0.0, seed, "wolff")
    simulation.set_spins(spins)

    def repeat():
        flipped, _, grown = simulation.sweep(clusters, temperature=1 / beta)
        if grown != clusters:
            raise RuntimeError(f"mcising grew {grown} clusters in {clusters} sweeps; this comparison assumes one each")
        return flipped

    return repeat


def equilibrated(extent, seed):
    update = Wolff(Boltzmann(LatticeEnergy(Lattice((extent, extent))), BETA_CRITICAL), clusters=200)
    rng = Rng(seed).child("warmup")
    state = update.init(random_start(1, extent**2, rng))
    for _ in range(10):
        state, _ = update.step(state, rng)
    return state.spins.reshape(extent, extent)


def measure(programs, repeats):
    """Return for each program the nanoseconds per flipped spin and the cluster sizes of all repeats, interleaved."""
    rows = {name: [] for name in programs}
    for number in range(repeats):
        for name, repeat in programs.items():
            begin = time.thread_time()
            flipped = repeat()
            rows[name].append((1e9 * (time.thread_time() - begin) / flipped, flipped))
        note(
            f"repeat {number + 1}/{repeats}: " + ", ".join(f"{name} {row[-1][0]:.1f} ns" for name, row in rows.items())
        )
    return rows


def main():
    options = parser(__doc__)
    options.add_argument("--extent", type=int, default=128)
    options.add_argument("--repeats", type=int, default=21)
    options.add_argument("--clusters", type=int, default=400, help="clusters per repeat")
    args = options.parse_args()
    if args.quick:
        args.repeats, args.clusters = 3, 50
    torch.set_num_threads(1)
    spins = equilibrated(args.extent, args.seed)
    programs = {"nmcmc": ours(spins, BETA_CRITICAL, args.clusters, args.seed)}
    if mcising is not None:
        programs["mcising"] = theirs(spins, BETA_CRITICAL, args.clusters, args.seed)
    result = {"lattice": f"{args.extent}x{args.extent}", "beta": BETA_CRITICAL, "threads": 1}
    for name, rows in measure(programs, args.repeats).items():
        times, flipped = np.array(rows).T
        result[name] = {
            "ns_per_flipped_spin": float(np.median(times)),
            "fastest": float(times.min()),
            "slowest": float(times.max()),
            "mean_cluster_size": float(flipped.mean() / args.clusters),
        }
    record("wolff", result, args, packages=["mcising"])


if __name__ == "__main__":
    main()

"""How fast are the baselines on one core, and how much faster than others: mcising, peapods, and a plain compiled loop?

Swendsen–Wang and Metropolis on the critical torus of --extent, Wolff and energies on --wolff-extent: nanoseconds per
spin, attempted flip or flipped spin, and for energies the fraction of the memory bandwidth that a plain sum of words
reaches. Ratios are medians of ratios of neighbours: all programs alternate, and all start from the same configuration
where they take one. Times are those of the one thread that every program has (peapods by ``sequential=True``, both Rust
programs by RAYON_NUM_THREADS=1); peapods and mcising are absent if they are not installed. peapods makes a sweep of
Metropolis with every cluster step and measures as it goes, so its time for Swendsen–Wang is the difference between
sweeps with and without.
"""

import os
import time

import numba as nb
import numpy as np
import torch
from record import note, parser, record
from wolff import equilibrated, ours as our_wolff, theirs as their_wolff
from yardsticks import word_sum

from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.updates.checkerboard import CheckerboardMetropolis
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.swendsen_wang import SwendsenWang

os.environ["RAYON_NUM_THREADS"] = "1"
try:
    import mcising
except ImportError:
    mcising = None
try:
    import peapods
except ImportError:
    peapods = None

WORDS = 2**23
"""Words that the bandwidth is measured on, and eight times as many spins: more bytes than caches hold."""


@nb.njit
def plain_sweep(spins, uniforms, accept):
    """Attempt every spin of spins (L, L) once in order, with accept[s Σ s_j + 4] for the probability."""
    n = len(spins)
    for i in range(n):
        for j in range(n):
            around = spins[i - 1, j] + spins[(i + 1) % n, j] + spins[i, j - 1] + spins[i, (j + 1) % n]
            if uniforms[i, j] < accept[spins[i, j] * around + 4]:
                spins[i, j] = -spins[i, j]


@nb.njit
def plain_clusters(spins, stack, generator, chance, clusters):
    """Grow and flip clusters of spins (L, L) with a stack, bonds active with ``chance``; return the flipped spins."""
    n, flipped = len(spins), 0
    for _ in range(clusters):
        i, j = int(n * generator.random()), int(n * generator.random())
        old = spins[i, j]
        spins[i, j], stack[0], top = -old, i * n + j, 1
        flipped += 1
        while top > 0:
            top -= 1
            i, j = divmod(stack[top], n)
            for a, b in ((i - 1, j), ((i + 1) % n, j), (i, j - 1), (i, (j + 1) % n)):
                if spins[a, b] == old and generator.random() < chance:
                    spins[a, b] = -old
                    stack[top] = a % n * n + b % n
                    top += 1
                    flipped += 1
    return flipped


def stepped(update, spins, seed, per_step):
    """Return a function that makes a step from where it stands and returns how many items that was."""
    rng, state = Rng(seed), update.init(spins.reshape(1, -1))

    def repeat():
        nonlocal state
        state, _ = update.step(state, rng)
        return per_step

    return repeat


def plain(spins, seed):
    spins, generator = spins.copy(), np.random.Generator(np.random.SFC64(seed))
    accept = np.exp(-2 * BETA_CRITICAL * np.arange(-4, 5))

    def repeat():
        plain_sweep(spins, generator.random(spins.shape), accept)
        return spins.size

    return repeat


def plain_wolff(spins, seed, clusters):
    spins, generator = spins.copy(), np.random.Generator(np.random.SFC64(seed))
    stack, chance = np.empty(spins.size, dtype=np.int64), -np.expm1(-2 * BETA_CRITICAL)
    return lambda: plain_clusters(spins, stack, generator, chance, clusters)


def by_mcising(spins, seed, sweeps, algorithm="metropolis"):
    simulation = mcising.IsingSimulation(len(spins), 1.0, 0.0, 0.0, 0.0, seed, algorithm)
    simulation.set_spins(spins)
    return lambda: simulation.sweep(sweeps, temperature=1 / BETA_CRITICAL)[1]


def by_peapods(extent, sweeps, **options):
    model = peapods.Ising((extent, extent), temperatures=np.array([1 / BETA_CRITICAL]))

    def repeat():
        model.sample(sweeps, warmup_ratio=0.0, sequential=True, **options)
        return sweeps * extent**2

    repeat()
    return repeat


def metropolis_programs(spins, seed, sweeps):
    target, n = Boltzmann(LatticeEnergy(Lattice(spins.shape)), BETA_CRITICAL), spins.size
    programs = {
        "checkerboard": stepped(CheckerboardMetropolis(target, sweeps=50 * sweeps), spins, seed, 50 * sweeps * n),
        "checkerboard, every sweep written": stepped(CheckerboardMetropolis(target), spins, seed, n),
        "random scan": stepped(Metropolis(target, sweeps=sweeps), spins, seed, sweeps * n),
        "plain loop": plain(spins, seed),
    }
    if mcising is not None:
        programs["mcising"] = by_mcising(spins, seed, sweeps)
    if peapods is not None:
        programs["peapods"] = by_peapods(len(spins), sweeps)
    return programs


def swendsen_wang_programs(spins, seed, steps):
    energy = LatticeEnergy(Lattice(spins.shape))
    programs = {"swendsen-wang": stepped(SwendsenWang(Boltzmann(energy, BETA_CRITICAL)), spins, seed, spins.size)}
    if mcising is not None:
        programs["mcising"] = by_mcising(spins, seed, steps, "swendsen_wang")
    if peapods is not None:
        programs["peapods"] = by_peapods(len(spins), steps, cluster_update_interval=1, cluster_mode="sw")
        programs["peapods without"] = by_peapods(len(spins), steps)
    return programs


def wolff_programs(extent, seed, clusters):
    spins = equilibrated(extent, seed)
    programs = {
        "wolff": our_wolff(spins, BETA_CRITICAL, clusters, seed),
        "plain loop": plain_wolff(spins, seed, clusters),
    }
    if mcising is not None:
        programs["mcising"] = their_wolff(spins, BETA_CRITICAL, clusters, seed)
    return programs


def energy_programs(extent, seed):
    """Return energies of a batch, and a plain sum, both counted in bytes that they read."""
    generator, batch = Rng(seed).child("spins").generator, 8 * WORDS // extent**2
    spins = 2 * generator.integers(0, 2, (batch, extent**2), dtype=np.int8) - 1
    energy, words = LatticeEnergy(Lattice((extent, extent))), np.ones(WORDS, dtype=np.uint64)
    return {
        "energy": lambda: energy(spins).size * extent**2,
        "plain sum": lambda: int(word_sum(words)) * words.itemsize,
    }


def measure(programs, repeats):
    """Return the nanoseconds per item of each program, (repeats,), interleaved, after one call to warm up."""
    times = {name: [] for name in programs}
    for number in range(-1, repeats):
        for name, program in programs.items():
            begin = time.thread_time_ns()
            items = program()
            if number >= 0:
                times[name].append((time.thread_time_ns() - begin) / items)
    return {name: np.array(values) for name, values in times.items()}


def compared(times):
    """Return the median of every program, and how many times as long as the first the others take."""
    first = next(iter(times.values()))
    return {
        name: {
            "ns": float(np.median(values)),
            "fastest": float(values.min()),
            "ratio": float(np.median(values / first)),
        }
        for name, values in times.items()
    }


def main():
    options = parser(__doc__)
    options.add_argument("--extent", type=int, default=512)
    options.add_argument("--wolff-extent", type=int, default=128)
    options.add_argument("--repeats", type=int, default=21)
    args = options.parse_args()
    if args.quick:
        args.repeats = 3
    torch.set_num_threads(1)
    spins, steps = equilibrated(args.extent, args.seed), 1 if args.quick else 5
    jobs = {
        "metropolis": lambda: metropolis_programs(spins, args.seed, steps),
        "swendsen_wang": lambda: swendsen_wang_programs(spins, args.seed, steps),
        "wolff": lambda: wolff_programs(args.wolff_extent, args.seed, 50 if args.quick else 400),
        "energy": lambda: energy_programs(args.wolff_extent, args.seed),
    }
    result = {"beta": BETA_CRITICAL, "threads": 1}
    for name, programs in jobs.items():
        times = measure(programs(), args.repeats)
        if name == "swendsen_wang" and "peapods" in times:
            times["peapods"] = times["peapods"] - times.pop("peapods without")
        result[name] = compared(times)
        note(f"{name}: " + ", ".join(f"{key} {row['ns']:.3g} ns" for key, row in result[name].items()))
    result["energy_fraction_of_bandwidth"] = result["energy"]["plain sum"]["ratio"]
    record("baselines", result, args, packages=["mcising", "peapods"])


if __name__ == "__main__":
    main()

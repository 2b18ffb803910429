"""How much faster are several threads than one: draws of the shipped 128×128 model, its chain, Metropolis, Wolff?

Seconds on the clock, with one thread and with --threads in turn; the ratio is the median over rounds of neighbours.
The same random numbers make the same configurations, whatever the number of threads. A loop of multiply-adds in
registers, which threads share without any loss, shows how many cores the machine had to give while this ran.
"""

import time

import numpy as np
import torch
from record import note, parser, record
from yardsticks import multiply_adds

from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.parallel import for_chunks
from nmcmc.random import Rng
from nmcmc.samplers.pretrained import load_pretrained
from nmcmc.updates.checkerboard import CheckerboardMetropolis
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import random_start
from nmcmc.updates.wolff import Wolff

CHAINS = 4
FMA_ROWS, FMA_STEPS = 8, 500_000


def stepped(update, start, steps, rng):
    """Return a function that makes some steps of every chain from where it stands."""
    state = update.init(start)

    def repeat():
        nonlocal state
        state, _, _ = update.block(state, rng, steps)

    return repeat


def in_registers():
    """Return a function that makes multiply-adds in threads and touches no memory."""
    x = np.ones((FMA_ROWS, 80), dtype=np.float32)

    def rows(start, stop):
        for row in x[start:stop]:
            multiply_adds(row, FMA_STEPS)

    return lambda: for_chunks(rows, FMA_ROWS)


def jobs(batch, seed):
    """Return what is timed: name → function."""
    sampler, target = load_pretrained("ising2d-128-critical")
    rng, torus = Rng(seed), Boltzmann(LatticeEnergy(Lattice((512, 512))), BETA_CRITICAL)
    draws, small = rng.child("draws"), sampler.sample(CHAINS, rng.child("start")).spins.numpy()
    large = random_start(CHAINS, torus.n_spins, rng.child("random"))
    return {
        "draw": lambda: sampler.sample(batch, draws),
        "neural chain": stepped(Independence(sampler, target), small, batch // CHAINS, rng.child("neural")),
        "Metropolis, 512×512": stepped(CheckerboardMetropolis(torus, sweeps=200), large, 4, rng.child("metropolis")),
        "Wolff, 128×128": stepped(Wolff(target, clusters=500), small, 1, rng.child("wolff")),
        "multiply-adds in registers": in_registers(),
    }


def main():
    options = parser(__doc__)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--batch", type=int, default=2048)
    options.add_argument("--repeats", type=int, default=31)
    args = options.parse_args()
    if args.quick:
        args.batch, args.repeats = 128, 2
    work = jobs(args.batch, args.seed)
    times = {name: {1: [], args.threads: []} for name in work}
    for number in range(-1, args.repeats):
        for name, job in work.items():
            for threads, spent in times[name].items():
                torch.set_num_threads(threads)
                begin = time.perf_counter()
                job()
                if number >= 0:
                    spent.append(time.perf_counter() - begin)
        note(f"repeat {number + 1}/{args.repeats}")
    result = {"threads": args.threads}
    for name, spent in times.items():
        one, many = np.array(spent[1]), np.array(spent[args.threads])
        result[name] = {
            "seconds_one_thread": float(np.median(one)),
            "seconds": float(np.median(many)),
            "ratio": float(np.median(one / many)),
            "ratio_of_fastest": float(one.min() / many.min()),
        }
    record("cores", result, args)


if __name__ == "__main__":
    main()

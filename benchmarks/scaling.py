"""How do time, memory and parameters grow with the lattice, from 8×8 to 512×512, beside one dense net over all spins?

Untrained weights throughout: what is timed does not depend on their values. Every lattice and sampler is measured in
a process of its own, so that its peak memory is its own; rounds over all of them alternate, and medians are taken.
The dense net has the size of Wu, Wang and Zhang (2019), arXiv:1809.10606 (width 4, three layers of weights), and is
left out where its weights, masks, gradients and Adam's moments would pass ``MEMORY``.
"""

import json
import math
import resource
import subprocess
import sys
import time
from functools import partial

import numpy as np
import torch
from record import note, parser, record

from nmcmc.config import SamplerConfig
from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.experiment.build import build_sampler
from nmcmc.random import Rng
from nmcmc.training.loop import Plan, train
from nmcmc.training.objectives import block_local_reverse_kl, forward_kl, reverse_kl
from nmcmc.updates.run import random_start

EXTENTS = (8, 16, 32, 64, 128, 256, 512)
MEMORY = 6e9
DRAWN_SPINS = 2**21
"""Spins drawn or evaluated at once: batches shrink as lattices grow."""
POOL = 64
STEPS = 3
KINDS = {"hierarchical": SamplerConfig(), "dense": SamplerConfig("made", width=4, depth=2)}


def objectives(kind, target, seed):
    """Return the losses that are timed, by name, of the batches that training uses by default."""
    pool = torch.from_numpy(random_start(POOL, target.n_spins, Rng(seed).child("pool")))
    forward = partial(forward_kl, configurations=lambda step: pool, batch=512)
    if kind == "dense":
        return {"reverse_kl": partial(reverse_kl, batch=512), "forward_kl": forward}
    return {"block_local_reverse_kl": block_local_reverse_kl, "forward_kl": forward}


def measure(kind, extent, seed):
    """Return seconds per configuration and per step, peak memory and parameters of one sampler."""
    energy = LatticeEnergy(Lattice((extent, extent)))
    target, rng = Boltzmann(energy, BETA_CRITICAL), Rng(seed)
    sampler = build_sampler(KINDS[kind], energy, target.beta, rng)
    batch = max(4, min(1000, DRAWN_SPINS // target.n_spins))
    with torch.no_grad():
        spins = sampler.sample(batch, rng).spins
        found = {
            "draw": timed(lambda: sampler.sample(batch, rng)) / batch,
            "log_prob": timed(lambda: sampler.log_prob(spins)) / batch,
        }
    memory = {"draw": peak_bytes()}
    for name, objective in objectives(kind, target, seed).items():
        plan = Plan(STEPS, evaluate_every=0, checkpoint_seconds=math.inf)
        train(sampler, target, objective, Plan(1, evaluate_every=0), rng.child(name, "first"))
        found[name] = timed(lambda o=objective, p=plan, n=name: train(sampler, target, o, p, rng.child(n))) / STEPS
        memory[name] = peak_bytes()
    return {"seconds": found, "peak_bytes": memory, "parameters": sum(p.numel() for p in sampler.parameters())}


def timed(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def dense_bytes(extent):
    """Return what weights, masks, gradients and two moments of the dense net take: five numbers of four bytes each."""
    n, hidden = extent**2, 4 * extent**2
    return 20 * (2 * n * hidden + hidden**2 + n * n)


def in_process(kind, extent, seed, threads):
    command = [sys.executable, __file__, "--one", kind, str(extent), "--seed", str(seed), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def median(rows):
    """Return dictionaries of numbers, of several rounds, as one of medians."""
    first = rows[0]
    if isinstance(first, dict):
        return {key: median([row[key] for row in rows]) for key in first}
    return float(np.median(rows))


def exponents(by_extent, least):
    """Return the slope of log seconds against log L by least squares over extents ≥ least, by what is timed."""
    extents = [extent for extent in by_extent if extent >= least]
    if len(extents) < 2:
        return {}
    names = by_extent[extents[0]]["seconds"]
    logs = {name: [math.log(by_extent[e]["seconds"][name]) for e in extents] for name in names}
    return {name: float(np.polyfit(np.log(extents), values, 1)[0]) for name, values in logs.items()}


def main():
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--largest", type=int, default=512)
    options.add_argument("--one", nargs=2, metavar=("KIND", "EXTENT"), help="measure this alone and print it")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    if args.one:
        print(json.dumps(measure(args.one[0], int(args.one[1]), args.seed)))
        return
    if args.quick:
        args.rounds, args.largest = 1, 32
    extents = [extent for extent in EXTENTS if extent <= args.largest]
    cases = [("hierarchical", e) for e in extents] + [("dense", e) for e in extents if dense_bytes(e) <= MEMORY]
    rows = {case: [] for case in cases}
    for number in range(args.rounds):
        for kind, extent in cases:
            rows[kind, extent].append(in_process(kind, extent, args.seed, args.threads))
            draw = rows[kind, extent][-1]["seconds"]["draw"]
            note(f"round {number + 1}/{args.rounds}: {kind} {extent}x{extent}: {1e3 * draw:.4g} ms per configuration")
    result = {"threads": args.threads, "beta": BETA_CRITICAL, "weights": "untrained"}
    for kind in KINDS:
        by_extent = {extent: median(rows[kind, extent]) for k, extent in cases if k == kind}
        result[kind] = {
            "lattices": {str(extent): values for extent, values in by_extent.items()},
            "exponents_from_32": exponents(by_extent, 32),
        }
    result["dense"]["bytes_needed"] = {str(e): dense_bytes(e) for e in extents if ("dense", e) not in cases}
    record("scaling", result, args)


if __name__ == "__main__":
    main()

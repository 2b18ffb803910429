"""How long do the two kernels take that dominate drawing and training: exact leaves, and lines drawn by a net?

One thread. Leaves of 7×7 (the 8×8 torus) and of 7×15 (a torus of --extent) at β_c: nanoseconds per leaf for log Z
alone and for log Z and a draw. Nets: every shape that the partition of the --extent torus needs, with random weights:
nanoseconds per line, multiply-adds per second of its products, and their fraction of what the fastest large float32
matrix product reaches on one thread. Medians over repeats in which all measurements alternate, of processor time.
"""

import os
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
import torch
from record import note, parser, record
from yardsticks import square_products

from nmcmc.energies.boltzmann import BETA_CRITICAL
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.leaves import Leaves
from nmcmc.samplers.hierarchical.partition import partition, region_of
from nmcmc.samplers.masked_net import MaskedNet


def torus(extent, leaf=7):
    return partition(region_of(LatticeEnergy(Lattice((extent, extent)))), leaf)


def inputs_of(parts, n_rows, n_blocks, seed):
    """Return random spins and uniforms (batch, n_sites) that make about n_rows rows of n_blocks blocks each."""
    batch, rng = max(1, n_rows // n_blocks), Rng(seed).child("inputs")
    uniforms = rng.uniform((batch, parts.root.n_sites))
    return torch.where(rng.uniform(tuple(uniforms.shape)) < 0.5, -1, 1).to(torch.int8), uniforms


def leaf_jobs(parts, n_rows, seed):
    """Return the two measurements of the leaves of a partition: name → (function, number of leaves per call)."""
    leaves = Leaves(parts.leaves[0], BETA_CRITICAL)
    spins, uniforms = inputs_of(parts, n_rows, len(leaves.inside), seed)
    shape = "x".join(str(n) for n in sorted(leaves.inside.shape[1:]))
    n = len(spins) * len(leaves.inside)
    return {
        f"leaf {shape} log Z": (lambda: leaves.log_z(spins), n),
        f"leaf {shape} log Z and draw": (lambda: leaves.draw(spins, uniforms), n),
    }


def net_job(parts, group, width, n_rows, seed):
    """Return the name, the function and the numbers of lines and of multiply-adds per line for one net."""
    n_line, n_border = group.line.shape[1], group.border.shape[1]
    net = MaskedNet(n_border, n_line, width=width, generator=Rng(seed).child("net").torch_generator())
    with torch.no_grad():
        net.last.normal_(0, 0.1, generator=Rng(seed).child("last").torch_generator())
    spins, uniforms = inputs_of(parts, n_rows, len(group.line), seed)
    products = sum(int(getattr(net, f"{name}_mask").sum()) for name in ("first", "last", "skip"))
    name = f"net {n_border}+{n_line} width {width}"
    return name, (lambda: net.draw(spins, group.border, group.line, uniforms), len(spins) * len(group.line)), products


def measure(jobs, repeats):
    """Return the nanoseconds per item of every job, (repeats,) each, interleaved, after one call to warm up."""
    times = {name: [] for name in jobs}
    for number in range(-1, repeats):
        for name, (work, n) in jobs.items():
            begin = time.process_time()
            work()
            if number >= 0:
                times[name].append(1e9 * (time.process_time() - begin) / n)
        note(f"repeat {number + 1}/{repeats}")
    return {name: np.array(values) for name, values in times.items()}


def main():
    options = parser(__doc__)
    options.add_argument("--extent", type=int, default=128)
    options.add_argument("--width", type=int, nargs="+", default=[4, 8])
    options.add_argument("--rows", type=int, default=8192, help="leaves or lines per call")
    options.add_argument("--repeats", type=int, default=21)
    args = options.parse_args()
    if args.quick:
        args.rows, args.repeats, args.extent = 1024, 3, 32
    torch.set_num_threads(1)
    small, large = torus(8), torus(args.extent)
    yardsticks = square_products(args.seed)
    jobs = yardsticks | leaf_jobs(small, args.rows, args.seed) | leaf_jobs(large, args.rows, args.seed)
    products = {}
    for width in args.width:
        for group in large.lines:
            n_rows = min(args.rows, 256 * len(group.line))
            name, jobs[name], products[name] = net_job(large, group, width, n_rows, args.seed)
    times = measure(jobs, args.repeats)
    median = {name: float(np.median(values)) for name, values in times.items()}
    least = min(median[name] for name in yardsticks)
    result = {"threads": 1} | {f"{name}, multiply-adds per ns": 1 / median[name] for name in yardsticks}
    for name, values in times.items():
        if name in products:
            rate = products[name] / median[name]
            result[name] = {
                "ns": median[name],
                "multiply_adds_per_ns": rate,
                "fraction": rate * least,
            }
        elif name not in yardsticks:
            result[name] = {"ns": median[name], "fastest": float(values.min()), "slowest": float(values.max())}
    record("kernels", result, args)


if __name__ == "__main__":
    main()

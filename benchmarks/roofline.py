"""Where does the time of a 128×128 draw go, and how far is it from what this machine could do at best?

One thread, the shipped model. Measured in rounds that alternate: the rate of float32 matrix products (large squares by
torch and by numpy, and the shapes of the line nets by torch), of a loop of nothing but multiply-adds in registers, the
memory bandwidth, and the parts of a draw, piece by piece as the sampler draws. Multiply-adds and bytes are counted from
the model's own nets and leaves. The floor is multiply-adds over the rate of the faster square product plus bytes over
the bandwidth.

The model of larger lattices and of GPUs scales what is measured here by counts; on GPUs, which nmcmc has never run on,
it takes peak rates from data sheets. It says what is possible, not what was seen.
"""

import os
import time
from functools import partial

os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
import torch
from record import note, parser, record
from yardsticks import FMA, multiply_adds, square_products, word_sum

from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import PAD, PIECE
from nmcmc.samplers.pretrained import load_pretrained
from nmcmc.updates.independence import Independence

WORDS, FMA_STEPS = 2**23, 2_000_000
MODEL_EXTENTS = (128, 256, 512, 1024)
GPUS = {
    "A100 SXM 80 GB": {"multiply_adds": 9.75e12, "bytes": 2.039e12, "source": "NVIDIA A100 data sheet: 19.5 TFLOPS"},
    "H100 SXM": {"multiply_adds": 33.5e12, "bytes": 3.35e12, "source": "NVIDIA H100 data sheet: 67 TFLOPS"},
}
"""Peak rates per second without tensor cores (a multiply-add is two operations) and of memory."""
GPU_BATCH, GPU_SHARE, GPU_STEP = 4096, 0.3, 5e-6
"""Assumed: configurations at once, fraction of peak, seconds per step that must wait for the one before."""


def net_multiply_adds(n_border, n_line, width):
    """Return the multiply-adds of one line of depth 1: its unmasked weights."""
    below, up_to = n_line * (n_line - 1) // 2, n_line * (n_line + 1) // 2
    return (width + 1) * (n_line * n_border + below) + width * up_to


def leaf_multiply_adds(height, width):
    """Return those of one leaf: sums over old spins, weights of new ones, and the halving of messages in a draw."""
    states = 2**width
    return states * ((height - 1) * width + (height - 1) * -(-width // 3) + 3 * height)


def counts(sampler):
    """Return multiply-adds of nets (by key) and leaves and the bytes of one configuration."""
    parts, n = sampler.whole.parts, sampler.n_spins
    nets = {}
    for group in parts.lines:
        net = sampler.whole.net(group)
        one = net_multiply_adds(net.n_border, net.n_line, net.width)
        if net.depth != 1 or one != sum(int(getattr(net, f"{m}_mask").sum()) for m in ("first", "last", "skip")):
            raise RuntimeError(f"the count of {group.region.key} is not that of its masks")
        nets[group.region.key] = len(group.line) * one
    leaves = sum(len(leaf.inside) * leaf_multiply_adds(*leaf.fields.shape) for leaf in sampler.whole.leaves)
    weights = 4 * sum(p.numel() for p in sampler.parameters())
    # Uniforms are written and read, spins written and read for two energies; weights are read once for PIECE of them.
    return {"nets": nets, "leaves": leaves, "bytes": 2 * 8 * n + 3 * n + weights / PIECE}


def yardsticks(sampler, seed):
    """Return measurements of the machine: name → (function, amount of work)."""
    generator = Rng(seed).torch_generator()
    words, x = np.ones(WORDS, dtype=np.uint64), np.ones(80, dtype=np.float32)
    jobs = square_products(seed) | {
        "multiply-adds in registers": (lambda: multiply_adds(x, FMA_STEPS), FMA * FMA_STEPS),
        "memory": (lambda: word_sum(words), words.nbytes),
    }
    for net in sampler.nets.values():
        first = net.first.detach()
        rows = torch.randn(4096, first.shape[1], generator=generator)
        jobs[f"product {4096}x{first.shape[1]}x{first.shape[0]}"] = (
            lambda rows=rows, first=first: rows @ first.T,
            4096 * first.numel(),
        )
    return jobs


def whole_jobs(sampler, target, n, seed):
    """Return a draw of n configurations and the steps of a chain that take as many: name → (function, n)."""
    rng, update = Rng(seed), Independence(sampler, target)
    state = update.init(sampler.sample(1, rng).spins.numpy())
    return {"draw": (lambda: sampler.sample(n, rng), n), "chain": (lambda: update.block(state, rng, n), n)}


def parts_of_piece(sampler, target, rng):
    """Draw PIECE configurations part by part, as the sampler does, and return the seconds per configuration of each."""
    whole, n, spent = sampler.whole, sampler.n_spins, {}

    def clocked(name, work):
        begin = time.process_time()
        result = work()
        spent[name] = (time.process_time() - begin) / PIECE
        return result

    uniforms = clocked("uniforms", lambda: rng.uniform((PIECE, n), pad=PAD))
    drawn = torch.empty(uniforms.shape, dtype=torch.int8)
    for group in whole.parts.lines:
        net = whole.net(group)
        clocked(f"net {group.region.key}", lambda g=group, net=net: net.draw(drawn, g.border, g.line, uniforms))
    clocked("leaves", lambda: whole.draw_leaves(drawn, uniforms))
    spins = drawn[:, :n].contiguous()
    clocked("energies", lambda: (sampler.energy(spins), whole.line_energy(spins), target.log_density(spins)))
    clocked("leaves, log Z alone", lambda: whole.log_z_leaves(spins))
    return spent


@torch.no_grad()
def measure(jobs, parts, pieces, repeats):
    """Return the median and least seconds per unit of work of the parts of a piece and of all jobs, in alternation."""
    times = {}
    for number in range(-1, repeats):
        drawn = [parts() for _ in range(pieces)]
        spent = {name: float(np.mean([piece[name] for piece in drawn])) for name in drawn[0]}
        for name, (work, amount) in jobs.items():
            begin = time.process_time()
            work()
            spent[name] = (time.process_time() - begin) / amount
        if number >= 0:
            for name, seconds in spent.items():
                times.setdefault(name, []).append(seconds)
        note(f"repeat {number + 1}/{repeats}")
    return {name: {"median": float(np.median(t)), "fastest": float(min(t))} for name, t in times.items()}


def levels(extent, widths):
    """Return (blocks, border, line, width) of every net of the extent² torus, extent = 2^k ≥ 32, leaves of 7×15.

    widths : blocks of a shape that the shipped model knows keep its width, larger ones have 4.
    """
    m = extent - 1
    half = (m - 1) // 2
    found = [(1, 0, extent), (1, extent, m), (1, 2 * m, m), (2, 2 * m + half, half)]
    blocks, m = 4, half
    while m > 7:
        half = (m - 1) // 2
        found.append((blocks, 4 * m, m))
        if half > 7:
            found.append((2 * blocks, 2 * (m + half), half))
        blocks, m = 4 * blocks, half
    return [(*level, widths.get((level[1], level[2]), 4)) for level in found]


def cost_model(sampler, seconds, found):
    """Return modelled seconds per draw by extent, for this core and for GPUs."""
    n, leaves = sampler.n_spins, sum(len(leaf.inside) for leaf in sampler.whole.leaves)
    widths = {(net.n_border, net.n_line): net.width for net in sampler.nets.values()}
    net_seconds = sum(t["median"] for name, t in seconds.items() if name.startswith("net "))
    total = sum(found["nets"].values())
    rest = seconds["uniforms"]["median"] + seconds["energies"]["median"]
    rows = {}
    for extent in MODEL_EXTENTS:
        nets = levels(extent, widths)
        adds = sum(blocks * net_multiply_adds(border, line, width) for blocks, border, line, width in nets)
        scale = extent**2 / n
        weights = 4 * sum(
            (border + 2 * line) * line * width + (border + line) * line for _, border, line, width in nets
        )
        leaf_adds, steps = scale * found["leaves"], sum(line for _, _, line, _ in nets) + 2 * 15
        moved = 19 * extent**2 + weights / GPU_BATCH
        row = {
            "net_multiply_adds": adds,
            "leaves": scale * leaves,
            "steps": steps,
            "this core": adds * net_seconds / total + scale * (seconds["leaves"]["median"] + rest),
        }
        for name, gpu in GPUS.items():
            work = (adds + leaf_adds) / gpu["multiply_adds"] + moved / gpu["bytes"]
            row[name] = work / GPU_SHARE + steps * GPU_STEP / GPU_BATCH
        rows[str(extent)] = row
    if rows[str(sampler.energy.lattice.extents[0])]["net_multiply_adds"] != total:
        raise RuntimeError("the model's count is not that of the shipped nets")
    return rows


def main():
    options = parser(__doc__)
    options.add_argument("--batch", type=int, default=256)
    options.add_argument("--repeats", type=int, default=21)
    args = options.parse_args()
    if args.quick:
        args.batch, args.repeats = 64, 2
    torch.set_num_threads(1)
    sampler, target = load_pretrained("ising2d-128-critical")
    found = counts(sampler)
    machine = yardsticks(sampler, args.seed)
    parts = partial(parts_of_piece, sampler, target, Rng(args.seed).child("parts"))
    jobs = machine | whole_jobs(sampler, target, args.batch, args.seed)
    seconds = measure(jobs, parts, max(1, args.batch // PIECE), args.repeats)
    adds, spent = sum(found["nets"].values()), {n: t["median"] for n, t in seconds.items()}
    product = max(1 / spent[name] for name in machine if name.startswith("square product"))
    registers = 1 / spent["multiply-adds in registers"]
    net_seconds = sum(t for name, t in spent.items() if name.startswith("net "))
    floor = (adds + found["leaves"]) / product + found["bytes"] * spent["memory"]
    result = {
        "threads": 1,
        "multiply_adds": {"nets": adds, "leaves": found["leaves"], "by_net": found["nets"]},
        "bytes": found["bytes"],
        "rates": {name: 1 / spent[name] for name in machine},
        "seconds": {name: t for name, t in seconds.items() if name not in machine},
        "nets_fraction_of_product_rate": adds / net_seconds / product,
        "nets_fraction_of_register_rate": adds / net_seconds / registers,
        "floor_seconds": floor,
        "draw_over_floor": spent["draw"] / floor,
        "model": {
            "assumed": {"batch": GPU_BATCH, "share_of_peak": GPU_SHARE, "seconds_per_step": GPU_STEP, "gpus": GPUS},
            "rows": cost_model(sampler, seconds, found),
        },
    }
    record("roofline", result, args)


if __name__ == "__main__":
    main()

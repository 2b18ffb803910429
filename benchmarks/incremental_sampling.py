"""How much less does an incremental draw from a MADE cost than one full forward pass per spin?

A 16×16 lattice and the width of Wu, Wang and Zhang (2019), arXiv:1809.10606: their program's net_depth = 3 counts
layers of weights and net_width = 4 the hidden units per spin, so here depth = 2 hidden layers and width = 4. Both
ways use the same random weights, batch and threads. A full pass starts from weights that are masked already, which
flatters it a little; n = 256 passes are what one draw takes without a cache, and their time is 256 times the median
of single passes, which alternate with the draws.
"""

import time

import numpy as np
import torch
from record import note, parser, record

from nmcmc.energies.boltzmann import BETA_CRITICAL
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.samplers.made import MADESampler

MASKED = ("first", "middle", "last", "skip")


def sampler_of(extent, seed):
    """Return a MADE whose weights are random everywhere, as after training."""
    energy = LatticeEnergy(Lattice((extent, extent)))
    sampler = MADESampler(energy, BETA_CRITICAL, width=4, depth=2, rng=Rng(seed))
    with torch.no_grad():
        sampler.net.last.normal_(0, 0.1, generator=Rng(seed).child("last").torch_generator())
    return sampler


def full_pass(net):
    """Return a function from spins (batch, n) to logits (batch, n) with the masks already in the weights."""
    first, (middle,), last, skip = (getattr(net, n).detach() * getattr(net, f"{n}_mask") for n in MASKED)

    def logits(spins):
        hidden = torch.tanh(torch.tanh(spins @ first.T) @ middle.T)
        return spins @ skip.T + hidden @ last.T

    return logits


def measure(sampler, batch, repeats, passes, seed):
    """Return the seconds of every draw and of every full pass, interleaved."""
    logits, rng, draws, singles = full_pass(sampler.net), Rng(seed).child("draws"), [], []
    spins = sampler.sample(batch, rng).spins.float()
    torch.testing.assert_close(logits(spins), sampler.logits(spins), rtol=1e-4, atol=1e-4)
    for number in range(repeats):
        begin = time.perf_counter()
        sampler.sample(batch, rng)
        draws.append(time.perf_counter() - begin)
        for _ in range(passes):
            begin = time.perf_counter()
            logits(spins)
            singles.append(time.perf_counter() - begin)
        note(f"repeat {number + 1}/{repeats}: draw {draws[-1]:.4f} s, pass {np.median(singles[-passes:]):.4f} s")
    return np.array(draws), np.array(singles)


@torch.no_grad()
def main():
    options = parser(__doc__)
    options.add_argument("--extent", type=int, default=16)
    options.add_argument("--batch", type=int, default=1000)
    options.add_argument("--repeats", type=int, default=21)
    options.add_argument("--passes", type=int, default=10, help="full passes timed per repeat")
    options.add_argument("--threads", type=int, default=1)
    args = options.parse_args()
    if args.quick:
        args.repeats, args.passes = 3, 3
    torch.set_num_threads(args.threads)
    sampler = sampler_of(args.extent, args.seed)
    draws, singles = measure(sampler, args.batch, args.repeats, args.passes, args.seed)
    by_passes = sampler.n_spins * float(np.median(singles))
    result = {
        "lattice": f"{args.extent}x{args.extent}",
        "parameters": sum(int(getattr(sampler.net, f"{name}_mask").sum()) for name in MASKED),
        "batch": args.batch,
        "threads": args.threads,
        "seconds_incremental": float(np.median(draws)),
        "seconds_one_pass": float(np.median(singles)),
        "seconds_by_passes": by_passes,
        "ratio": by_passes / float(np.median(draws)),
        "ratio_least": sampler.n_spins * float(singles.min() / draws.max()),
    }
    record("incremental_sampling", result, args)


if __name__ == "__main__":
    main()

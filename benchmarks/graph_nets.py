"""How fast do the sparse net and the PixelCNN draw, against one full forward pass per spin, and how good do they get?

A 16×16 torus at β_c. The PixelCNN of the published size (three layers of weights, 64 channels, half kernel 6: Wu, Wang,
Zhang, arXiv:1809.10606) and of a small one, the sparse net, and a MADE of the default width. A draw without a cache
takes n = 256 full passes. Draws and passes alternate; times are the least of all repeats: the machine may be busy.
``ess_fraction`` and KL are those after a short training by reverse KL, as many steps for all; the published size is
drawn only.
"""

import time

import numpy as np
import torch
from record import note, parser, record

from nmcmc.analysis.importance import ess_fraction, kl
from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.known import exact_values
from nmcmc.random import Rng
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.pixelcnn import PixelCNNSampler
from nmcmc.samplers.sparse import SparseSampler
from nmcmc.training.loop import Plan, train
from nmcmc.training.objectives import reverse_kl

ENERGY = LatticeEnergy(Lattice((16, 16)))
NETS = {
    "sparse, width 8": lambda rng: SparseSampler(ENERGY, BETA_CRITICAL, width=8, rng=rng),
    "pixelcnn, 8 channels, half kernel 3": lambda rng: PixelCNNSampler(ENERGY, BETA_CRITICAL, rng=rng),
    "pixelcnn, 64 channels, half kernel 6": lambda rng: PixelCNNSampler(
        ENERGY, BETA_CRITICAL, width=64, depth=2, half_kernel=6, rng=rng
    ),
    "made, width 4": lambda rng: MADESampler(ENERGY, BETA_CRITICAL, width=4, depth=1, rng=rng),
}
DRAWN_ONLY = {"pixelcnn, 64 channels, half kernel 6"}


@torch.no_grad()
def speed(sampler, batch, repeats, rng):
    """Return seconds of a draw and of a full pass of a batch, the least of alternating runs."""
    spins, seconds = sampler.sample(batch, rng).spins.float(), []
    for _ in range(repeats):
        marks = [time.perf_counter()]
        sampler.sample(batch, rng)
        marks.append(time.perf_counter())
        sampler.logits(spins)
        seconds.append(np.diff([*marks, time.perf_counter()]))
    return np.min(seconds, axis=0)


def quality(sampler, steps, batch, rng):
    """Train, and return ess_fraction and KL from fresh draws."""
    target = Boltzmann(ENERGY, BETA_CRITICAL)
    begin = time.perf_counter()

    def loss(sampler, target, rng, step=0):
        return reverse_kl(sampler, target, rng, step, batch=batch)

    train(sampler, target, loss, Plan(steps=steps, beta_start=BETA_CRITICAL / 2), rng.child("train"))
    spent = time.perf_counter() - begin
    with torch.no_grad():
        draw = sampler.sample(10_000, rng.child("evaluate"))
    weights = target.log_density(draw.spins.numpy()) - draw.log_prob.numpy()
    estimates = {
        "ess_fraction": ess_fraction(weights),
        "kl": kl(weights, exact_values(ENERGY, BETA_CRITICAL)["log_z"]),
    }
    return {name: {"value": e.value, "error": e.error} for name, e in estimates.items()} | {"seconds": spent}


def main():
    options = parser(__doc__)
    options.add_argument("--batch", type=int, default=256)
    options.add_argument("--repeats", type=int, default=15)
    options.add_argument("--steps", type=int, default=200)
    args = options.parse_args()
    if args.quick:
        args.repeats, args.steps = 1, 20
    torch.set_num_threads(1)
    rows = {}
    for name, build in NETS.items():
        sampler, rng = build(Rng(args.seed)), Rng(args.seed).child(name)
        drawn, one_pass = speed(sampler, args.batch, args.repeats, rng)
        row = {
            "parameters": sum(p.numel() for p in sampler.parameters() if p.requires_grad),
            "draws_per_second": float(args.batch / drawn),
            "passes_over_draw": float(ENERGY.n_spins * one_pass / drawn),
        }
        if name not in DRAWN_ONLY:
            row["trained"] = quality(sampler, args.steps, args.batch, rng)
        rows[name] = row
        note(f"{name}: {row}")
    record("graph_nets", {"threads": 1, "rows": rows}, args)


if __name__ == "__main__":
    main()

"""What does one net of the hierarchy reach in a given time, by what it learns from, its size, rate and optimiser?

Trains the net that draws the middle row of 15×15 blocks (of a critical 64×64 torus), whose halves are exact leaves, so
that its KL is known free of other nets: the mean over borders from configurations of KL(q‖p) inside the block. All
variants get the same seconds of processor time, data included, one after the other on one thread.
"""

import time

import torch
from record import note, parser, record

from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.experiment.configurations import Configurations
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.divergence import kl_of_block
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.training.objectives import block_local_reverse_kl
from nmcmc.training.schedule import learning_rate

USUAL = {
    **{"labels": "chances", "finish": 0.0, "crosses": 8},
    **{"width": 8, "depth": 1, "batch": 512, "rate": 0.0015, "optimizer": "adam"},
}
VARIANTS = {
    "usual": {},
    "spins as labels": {"labels": "spins"},
    "spins as labels, twice the rate": {"labels": "spins", "rate": 0.003},
    "half the rate": {"rate": 0.00075},
    "twice the rate": {"rate": 0.003},
    "batch 2048, twice the rate": {"batch": 2048, "rate": 0.003},
    "width 4": {"width": 4},
    "width 16": {"width": 16},
    "two layers": {"depth": 2},
    "SOAP, batch 2048, twice the rate": {"optimizer": "soap", "batch": 2048, "rate": 0.003},
    "second half by reverse KL": {"finish": 0.5},
    "second half by reverse KL, width 16": {"finish": 0.5, "width": 16},
    "reverse KL only": {"finish": 1.0},
    "reverse KL only, 2 draws of 256 borders": {"finish": 1.0, "crosses": 2},
    "reverse KL only, 4 draws of 128 borders": {"finish": 1.0, "crosses": 4},
    "reverse KL only, 32 draws of 16 borders": {"finish": 1.0, "crosses": 32},
}
FINISH_RATE, REVERSE_DRAWS = 0.002, 512


class Soap(torch.optim.Optimizer):
    """Adam in the eigenbasis of Shampoo's two factors (Vyas and others, 2024, arXiv:2409.11321), for matrices."""

    def __init__(self, parameters, lr, betas=(0.95, 0.95), every=20):
        super().__init__(parameters, {"lr": lr, "betas": betas, "every": every})

    @torch.no_grad()
    def step(self):
        """Move every parameter once."""
        for group in self.param_groups:
            for p in group["params"]:
                self._move(p, self.state[p], *group["betas"], group["lr"], group["every"])

    def _move(self, p, state, b1, b2, rate, every):
        g = p.grad
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
            state["factors"] = [g @ g.T, g.T @ g]
            state["bases"] = [torch.linalg.eigh(factor)[1] for factor in state["factors"]]
        state["step"] += 1
        left, right = state["bases"]
        state["mean"].lerp_(g, 1 - b1)
        state["square"].lerp_((left.T @ g @ right) ** 2, 1 - b2)
        mean = (left.T @ state["mean"] @ right) / (1 - b1 ** state["step"])
        scale = (state["square"] / (1 - b2 ** state["step"])).sqrt() + 1e-8
        p.add_(left @ (mean / scale) @ right.T, alpha=-rate)
        if state["step"] % 5 == 0:
            for factor, now in zip(state["factors"], (g @ g.T, g.T @ g), strict=True):
                factor.lerp_(now, 1 - b2)
        if state["step"] % every == 0:
            products = [f @ basis for f, basis in zip(state["factors"], state["bases"], strict=True)]
            state["bases"] = [torch.linalg.qr(product)[0] for product in products]


def train(variant, seconds, seed):
    """Train the net for some seconds of processor time and return its share of KL, steps and blocks seen."""
    energy, rng = LatticeEnergy(Lattice((64, 64))), Rng(seed)
    target = Boltzmann(energy, BETA_CRITICAL)
    sizes = {"width": variant["width"], "depth": variant["depth"]}
    sampler = HierarchicalSampler(energy, target.beta, rng=rng.child("init"), **sizes)
    key = sampler.keys[-1]
    sampler.train_only(key)
    configurations, net = Configurations(target, rng.child("data")), sampler.nets[key]
    configurations(0)  # compiles
    steps = seen = 0
    spent, optimizer, finishing = 0.0, None, False
    while spent < seconds:
        begin = time.process_time()
        part = spent / seconds
        if optimizer is None or (not finishing and part >= 1 - variant["finish"]):
            finishing = part >= 1 - variant["finish"]
            optimizer, first, start = optimizer_of(net, variant, finishing), steps, part
        end = 1.0 if finishing else 1 - variant["finish"]
        peak = FINISH_RATE if finishing else variant["rate"]
        warm = min(1.0, (steps - first + 1) / 50)
        for group in optimizer.param_groups:
            group["lr"] = warm * peak * cosine((part - start) / (end - start))
        loss, n = loss_of(sampler, target, key, variant, finishing, configurations, rng.child(steps), steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps, seen, spent = steps + 1, seen + n, spent + time.process_time() - begin
    kl = kl_of_block(sampler, configurations(10**9), key, 1000, 64, rng.child("kl"))
    return {"kl": kl.value, "error": kl.error, "steps": steps, "blocks": seen}


def cosine(part):
    return learning_rate(round(1e6 * min(part, 1.0)), 10**6, 1.0, 0)


def optimizer_of(net, variant, finishing):
    """Return a new optimiser; masks are put into the weights, which SOAP's rotations would take for free numbers."""
    with torch.no_grad():
        for name in ("first", "last", "skip"):
            getattr(net, name).mul_(getattr(net, f"{name}_mask"))
    parameters = [p for p in net.parameters() if p.requires_grad and p.numel()]
    if variant["optimizer"] == "soap" and not finishing:
        return Soap(parameters, variant["rate"])
    return torch.optim.Adam(parameters, variant["rate"], betas=(0.9, 0.99))


def loss_of(sampler, target, key, variant, finishing, configurations, rng, step):
    """Return the loss of a step and the number of blocks that it looked at."""
    if finishing:
        crosses = variant["crosses"]
        given = {"configurations": configurations, "borders": REVERSE_DRAWS // crosses, "crosses": crosses}
        return block_local_reverse_kl(sampler, target, rng, step, **given), REVERSE_DRAWS
    inputs, chances = sampler.windows(key, configurations(step), variant["batch"], rng)
    net = sampler.nets[key]
    labels = chances if variant["labels"] == "chances" else (inputs[:, net.n_border :] + 1) / 2
    return net.cross_entropy(inputs, labels), variant["batch"]


def main():
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=40.0, help="processor time of each variant")
    args = options.parse_args()
    chosen = dict(VARIANTS)
    if args.quick:
        args.seconds, chosen = 2.0, {name: VARIANTS[name] for name in ("usual", "second half by reverse KL")}
    torch.set_num_threads(1)
    result = {"seconds": args.seconds, "usual": USUAL, "variants": {}}
    for name, change in chosen.items():
        result["variants"][name] = change | train(USUAL | change, args.seconds, args.seed)
        note(f"{name}: {result['variants'][name]}")
    record("one_level", result, args)


if __name__ == "__main__":
    main()

"""What should the network of one line look like, and how should it learn, as lines grow?

Trains the net that draws the middle row of square blocks of a critical torus by forward KL, each variant for the same
seconds of processor time, one after the other on one thread. Measured is the cross-entropy on windows that no variant
has seen, the same for all: its excess over that of the usual net is a difference of KL(p‖q) in nats per line, whose
error is that of the difference, window by window. Symmetry averages are measured on the usual net after its training.
"""

import time

import numpy as np
import torch
from record import note, parser, record
from torch import nn

from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.experiment.configurations import Configurations
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.masked_net import MaskedNet
from nmcmc.training.schedule import learning_rate

BLOCKS = {15: 64, 31: 64, 63: 128}
"""Side of the blocks → side of the torus that they are cut from."""
USUAL = {"width": 8, "depth": 1, "batch": 512, "late": 512, "rate": 0.0015, "order": "along", "average": 0.0}
VARIANTS = {
    "usual": {},
    "width 4": {"width": 4},
    "width 16": {"width": 16},
    "two layers": {"depth": 2},
    "twice the rate": {"rate": 0.003},
    "four times the batch in the last third": {"late": 2048},
    "average of the weights (0.998 a step)": {"average": 0.998},
    "from the middle outwards": {"order": "outwards"},
    "from both ends inwards": {"order": "inwards"},
    "by bisection": {"order": "bisection"},
    "weights shared along the line": {"shared": "always"},
    "shared for the first half, then free": {"shared": "first"},
}
TEST_WINDOWS = 40_000


def orders(n):
    """Return name → the order in which the n positions of a line are drawn."""
    middle = (n - 1) / 2
    along = np.arange(n)
    bisection, gaps = [], [(0, n)]
    while gaps:
        first, last = gaps.pop(0)
        if first < last:
            cut = (first + last) // 2
            bisection.append(cut)
            gaps += [(first, cut), (cut + 1, last)]
    inwards = np.array([k // 2 if k % 2 == 0 else n - 1 - k // 2 for k in range(n)])
    outwards = np.array(sorted(along, key=lambda i: abs(i - middle)))
    return {"along": along, "inwards": inwards, "outwards": outwards, "bisection": np.array(bisection)}


class SharedNet(MaskedNet):
    """A masked net whose weights to row above, row below, and line depend on distances along the line only.

    Weights to the columns at the ends of the line, and the skip connection, stay free.
    """

    def share(self, rows, columns, width):
        """Say where the inputs are: rows (−1 above, 0 line, 1 below, 9 elsewhere) and columns; the line comes last."""
        n = self.n_line
        place = columns[-n:]
        apart = columns[None] - place[:, None]
        kind = np.where(np.abs(rows) <= 1, rows + 1, 3)
        index = np.where(kind < 3, kind * (2 * n - 1) + apart + n - 1, 3 * (2 * n - 1))
        self.index = torch.from_numpy(np.broadcast_to(index[:, None], (n, width, len(columns))).copy())
        self.unit = torch.arange(width)[None, :, None].expand_as(self.index)
        self.free_mask = (self.index == 3 * (2 * n - 1)).reshape(n * width, -1).to(torch.float32)
        scale = self.first_mask.sum(dim=1).mean().sqrt()
        self.near = nn.Parameter(torch.cat([torch.randn(width, 3 * (2 * n - 1)) / scale, torch.zeros(width, 1)], dim=1))
        lag = torch.from_numpy(place[:, None] - place[None] + n - 1)
        self.lag = lag[:, :, None].expand(n, n, width)
        self.readout = nn.Parameter(torch.zeros(2 * n - 1, width))
        return self

    def expanded(self):
        """Return first and last weights with the shared ones in their places."""
        n_hidden = self.n_line * self.width
        first = self.near[self.unit, self.index].reshape(n_hidden, -1) * (1 - self.free_mask)
        unit = torch.arange(self.width).expand_as(self.lag)
        last = self.readout[self.lag, unit].reshape(self.n_line, n_hidden)
        return first + self.first * self.free_mask, last

    def logits(self, inputs):
        """Return the logits (batch, n_line)."""
        first, last = self.expanded()
        h = torch.tanh(inputs @ (first * self.first_mask).T)
        return inputs @ (self.skip * self.skip_mask).T + h @ (last * self.last_mask).T

    def freed(self, net):
        """Put the weights into a net of the same shape without sharing."""
        first, last = self.expanded()
        with torch.no_grad():
            net.first.copy_(first)
            net.last.copy_(last)
            net.skip.copy_(self.skip)
        return net


class Line:
    """One net's line in blocks of a given side: its windows in any order of drawing, and where its inputs are."""

    def __init__(self, side, seed):
        energy = LatticeEnergy(Lattice((BLOCKS[side], BLOCKS[side])))
        self.target, self.rng = Boltzmann(energy, BETA_CRITICAL), Rng(seed).child(side)
        self.sampler = HierarchicalSampler(energy, BETA_CRITICAL, width=1, rng=self.rng.child("init"))
        self.key = next(key for key in self.sampler.keys if key.startswith(f"block_{side}x{side}_"))
        group = self.sampler.groups[self.key]
        self.cut, self.region = group.cut, group.region
        self.n_border, self.n_line = group.region.n_border, len(group.cut.line)
        sites = np.concatenate([group.border[0], group.line[0]])
        rows, columns = (x.astype(np.int64) for x in np.divmod(sites, BLOCKS[side]))
        line_row = rows[-1]
        above, below = rows.min(), rows.max()
        ends = (columns == columns.min()) | (columns == columns.max())
        self.rows = np.select([rows == line_row, rows == above, rows == below], [0, -1, 1], 9)
        self.rows[: self.n_border][ends[: self.n_border]] = 9
        self.columns, self.coordinates = columns, np.stack([rows - line_row, columns - columns[-self.n_line :].mean()])
        self.configurations = Configurations(self.target, self.rng.child("data"))

    def windows(self, step, n, rng, order):
        """Return inputs and chances of n random blocks for a step of training, the line in the order of drawing."""
        inputs, chances = self.sampler.windows(self.key, self.configurations(step), n, rng)
        columns = np.concatenate([np.arange(self.n_border), self.n_border + order])
        return inputs[:, columns], chances[:, order]

    def net(self, variant, order, shared):
        """Return a new net that starts at the physics."""
        kind = SharedNet if shared else MaskedNet
        generator = self.rng.child("weights").torch_generator()
        sizes = {"width": variant["width"], "depth": variant["depth"]}
        net = kind(self.n_border, self.n_line, **sizes, generator=generator)
        place = np.arange(self.region.n_sites)
        place[self.cut.line[order]] = np.arange(self.n_border, self.n_border + self.n_line)
        net.set_skip(place[self.cut.edges], 2 * self.target.beta * self.cut.couplings, np.zeros(self.n_line))
        if shared:
            columns = np.concatenate([self.columns[: self.n_border], self.columns[self.n_border :][order]])
            net.share(self.rows, columns, variant["width"])
        return net

    def mirrored(self):
        """Return the inputs' permutations under the four reflections of the block, the identity first."""
        place = {tuple(xy): k for k, xy in enumerate(self.coordinates.T.tolist())}
        return [
            np.array([place[up * row, right * column] for row, column in self.coordinates.T.tolist()])
            for up in (1, -1)
            for right in (1, -1)
        ]


def train(line, variant, seconds):
    """Train a net for some seconds of processor time; return it, its order and the steps made."""
    order = orders(line.n_line)[variant["order"]]
    shared = variant.get("shared")
    net = line.net(variant, order, shared)
    optimizer, average = optimizer_of(net), None
    line.configurations(0)  # compiles
    steps, spent = 0, 0.0
    while spent < seconds:
        begin = time.process_time()
        part = spent / seconds
        if shared == "first" and part > 0.5:
            net, shared = net.freed(line.net(variant, order, None)), None
            optimizer = optimizer_of(net)
        for group in optimizer.param_groups:
            group["lr"] = min(1.0, (steps + 1) / 50) * learning_rate(round(1e6 * part), 10**6, variant["rate"], 0)
        batch = variant["late"] if part > 2 / 3 else variant["batch"]
        loss = net.cross_entropy(*line.windows(steps, batch, line.rng.child("step", steps), order))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if variant["average"]:
            average = averaged(average, net, variant["average"])
        steps, spent = steps + 1, spent + time.process_time() - begin
    if average:
        net.load_state_dict(average)
    return net, order, steps


def optimizer_of(net):
    return torch.optim.Adam([p for p in net.parameters() if p.requires_grad and p.numel()], betas=(0.9, 0.99))


def averaged(average, net, decay):
    """Return the exponential average of the weights."""
    now = {name: value.clone() for name, value in net.state_dict().items()}
    return now if average is None else {name: torch.lerp(now[name], average[name], decay) for name in now}


@torch.no_grad()
def tests(line):
    """Return windows to test on, in the order along the line."""
    sets, rng = 10, line.rng.child("test")
    order = np.arange(line.n_line)
    found = [line.windows(10**9 + 200 * k, TEST_WINDOWS // sets, rng.child(k), order) for k in range(sets)]
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


@torch.no_grad()
def losses(net, order, inputs, chances):
    """Return −Σ_i [c_i ln q_i + (1 − c_i) ln(1 − q_i)] of each window, (n,) float64."""
    columns = np.concatenate([np.arange(net.n_border), net.n_border + order])
    out = []
    for x, c in zip(inputs[:, columns].split(2000), chances[:, order].split(2000), strict=True):
        logits = net.logits(x)
        out.append((nn.functional.softplus(logits) - c * logits).sum(dim=1, dtype=torch.float64))
    return torch.cat(out)


@torch.no_grad()
def gain_of_symmetry(line, net, inputs):
    """Return what an average of q over the four reflections of the block gains, in nats per line, and its error."""
    given = inputs[:, net.n_border :]
    log_q = []
    for permutation in line.mirrored():
        x = inputs[:, permutation]
        logits = torch.cat([net.logits(part) for part in x.split(2000)])
        log_q.append(nn.functional.logsigmoid(x[:, net.n_border :] * logits).sum(dim=1, dtype=torch.float64))
    gain = torch.logsumexp(torch.stack(log_q), dim=0) - np.log(len(log_q)) - log_q[0]
    return mean_of(gain) | {"windows": len(given)}


def mean_of(values):
    return {"value": float(values.mean()), "error": float(values.std() / len(values) ** 0.5)}


def measure(side, seconds, chosen, seed):
    """Return the excess of every variant over the usual one for blocks of a side."""
    line = Line(side, seed)
    test = tests(line)
    found, usual = {}, None
    for name, change in chosen.items():
        net, order, steps = train(line, USUAL | change, seconds)
        loss = losses(net, order, *test)
        if usual is None:
            usual = loss
            found["symmetry average of the usual net"] = gain_of_symmetry(line, net, test[0])
        found[name] = change | {"steps": steps, "excess": mean_of(loss - usual)}
        note(f"{side}: {name}: {found[name]}")
    return {"seconds": seconds, "torus": BLOCKS[side], "variants": found}


def main():
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, nargs=len(BLOCKS), default=[6.0, 15.0, 40.0], help="of each variant")
    options.add_argument("--sides", type=int, nargs="*", default=list(BLOCKS), choices=list(BLOCKS))
    args = options.parse_args()
    chosen = dict(VARIANTS)
    if args.quick:
        args.seconds, args.sides = [2.0] * len(BLOCKS), [15]
        chosen = {name: VARIANTS[name] for name in ("usual", "by bisection", "shared for the first half, then free")}
    torch.set_num_threads(1)
    seconds = dict(zip(BLOCKS, args.seconds, strict=True))
    result = {str(side): measure(side, seconds[side], chosen, args.seed) for side in args.sides}
    record("line_nets", {"usual": USUAL, "sides": result}, args)


if __name__ == "__main__":
    main()

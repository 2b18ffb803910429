"""The hierarchical sampler: nets draw lines from the largest level to the smallest, leaves are exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.parallel import in_turn
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.block import Block, gather
from nmcmc.samplers.hierarchical.partition import Cut, Group, Region, merged, partition, region_of
from nmcmc.samplers.masked_net import MaskedNet
from nmcmc.samplers.windows import Windows
from nmcmc.types import Draw, Ints

Size: TypeAlias = int | Mapping[str, int]
"""One number for all nets, or one for each by its key."""

PIECE, PIECE_SPINS = 64, 2**20
"""Configurations are drawn in multiples of PIECE, the rows that a net's kernel treats together, of so many spins."""

PAD = 8
"""Columns behind every row of a piece: rows a power of two apart would share a few sets of the caches."""


class HierarchicalSampler(nn.Module):
    """q(s) = Π_blocks q(line | border) · Π_leaves p(leaf | border) on a two-dimensional lattice.

    Blocks of the same shape, border, couplings and fields share one net. Nets start at the physics, 2β times the
    field of the known neighbours, and are odd where no field acts inside, so that q(s) = q(−s) exactly.
    Generalises Białas, Korcyl, Stebel (2022), arXiv:2203.10989.

    Parameters
    ----------
    energy : nearest-neighbour energy on a two-dimensional lattice with both extents ≥ 4, any boundary.
    beta : inverse temperature that the leaves are exact for.
    leaf : largest short side of an exact leaf: 1, 3, 7 or 15 fit extents 2^m. The long side may be 2 leaf + 1.
    width, depth : hidden units per line spin and layer, and hidden layers: a number for all nets, or key → number.
    rng : random numbers of the initial weights.

    Raises
    ------
    ValueError : for other lattices, leaves outside 1 … 16, a beta that is negative or not finite, couplings too
        strong to sum a leaf in float64, or sizes for other nets than there are.

    Examples
    --------
    >>> from nmcmc.energies.lattice import Lattice, LatticeEnergy
    >>> sampler = HierarchicalSampler(LatticeEnergy(Lattice((4, 4))), beta=0.44, rng=Rng(1))
    >>> draw = sampler.sample(3, Rng(2))
    >>> tuple(draw.spins.shape), bool((sampler.log_prob(draw.spins) - draw.log_prob).abs().max() < 1e-4)
    ((3, 16), True)
    """

    def __init__(
        self, energy: LatticeEnergy, beta: float, *, leaf: int = 7, width: Size = 8, depth: Size = 1, rng: Rng
    ):
        super().__init__()
        self.energy, self.beta, self.leaf = energy, Boltzmann(energy, beta).beta, leaf
        parts = partition(region_of(energy), leaf)
        self.groups: dict[str, Group] = {group.region.key: group for group in merged(parts.lines)}
        widths, depths = self._per_net("width", width), self._per_net("depth", depth)
        self._sizes_without_nets = {"width": width, "depth": depth}
        self.nets = nn.ModuleDict(
            {key: self._new_net(group, widths[key], depths[key], rng.child(key)) for key, group in self.groups.items()}
        )
        self.whole = Block(parts, self.beta, self.nets)
        self._blocks: dict[str, Block] = {}
        self._windows: dict[str, Windows] = {}

    def _per_net(self, name: str, size: Size) -> Mapping[str, int]:
        if not isinstance(size, Mapping):
            return dict.fromkeys(self.groups, size)
        if set(size) != set(self.groups):
            raise ValueError(f"{name} is for the nets {', '.join(size)}; give one for each of {', '.join(self.groups)}")
        return size

    def _new_net(self, group: Group, width: int, depth: int, rng: Rng) -> MaskedNet:
        region, cut = group.region, group.cut
        if cut is None:
            raise TypeError("a leaf has no net")
        biases = bool((region.fields != 0).any())
        net = MaskedNet(
            region.n_border,
            len(cut.line),
            width=width,
            depth=depth,
            biases=biases,
            generator=rng.torch_generator(),
        )
        place = _places(region, cut)
        fields = region.fields.ravel()[cut.line - region.n_border]
        net.set_skip(place[cut.edges], 2 * self.beta * cut.couplings, 2 * self.beta * fields)
        return net

    @property
    def n_spins(self) -> int:
        """Number of spins."""
        return self.energy.n_spins

    @property
    def options(self) -> dict[str, Any]:
        """What `__init__` needs beyond energy, beta and rng to build a sampler of the same shape."""
        return {"leaf": self.leaf, "width": self._size("width"), "depth": self._size("depth")}

    def _size(self, name: str) -> Size:
        """Return a size of the nets as they are now: one number if they share it."""
        sizes = {key: int(getattr(net, name)) for key, net in self.nets.items()}
        if not sizes:
            return self._sizes_without_nets[name]
        first = next(iter(sizes.values()))
        return first if set(sizes.values()) == {first} else sizes

    @property
    def device(self) -> torch.device:
        """Where the nets live."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    @property
    def keys(self) -> list[str]:
        """The names of the nets, from the largest level to the smallest."""
        return list(self.groups)

    @property
    def trained_keys(self) -> list[str]:
        """The names of the nets that training changes: all but the frozen ones."""
        return [key for key, net in self.nets.items() if any(p.requires_grad for p in net.parameters())]

    def train_only(self, key: str) -> None:
        """Freeze all nets but one."""
        for name, net in self.nets.items():
            if isinstance(net, MaskedNet):
                net.freeze(name != key)

    def blocks_left(self, key: str) -> list[tuple[str, Tensor]]:
        """Return the blocks that a net's line leaves, without leaves: each one's net and its border in our inputs."""
        region, cut = self.groups[key].region, self.groups[key].cut
        if cut is None:
            raise TypeError("a leaf has no line")
        place = _places(region, cut)
        inner = [(child, numbers[: child.n_border]) for child, numbers in cut.children if child.key in self.groups]
        return [(child.key, torch.from_numpy(place[border])) for child, border in inner]

    def n_inside(self, key: str) -> int:
        """Return the number of spins inside a block of one net."""
        return int(self.groups[key].region.fields.size)

    def keys_inside(self, key: str) -> list[str]:
        """Return the names of the nets that draw what is inside the blocks of a net, below its own line."""
        inside = {group.region.key for group in self.block(key).parts.lines[1:]}
        return [other for other in self.keys if other in inside]

    def block(self, key: str) -> Block:
        """Return the region that one net cuts, standing alone with everything inside."""
        if key not in self._blocks:
            self._blocks[key] = Block(partition(self.groups[key].region, self.leaf), self.beta, self.nets)
        return self._blocks[key]

    @torch.no_grad()
    def sample(self, n: int, rng: Rng) -> Draw:
        """Draw n configurations with their log q."""
        spins = _untouched(n, self.n_spins, self.device)
        log_prob = torch.empty(n, dtype=torch.float64, device=self.device)

        def fill(rows: slice, uniforms: Tensor) -> None:
            drawn = torch.empty(uniforms.shape, dtype=torch.int8, device=self.device)
            log_q = self.whole.draw_lines(drawn, uniforms)
            log_z = self.whole.draw_leaves(drawn, uniforms)
            piece = spins[rows]
            _copy(drawn[:, : self.n_spins], piece)
            log_prob[rows] = log_q + (self._log_density_leaves(piece) - log_z)

        self._in_pieces(fill, n, rng)
        return Draw(spins, log_prob)

    @torch.no_grad()
    def sample_log_weight(self, n: int, rng: Rng) -> Tensor:
        """Return the log weights of n fresh draws, (n,), without drawing a single leaf."""
        log_weight = torch.empty(n, dtype=torch.float64, device=self.device)

        def fill(rows: slice, uniforms: Tensor) -> None:
            piece = torch.empty((len(uniforms), self.n_spins), dtype=torch.int8, device=self.device)
            log_weight[rows] = self.whole.log_weight(piece, self.whole.draw_lines(piece, uniforms))

        self._in_pieces(fill, n, rng)
        return log_weight

    def _in_pieces(self, fill: Callable[[slice, Tensor], None], n: int, rng: Rng) -> None:
        """Call fill(rows, uniforms) for successive rows, so few on a CPU that caches hold what they need.

        There may be more columns of uniforms than spins.
        """
        few = PIECE * -(-PIECE_SPINS // (PIECE * self.n_spins))
        size = few if self.device.type == "cpu" else max(n, 1)
        in_turn(
            lambda rows: rng.uniform((rows.stop - rows.start, self.n_spins), self.device, PAD),
            fill,
            [slice(first, min(first + size, n)) for first in range(0, n, size)],
        )

    def log_prob(self, spins: Tensor) -> Tensor:
        """Return log q(s), differentiable, (n,), for int8 spins (n, n_spins)."""
        if spins.ndim != 2 or spins.shape[1] != self.n_spins:
            raise ValueError(f"spins have shape {tuple(spins.shape)}; this sampler takes (n, {self.n_spins})")
        spins = spins.to(self.device, torch.int8).contiguous()  # any other layout would compile the kernels anew
        exact = self._log_density_leaves(spins) - self.whole.log_z_leaves(spins)
        return self.whole.log_prob_lines(spins) + exact

    def _log_density_leaves(self, spins: Tensor) -> Tensor:
        return self.beta * (self.whole.line_energy(spins) - self.energy(spins))

    @torch.no_grad()
    def draw_borders(self, key: str, n: int, rng: Rng) -> Tensor:
        """Return borders of n blocks of one net as this sampler draws them, int8 (n, n_border)."""
        group = self.groups[key]
        n_draws = -(-n // len(group.sites))
        spins = torch.ones((n_draws, self.n_spins), dtype=torch.int8, device=self.device)
        self.whole.draw_lines(spins, rng.uniform((n_draws, self.n_spins), self.device), until=key)
        return _some(self.borders_of(key, spins), n, rng)

    def borders_of(self, key: str, spins: Tensor) -> Tensor:
        """Return the borders of all blocks of one net in given configurations, int8 (n · n_blocks, n_border)."""
        group = self.groups[key]
        sites = torch.from_numpy(group.border).to(spins.device)
        return spins[:, sites].reshape(len(spins) * len(sites), group.region.n_border)

    def log_prob_line(self, key: str, inputs: Tensor) -> Tensor:
        """Return log q(line | border) of one net, differentiable, (n,), for float32 inputs (n, n_border + n_line)."""
        return self.whole.net(self.groups[key]).log_prob(inputs)

    def windows(self, key: str, spins: Tensor, n: int, rng: Rng) -> tuple[Tensor, Tensor]:
        """Return inputs of one net and chances of its line for n random blocks of configurations; see `Windows`."""
        if key not in self._windows:
            group = self.groups[key]
            self._windows[key] = Windows(self.energy, self.beta, group.border, group.line)
        inputs, chances = self._windows[key].draw(spins, n, rng)
        return inputs.to(self.device), chances.to(self.device)

    def cross_entropy(self, spins: Tensor, n: int, rng: Rng) -> Tensor:
        """Return Σ_nets −E[log q(line | border)] over n random blocks of each trained net: maximum likelihood.

        Parameters
        ----------
        spins : int8 configurations (n_configurations, n_spins) of the target, on the CPU.
        """
        losses = [
            self.whole.net(self.groups[key]).cross_entropy(*self.windows(key, spins, n, rng.child(key)))
            for key in self.trained_keys
        ]
        return torch.stack(losses).sum()

    def draw_block(self, key: str, borders: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """Draw the lines inside one block for each border; return the net's inputs and the log weight inside.

        Parameters
        ----------
        key : the net. borders : int8 (n, n_border).

        Returns
        -------
        inputs : float32 (n, n_border + n_line), border and line of the block's own cut.
        log_weight : float64 (n,), −βH − log q of everything inside given the border, leaves summed out.
        """
        block = self.block(key)
        with torch.no_grad():
            n_sites = block.parts.root.n_sites
            spins = torch.ones((len(borders), n_sites), dtype=torch.int8, device=borders.device)
            spins[:, : borders.shape[1]] = borders
            log_q = block.draw_lines(spins, rng.uniform((len(borders), n_sites), borders.device))
            return gather(spins, block.parts.lines[0]), block.log_weight(spins, log_q)


def _untouched(n: int, n_spins: int, device: torch.device) -> Tensor:
    """Return int8 memory (n, n_spins) that its first user pays for: threads that draw share that cost.

    On a CPU it is numpy's, which asks for large pages where there are some.
    """
    if device.type == "cpu":
        return torch.from_numpy(np.empty((n, n_spins), dtype=np.int8))
    return torch.empty((n, n_spins), dtype=torch.int8, device=device)


def _copy(source: Tensor, into: Tensor) -> None:
    """Copy in this thread alone: on a CPU torch would wake threads of its own, which get in the way of ours."""
    if into.device.type == "cpu":
        into.numpy()[:] = source.numpy()
    else:
        into.copy_(source)


def _places(region: Region, cut: Cut) -> Ints:
    """Return where border and line sites of a region are among a net's inputs, border then line, (n_sites,)."""
    place = np.arange(region.n_sites)
    place[cut.line] = np.arange(region.n_border, region.n_border + len(cut.line))
    return place


def _some(rows: Tensor, n: int, rng: Rng) -> Tensor:
    """Return n of the rows, chosen at random, so that every block has the same weight; (n, …)."""
    chosen = rng.generator.choice(len(rows), n, replace=False)
    return rows[torch.from_numpy(chosen).to(rows.device)]

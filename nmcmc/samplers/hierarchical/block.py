"""A region with its nets and leaves: draw it, weigh it, evaluate it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.samplers.hierarchical.leaves import Leaves
from nmcmc.samplers.hierarchical.partition import Group, Partition
from nmcmc.samplers.masked_net import MaskedNet


class Block:
    """A region drawn line by line down to its leaves: the whole lattice, or any block of it.

    With the leaves summed exactly (Rao–Blackwell), the weight of everything inside given the border is
    log_weight = −βH(lines) + Σ_leaves log Z_leaf − log q(lines): no leaf need be drawn to know it.

    Parameters
    ----------
    parts : how the region is cut.
    beta : inverse temperature.
    nets : one `MaskedNet` per key of a region that is cut; shared with other blocks.

    Spins are int8 (batch, n_sites), uniforms float64 of the same shape; to draw, both may have more columns.
    """

    def __init__(self, parts: Partition, beta: float, nets: nn.ModuleDict):
        self.parts, self.beta, self.nets = parts, beta, nets
        self.leaves = [Leaves(group, beta) for group in parts.leaves]
        edges, couplings = parts.line_edges
        self.line_energy = PairwiseEnergy(parts.root.n_sites, edges, couplings, parts.line_fields)

    def net(self, group: Group) -> MaskedNet:
        """Return the net that draws the lines of a group."""
        net = self.nets[group.region.key]
        if not isinstance(net, MaskedNet):
            raise TypeError(f"the net of {group.region.key} is a {type(net).__name__}, not a MaskedNet")
        return net

    def draw_lines(self, spins: Tensor, uniforms: Tensor, until: str = "") -> Tensor:
        """Draw all lines in place, or all that border the regions of one key; return their log q, (batch,)."""
        log_q = torch.zeros(len(spins), dtype=torch.float64, device=spins.device)
        last = max((k for k, group in enumerate(self.parts.lines) if group.region.key == until), default=None)
        for group in self.parts.lines[:last]:
            log_q += self.net(group).draw(spins, group.border, group.line, uniforms).sum(dim=1)
        return log_q

    def draw_leaves(self, spins: Tensor, uniforms: Tensor) -> Tensor:
        """Draw all leaves in place given the lines; return Σ log Z_leaf, (batch,)."""
        return self._total(spins, [leaves.draw(spins, uniforms) for leaves in self.leaves])

    def log_z_leaves(self, spins: Tensor) -> Tensor:
        """Return Σ log Z_leaf given the lines, (batch,)."""
        return self._total(spins, [leaves.log_z(spins) for leaves in self.leaves])

    def log_prob_lines(self, spins: Tensor) -> Tensor:
        """Return log q of all lines given the border, differentiable, (batch,)."""
        groups = self.parts.lines
        parts = [self.net(group).log_prob(gather(spins, group)).reshape(-1, len(group.line)) for group in groups]
        return self._total(spins, parts)

    def log_weight(self, spins: Tensor, log_q_lines: Tensor) -> Tensor:
        """Return the log weight of everything inside, leaves summed out, (batch,)."""
        return -self.beta * self.line_energy(spins) + self.log_z_leaves(spins) - log_q_lines

    @staticmethod
    def _total(spins: Tensor, parts: list[Tensor]) -> Tensor:
        zero = torch.zeros(len(spins), dtype=torch.float64, device=spins.device)
        return sum((part.sum(dim=1) for part in parts), zero)


def gather(spins: Tensor, group: Group) -> Tensor:
    """Return border and line of every block of a group as float32 inputs of its net, (batch · n_blocks, n_input)."""
    sites = torch.cat([torch.from_numpy(group.border), torch.from_numpy(group.line)], dim=1).to(spins.device)
    return spins[:, sites].reshape(-1, sites.shape[1]).to(torch.float32)

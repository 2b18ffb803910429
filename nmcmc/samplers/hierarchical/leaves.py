"""Exact leaves: a small block given its border is drawn exactly, and its conditional log Z is known exactly."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nmcmc.parallel import for_chunks
from nmcmc.samplers.hierarchical.partition import Group
from nmcmc.types import Floats, Ints

EXPONENT_LIMIT = 600.0
"""Largest penalty, in nats, that one row of a leaf may put on its likeliest state (float64 ends at e^−708)."""

FLOAT32_LIMIT = 80.0
"""Largest spread, in nats, of the messages of a leaf that is summed in float32 (which ends at e^±87)."""


class Leaves:
    """All leaves of one group: p(inside | border) ∝ exp(−βH) by a transfer matrix over 2^width states.

    Parameters
    ----------
    group : a group of leaves from a partition.
    beta : inverse temperature.

    Raises
    ------
    ValueError : if beta and couplings are so large that row sums leave the range of float64.
    """

    def __init__(self, group: Group, beta: float):
        region = group.region
        self.turned = region.shape[1] > region.shape[0]
        inside = region.inside.T if self.turned else region.inside
        down, across = (region.couplings[1].T, region.couplings[0].T) if self.turned else region.couplings
        self.inside: Ints = np.ascontiguousarray(group.sites[:, inside])
        self.fields: Floats = np.ascontiguousarray(beta * (region.fields.T if self.turned else region.fields))
        self.down: Floats = np.ascontiguousarray(beta * down[1:-1])
        self.across: Floats = np.ascontiguousarray(beta * across[:, 1:-1])
        edges, couplings = region.edges
        known = edges < region.n_border
        outer = known.any(axis=1)
        place = np.empty(region.n_sites, dtype=np.int64)
        place[inside.ravel()] = np.arange(inside.size)
        self.bond_site: Ints = np.ascontiguousarray(group.sites[:, edges[known]])
        self.bond_inside: Ints = place[edges[outer][~known[outer]]]
        self.bond_coupling: Floats = beta * couplings[outer]
        self._check_range(beta)

    def _penalty(self) -> Floats:
        """Return the largest penalty, in nats, that each row puts on a state given the row before, (height,)."""
        field = np.abs(self.fields).ravel()
        np.add.at(field, self.bond_inside, np.abs(self.bond_coupling))
        penalty: Floats = 2 * field.reshape(self.fields.shape).sum(axis=1)
        penalty += 2 * np.abs(self.across).sum(axis=1)
        penalty[1:] += 2 * np.abs(self.down).sum(axis=1)
        return penalty

    def _check_range(self, beta: float) -> None:
        penalty = self._penalty()
        if penalty.max() > EXPONENT_LIMIT:
            raise ValueError(
                f"beta = {beta} puts up to {penalty.max():.0f} nats on one row of a leaf; at most {EXPONENT_LIMIT:.0f} "
                "can be summed: choose a smaller leaf, beta or couplings"
            )

    @cached_property
    def sites(self) -> Ints:
        """Sites of every leaf, (n_blocks, height · width)."""
        return self.inside.reshape(len(self.inside), -1)

    def log_z(self, spins: Tensor) -> Tensor:
        """Return log Z(border) of every leaf, (batch, n_blocks) float64, for int8 spins (batch, n_sites).

        It is that of `draw` to the last bit, and right to about 1e−6 where the kernel sums in float32.
        """
        return self._run(spins, None)

    def draw(self, spins: Tensor, uniforms: Tensor) -> Tensor:
        """Draw the inside of every leaf in place from float64 uniforms (batch, n_sites), and return log Z(border)."""
        return self._run(spins, uniforms)

    def _run(self, spins: Tensor, uniforms: Tensor | None) -> Tensor:
        if spins.device.type != "cpu":
            return self.by_torch(spins, uniforms)
        from nmcmc.kernels import leaf_transfer as kernel

        out, into = np.empty((len(spins), len(self.inside))), spins.numpy()
        fill = uniforms is not None
        random = np.empty((0, 0)) if uniforms is None else uniforms.numpy()
        weights, rescale, strength = self._weights
        sites, bonds = self.sites.view(np.uint64), (self.bond_inside, self.bond_site.view(np.uint64))
        for_chunks(
            lambda a, b: kernel.leaves(into, sites, *bonds, *weights, rescale, random, fill, a, b, out),
            out.size,
            kernel.LANES,
        )
        return torch.from_numpy(out + strength)

    @cached_property
    def _weights(self) -> tuple[list[np.ndarray], np.ndarray, float]:
        """Return the kernel's weights, after which rows it rescales, and the logarithm that the weights leave out."""
        height, width = self.fields.shape
        up, across, down = np.array([-1.0, 1.0]), np.zeros((height, width)), np.zeros((height, width))
        across[:, 1:], down[1:] = self.across, self.down
        pairs = [self.bond_coupling[:, None] * up, self.fields.reshape(-1, 1) * up, -across[..., None] * up]
        weights = [np.exp(pair - np.abs(pair)) for pair in pairs] + [np.exp(-2 * down)]
        left_out = sum(float(np.abs(pair[..., 0]).sum()) for pair in pairs) + float(down.sum())
        rescale = self._rescaled_rows()
        if rescale is None:
            return weights, np.ones(height, dtype=np.bool_), left_out
        return [to_float32(weight) for weight in weights], rescale, left_out

    def _rescaled_rows(self) -> np.ndarray | None:
        """Return after which rows messages must be rescaled to stay in the range of float32; None if they cannot.

        A row widens the spread of messages by its penalty and by the number of states that it sums; in a draw the row
        below does so once more. Rescaled messages have the spread of their own row.
        """
        below = np.append(2 * np.abs(self.down).sum(axis=1), 0.0)
        cost = self._penalty() + len(self.fields[0]) * np.log(2)
        rescale, spread = np.zeros(len(cost), dtype=np.bool_), 0.0
        for r in range(len(cost)):
            if r > 0 and spread + cost[r] + below[r] > FLOAT32_LIMIT:
                rescale[r - 1], spread = True, cost[r - 1]
            spread += cost[r]
            if spread + below[r] > FLOAT32_LIMIT:
                return None
        rescale[-1] = True
        return rescale

    @torch.no_grad()
    def by_torch(self, spins: Tensor, uniforms: Tensor | None) -> Tensor:
        """Do the same with torch operations: the path for other devices, and a check of the kernel.

        Messages (rows, 2, …, 2) have one axis per column; a site's old spin is summed out as its new one comes in.
        """
        height, width = self.fields.shape
        fields = self._effective_fields(spins).reshape(-1, height, width)
        across, down = (torch.as_tensor(a, device=spins.device) for a in (self.across, self.down))
        up = torch.tensor([-1.0, 1.0], dtype=torch.float64, device=spins.device)
        message = torch.zeros((len(fields),) + (1,) * width, dtype=torch.float64, device=spins.device)
        stored = []
        for r in range(height):
            for c in range(width):
                axis = c + 1
                if r > 0:
                    pair = _along(up, axis, width + 1)[..., None] * up * down[r - 1, c]
                    message = torch.logsumexp(message.unsqueeze(-1).transpose(-1, axis) + pair, dim=-1)
                message = message + _along(up, axis, width + 1) * fields[:, r, c].reshape((-1,) + (1,) * width)
                if c > 0:
                    message = message + _along(up, axis, width + 1) * _along(up, axis - 1, width + 1) * across[r, c - 1]
            stored.append(message.expand((len(fields),) + (2,) * width))
        if uniforms is not None:
            self._choose(spins, uniforms, stored, down, up)
        return stored[-1].flatten(1).logsumexp(dim=1).reshape(len(spins), len(self.inside))

    def _effective_fields(self, spins: Tensor) -> Tensor:
        sites, place, coupling, fields = (
            torch.as_tensor(a, device=spins.device)
            for a in (self.bond_site, self.bond_inside, self.bond_coupling, self.fields.ravel())
        )
        out = fields.expand(len(spins) * len(sites), -1).clone()
        return out.index_add_(1, place, spins[:, sites].reshape(len(out), -1) * coupling)

    def _choose(self, spins: Tensor, uniforms: Tensor, stored: list[Tensor], down: Tensor, up: Tensor) -> None:
        """Draw rows from the last to the first, each given the row below it, columns from the last to the first."""
        height, width = self.fields.shape
        inside = torch.as_tensor(self.inside, device=spins.device)
        n = len(stored[0])
        below = None
        for r in range(height - 1, -1, -1):
            weight = stored[r]
            if below is not None:
                for c in range(width):
                    pull = below[:, c].reshape((-1,) + (1,) * width) * down[r, c]
                    weight = weight + pull * _along(up, c + 1, width + 1)
            random = uniforms[:, inside[:, r]].reshape(n, width)
            row = torch.empty(n, width, dtype=torch.float64, device=spins.device)
            for c in range(width - 1, -1, -1):
                pair = weight.flatten(1, -2).logsumexp(dim=1) if weight.ndim > 2 else weight
                odds = torch.sigmoid(pair[:, 1] - pair[:, 0])
                chosen = (random[:, c] < odds).long()
                row[:, c] = up[chosen]
                weight = weight[torch.arange(n, device=spins.device), ..., chosen]
            spins[:, inside[:, r]] = row.to(spins.dtype).reshape(len(spins), len(inside), width)
            below = row


def to_float32(weights: Floats) -> np.ndarray:
    """Round positive weights up or down such that their relative errors add up to nothing.

    Rounding to nearest would repeat the same error at every bond of a uniform lattice.
    """
    out, total = np.empty(weights.shape, dtype=np.float32), 0.0
    for i, weight in np.ndenumerate(weights):
        nearest = np.float32(weight)
        other = np.nextafter(nearest, np.float32(np.inf if nearest < weight else 0))
        error, other_error = total + float(nearest) / weight - 1, total + float(other) / weight - 1
        better = nearest == weight or abs(error) <= abs(other_error)
        out[i], total = (nearest, error) if better else (other, other_error)
    return out


def _along(values: Tensor, axis: int, n_axes: int) -> Tensor:
    """Return values (2,) as an array of n_axes axes that varies along one of them."""
    shape = [1] * n_axes
    shape[axis] = 2
    return values.reshape(shape)

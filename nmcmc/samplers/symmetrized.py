"""A sampler averaged over translations of the lattice: what it gets wrong at different places averages out."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.random import Rng
from nmcmc.types import Draw, Ints, Sampler

STEPS = (math.sqrt(5) - 1) / 2, math.sqrt(2) - 1, math.sqrt(3) - 1
"""From one translation to the next, as a share of the extent of each axis: irrational, and so never back soon."""


class SymmetrizedSampler(nn.Module):
    """q̄(s) = (1/K) Σ_k q(T_k s): a mixture of one sampler q under K symmetries T_k of its target.

    Where p(T_k s) = p(s), the K values of log q − log p at one configuration have the same distribution. If they are
    small and nearly independent, as where T_k moves the lines of a hierarchical sampler elsewhere, the variance of the
    log weights, and KL with it, fall nearly like 1/K; where they are large, less, for the mean is that of the largest
    few. A draw and a log_prob cost K times as much. q̄ is normalised whatever q is.

    Parameters
    ----------
    sampler : q, a torch module that draws from ``rng.uniform`` alone, one row for each draw.
    sites : (K, n_spins), permutations: (T_k s)_i = s at ``sites[k, i]``; see `translations`.

    Raises
    ------
    ValueError : if ``sites`` are not permutations of the sampler's spins.

    Examples
    --------
    >>> from nmcmc.energies.lattice import Lattice
    >>> from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
    >>> energy = LatticeEnergy(Lattice((8, 8)))
    >>> sampler = SymmetrizedSampler(HierarchicalSampler(energy, 0.44, rng=Rng(1)), translations(energy, 4))
    >>> draw = sampler.sample(3, Rng(2))
    >>> bool((sampler.log_prob(draw.spins) - draw.log_prob).abs().max() < 1e-4)
    True
    """

    def __init__(self, sampler: Sampler, sites: Ints):
        super().__init__()
        n, sites = sampler.n_spins, np.asarray(sites, dtype=np.int64)
        if sites.ndim != 2 or len(sites) < 1 or not np.array_equal(np.sort(sites), [np.arange(n)] * len(sites)):
            raise ValueError(f"sites of shape {sites.shape} are given; give K ≥ 1 permutations of {n} spins, (K, {n})")
        self.sampler = sampler
        self.register_buffer("sites", torch.from_numpy(sites), persistent=False)
        self.register_buffer("back", torch.from_numpy(np.argsort(sites)), persistent=False)

    sites: Tensor
    back: Tensor

    @property
    def n_spins(self) -> int:
        """Number of spins."""
        return self.sampler.n_spins

    @torch.no_grad()
    def sample(self, n: int, rng: Rng) -> Draw:
        """Draw n configurations with their log q̄ from n_spins + 1 uniforms each; the last one chooses the symmetry."""
        numbers = _OneMore(rng)
        draw = self.sampler.sample(n, numbers)
        chosen = (numbers.last(draw.log_prob) * len(self.sites)).long()
        spins = torch.empty_like(draw.spins)
        for k, back in enumerate(self.back):
            rows = torch.nonzero(chosen == k)[:, 0]
            spins[rows] = draw.spins[rows][:, back]
        parts = torch.empty((len(self.sites), n), dtype=torch.float64, device=draw.log_prob.device)
        for k, sites in enumerate(self.sites):
            others = torch.nonzero(chosen != k)[:, 0]
            parts[k, others] = self.sampler.log_prob(spins[others][:, sites])
        parts[chosen, torch.arange(n, device=chosen.device)] = draw.log_prob
        return Draw(spins, _log_mean(parts))

    def log_prob(self, spins: Tensor) -> Tensor:
        """Return log q̄(s), differentiable float64, (n,), for int8 spins (n, n_spins)."""
        if spins.ndim != 2 or spins.shape[1] != self.n_spins:
            raise ValueError(f"spins have shape {tuple(spins.shape)}; this sampler takes (n, {self.n_spins})")
        spins = spins.to(self.sites.device)
        return _log_mean(torch.stack([self.sampler.log_prob(spins[:, sites]) for sites in self.sites]))


def translations(energy: LatticeEnergy, k: int) -> Ints:
    """Return k translations of a lattice along its periodic axes as permutations of the sites, (k, n_spins).

    The first one leaves all as it is. The others are spread evenly, but by no simple fraction of an extent, so that
    they do not put the lines of a hierarchy on other lines.

    Raises
    ------
    ValueError : if translations are no symmetries, or if there are not so many different ones.
    """
    lattice = energy.lattice
    if not (energy.is_uniform and any(lattice.periodic)):
        raise ValueError(
            f"translations are no symmetries of this {lattice} lattice with boundary {','.join(lattice.boundary)}: "
            "they need an axis that is periodic, and couplings and field that are uniform"
        )
    reach = [extent if periodic else 1 for extent, periodic in zip(lattice.extents, lattice.periodic, strict=True)]
    most = max(reach) // 2
    if not 1 <= k <= most:
        raise ValueError(
            f"{k} translations are asked for; choose from 1 to {most}, half of the longest periodic extent"
        )
    grid, shifts = np.arange(lattice.n_spins).reshape(lattice.extents), list[tuple[int, ...]]()
    long = reach.index(max(reach))
    for number in range(k):
        shift = [round(number * step * extent) % extent for extent, step in zip(reach, STEPS, strict=False)]
        while tuple(shift) in shifts:  # rounding has led back to an earlier one
            shift[long] = (shift[long] + 1) % reach[long]
        shifts.append(tuple(shift))
    return np.stack([np.roll(grid, [-step for step in shift], range(grid.ndim)).ravel() for shift in shifts])


class _OneMore(Rng):
    """The numbers of another Rng for a sampler, with one more for every draw, which is kept for later."""

    def __init__(self, rng: Rng):
        super().__init__(rng.seed, rng.path)
        self.rng, self.kept = rng, list[Tensor]()

    def uniform(self, shape: tuple[int, ...], device: str | torch.device = "cpu", pad: int = 0) -> Tensor:
        """Return uniforms of the shape (n, n_spins) and keep n more."""
        n_spins = shape[1]
        numbers = self.rng.uniform((shape[0], n_spins + 1), device, max(pad - 1, 0))
        self.kept.append(numbers[:, n_spins].clone())  # a view would hold all of them
        return numbers[:, : n_spins + pad].contiguous()

    def last(self, like: Tensor) -> Tensor:
        """Return the numbers kept, (n,)."""
        return torch.cat([like.new_empty(0), *self.kept])


def _log_mean(parts: Tensor) -> Tensor:
    return torch.logsumexp(parts, dim=0) - math.log(len(parts))

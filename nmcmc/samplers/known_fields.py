"""What the spins drawn so far tell of the others: partial local fields, as numbers and as lists of who touches whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.types import Ints


class KnownFields(nn.Module):
    """x_il = 2β Σ_{j<i} J_jl s_j, the part of the field on spin l that is known when spin i is drawn.

    Only bonds with J ≠ 0 count. ``source`` and ``strength`` (n_spins, degree) list the earlier neighbours of every spin
    in rising order and 2βJ; short rows end in bonds of strength 0.

    Parameters
    ----------
    energy : the system. beta : inverse temperature.
    """

    source: Tensor
    strength: Tensor

    def __init__(self, energy: PairwiseEnergy, beta: float):
        super().__init__()
        start, neighbour, coupling = energy.adjacency()
        rows = np.repeat(np.arange(energy.n_spins), np.diff(start))
        used = coupling != 0
        rows, neighbour, strengths = rows[used], neighbour[used], 2 * beta * coupling[used]
        self.later = _compressed(rows, neighbour, strengths, neighbour > rows, energy.n_spins)
        counts, sites, values = _compressed(rows, neighbour, strengths, neighbour < rows, energy.n_spins)
        self.degree = np.diff(counts)
        shape = (energy.n_spins, max(1, int(self.degree.max())))
        source, strength = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.float32)
        owner = np.repeat(np.arange(energy.n_spins), self.degree)
        place = np.arange(len(sites)) - counts[owner]
        source[owner, place], strength[owner, place] = sites, values
        self.register_buffer("source", torch.from_numpy(source), persistent=False)
        self.register_buffer("strength", torch.from_numpy(strength), persistent=False)

    def forward(self, spins: Tensor) -> Tensor:
        """Return the sums over the first 0, 1, … earlier neighbours, (batch, n_spins, degree + 1), of float32 spins."""
        sums = torch.cumsum(spins[:, self.source] * self.strength, dim=2)
        return torch.nn.functional.pad(sums, (1, 0))

    def total(self, spins: Tensor) -> Tensor:
        """Return x_ii, (batch, n_spins): the field of all earlier neighbours."""
        known: Tensor = (spins[:, self.source] * self.strength).sum(dim=2)
        return known

    def frontier(self) -> tuple[Ints, Ints]:
        """Return which x_il tell anything to spin i: those of l > i with an earlier neighbour before i.

        Returns
        -------
        start : (n_spins + 1,), where the list of every i begins.
        sites : l, for every i in rising order.
        """
        n = len(self.degree)
        first = np.where(self.degree > 0, self.source[:, 0].numpy(), n)
        lists = [i + 1 + np.flatnonzero(first[i + 1 :] < i) for i in range(n)]
        start = np.concatenate([[0], np.cumsum([len(sites) for sites in lists])]).astype(np.int64)
        return start, np.concatenate(lists).astype(np.int64)


def _compressed(rows: Ints, columns: Ints, values: Any, chosen: Any, n: int) -> tuple[Ints, Ints, Any]:
    """Return the chosen entries in compressed rows, columns rising: start (n + 1,), columns, float32 values."""
    rows, columns, values = rows[chosen], columns[chosen], values[chosen]
    order = np.lexsort([columns, rows])
    start = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int64)
    return start, columns[order], values[order].astype(np.float32)

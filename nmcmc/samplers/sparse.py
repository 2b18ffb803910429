"""A net for every spin that reads the partial local fields which its predecessors have changed, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.random import Rng
from nmcmc.samplers.incremental import IncrementalSampler, Kernel
from nmcmc.samplers.known_fields import KnownFields


class SparseSampler(IncrementalSampler):
    """logit_i = a_i x_ii + c_i·x_i + v_i·tanh(W_i x_i + …) + b_i with x_il = 2β Σ_{j<i} J_jl s_j of l > i.

    The exact conditional of a pairwise system depends on the spins before i only through these partial fields. All
    but a few are zero where J is sparse: on a lattice x_i has as many entries as a row or two has sites, and the first
    layer's weights are J itself. A fresh net is the physics: a_i = 1, b_i = 2βh_i, v_i = c_i = 0. Without a field
    there are no biases, the net is odd, and q(s) = q(−s). Drawing keeps x and adds a new spin to its neighbours' only.

    Parameters
    ----------
    energy : the system; storage order is the order of drawing.
    beta : inverse temperature of the first layer.
    width : hidden units of every spin. depth : hidden layers.
    rng : random numbers of the initial weights.

    Raises
    ------
    ValueError : for a beta that is negative or not finite, or sizes below 1.

    References
    ----------
    I. Biazzo, D. Wu, G. Carleo, arXiv:2402.16579 (2024); the exact form: I. Biazzo, arXiv:2302.08347 (2023).

    Examples
    --------
    >>> energy = PairwiseEnergy(4, [(0, 1), (1, 2), (2, 3), (3, 0)])
    >>> SparseSampler(energy, beta=0.5, width=2, rng=Rng(1)).sample(5, Rng(2)).spins.shape
    torch.Size([5, 4])
    """

    granularity = 64
    places: Tensor
    mask: Tensor

    def __init__(self, energy: PairwiseEnergy, beta: float, *, width: int = 8, depth: int = 1, rng: Rng):
        super().__init__(energy, beta)
        if min(width, depth) < 1:
            raise ValueError(f"a net of width {width} and depth {depth} is empty; use sizes ≥ 1")
        self.width, self.depth, n = width, depth, energy.n_spins
        self.known = KnownFields(energy, self.beta)
        self._start, self._sites = self.known.frontier()
        places, mask = self._padded()
        self.register_buffer("places", torch.from_numpy(places), persistent=False)
        self.register_buffer("mask", torch.from_numpy(mask), persistent=False)
        generator, reach = rng.child("sparse").torch_generator(), mask.shape[1]
        fan_in = self.mask.sum(dim=1).clamp(min=1)[:, None, None]
        normal = torch.randn(n, width, reach, generator=generator)
        self.first = nn.Parameter(normal * self.mask[:, None] / fan_in.sqrt())
        self.middle = nn.Parameter(torch.randn(depth - 1, n, width, width, generator=generator) / width**0.5)
        self.last, self.linear = nn.Parameter(torch.zeros(n, width)), nn.Parameter(torch.zeros(n, reach))
        self.own = nn.Parameter(torch.ones(n))
        biased = energy.has_field
        fields = torch.from_numpy(2 * self.beta * energy.fields).to(torch.float32)
        self.hidden_bias = nn.Parameter(torch.zeros(depth, n, width), requires_grad=biased)
        self.bias = nn.Parameter(fields, requires_grad=biased)

    def _padded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where in `KnownFields.forward` the entries of x_i are, and which of the (n, reach) there are."""
        n, columns = len(self._start) - 1, self.known.source.shape[1] + 1
        source, strength = self.known.source.numpy(), self.known.strength.numpy()
        shape = (n, max(1, int(np.diff(self._start).max())))
        places, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.float32)
        for i in range(n):
            sites = self._sites[self._start[i] : self._start[i + 1]]
            count = np.count_nonzero((source[sites] < i) & (strength[sites] != 0), axis=1)
            places[i, : len(sites)] = sites * columns + count
            mask[i, : len(sites)] = 1
        return places, mask

    @property
    def options(self) -> dict[str, Any]:
        """What `__init__` needs beyond energy, beta and rng to build a sampler of the same shape."""
        return {"width": self.width, "depth": self.depth}

    def logits(self, spins: Tensor) -> Tensor:
        """Return the logits (batch, n_spins) for float32 spins ±1."""
        sums = self.known(spins)
        x = sums.flatten(1)[:, self.places]
        h = torch.tanh(torch.einsum("bif,iwf->biw", x, self.first * self.mask[:, None]) + self.hidden_bias[0])
        for layer in range(self.depth - 1):
            h = torch.tanh(torch.einsum("biw,ivw->biv", h, self.middle[layer]) + self.hidden_bias[layer + 1])
        outer = (h * self.last).sum(dim=2) + (x * (self.linear * self.mask)).sum(dim=2)
        logits: Tensor = self.own * sums[:, :, -1] + outer + self.bias
        return logits

    def _weights(self) -> list[np.ndarray]:
        first, linear = self.first * self.mask[:, None], self.linear * self.mask
        inner = self.middle.reshape(-1, self.width, self.width)
        tensors = (first, inner, self.last, linear, self.own, self.hidden_bias, self.bias)
        return [tensor.detach().contiguous().numpy() for tensor in tensors]

    def kernel(self) -> Kernel:
        """Return the compiled draw with the present weights."""
        from nmcmc.kernels.sparse_net import draw

        given = (self._start, self._sites, *self.known.later, *self._weights())
        return lambda spins, uniforms, log_q: draw(spins, uniforms, *given, 0, len(spins), log_q)

"""The PixelCNN of the variational autoregressive networks: masked convolutions on a two-dimensional lattice."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.random import Rng
from nmcmc.samplers.incremental import IncrementalSampler, Kernel
from nmcmc.samplers.known_fields import KnownFields

SLOPE = 0.5
"""Of the rectifiers below zero, at the start."""


class PixelCNNSampler(IncrementalSampler):
    """logit_i = a x_ii + net_i(s_<i), x_ii = 2β(Σ_{j<i} J_ij s_j + h_i): convolutions that see what is above and left.

    The first convolution is masked at the site itself, the others are not; ``depth`` − 1 residual blocks (1×1
    convolution, rectifier, masked convolution) follow it, then a rectifier and a convolution to one channel. Borders
    are padded by zeros, on a torus too. The known field x_ii is ours: a fresh net has a = 1 and a last layer of zeros.

    Without a field q(s) = q(−s): the net sees s relative to the first spin, and gives logits relative to it. (The
    publication averages the probabilities of s and −s, for two evaluations.)

    Drawing computes each layer once at each site, when its inputs are known, and keeps as many rows as a kernel sees.

    Parameters
    ----------
    energy : on a two-dimensional lattice, with any couplings and fields.
    beta : inverse temperature of the known field.
    width : channels of the hidden layers. depth : hidden layers.
    half_kernel : how many sites a convolution reaches to each side and up, ≥ 1.
    rng : random numbers of the initial weights.

    Raises
    ------
    ValueError : for another lattice, a beta that is negative or not finite, or sizes below 1.

    References
    ----------
    D. Wu, L. Wang, P. Zhang, arXiv:1809.10606 (2019); A. van den Oord et al., arXiv:1601.06759 (2016).

    Examples
    --------
    >>> from nmcmc.energies.lattice import Lattice
    >>> sampler = PixelCNNSampler(LatticeEnergy(Lattice((4, 6))), beta=0.44, width=2, half_kernel=1, rng=Rng(1))
    >>> sampler.sample(5, Rng(2)).spins.shape
    torch.Size([5, 24])
    """

    granularity = 64
    first_mask: Tensor
    mask: Tensor
    fields: Tensor

    def __init__(
        self, energy: LatticeEnergy, beta: float, *, width: int = 8, depth: int = 2, half_kernel: int = 3, rng: Rng
    ):
        if not isinstance(energy, LatticeEnergy) or len(energy.lattice.extents) != 2:
            raise ValueError("a PixelCNN needs a two-dimensional lattice; use MADESampler or SparseSampler elsewhere")
        super().__init__(energy, beta)
        self.extents = energy.lattice.extents
        if min(width, depth, half_kernel) < 1:
            raise ValueError(f"width {width}, depth {depth}, half_kernel {half_kernel}: use sizes ≥ 1")
        self.width, self.depth, self.half_kernel = width, depth, half_kernel
        self.known, self.is_even = KnownFields(energy, self.beta), not energy.has_field
        side = 2 * half_kernel + 1
        mask = torch.ones(side, side)
        mask[half_kernel, half_kernel + 1 :] = 0
        mask[half_kernel + 1 :] = 0
        first_mask = mask.clone()
        first_mask[half_kernel, half_kernel] = 0
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("first_mask", first_mask, persistent=False)
        generator = rng.child("pixelcnn").torch_generator()
        seen = float(mask.sum())
        self.first = nn.Parameter(torch.randn(width, 1, side, side, generator=generator) * first_mask / seen**0.5)
        shape, spread = (depth - 1, width, width, side, side), (seen * width) ** -0.5
        self.convolutions = nn.Parameter(torch.randn(shape, generator=generator) * mask * spread)
        self.mixing = nn.Parameter(torch.randn(depth - 1, width, width, generator=generator) * width**-0.5)
        self.last = nn.Parameter(torch.zeros(1, width, side, side))
        self.slopes = nn.Parameter(torch.full((depth, width), SLOPE))
        self.mixing_bias = nn.Parameter(torch.zeros(depth - 1, width))
        self.biases = nn.Parameter(torch.zeros(depth, width))
        self.last_bias, self.own = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.ones(1))
        fields = torch.from_numpy(2 * self.beta * energy.fields).to(torch.float32)
        self.register_buffer("fields", fields, persistent=False)

    @property
    def options(self) -> dict[str, Any]:
        """What `__init__` needs beyond energy, beta and rng to build a sampler of the same shape."""
        return {"width": self.width, "depth": self.depth, "half_kernel": self.half_kernel}

    def logits(self, spins: Tensor) -> Tensor:
        """Return the logits (batch, n_spins) for float32 spins ±1."""
        known = self.own * (self.known.total(spins) + self.fields)
        if not self.is_even:
            return known + self._net(spins)
        gauge = spins[:, :1]
        net = gauge * self._net(gauge * spins)
        return known + torch.cat([torch.zeros_like(gauge), net[:, 1:]], dim=1)

    def _net(self, spins: Tensor) -> Tensor:
        """Return what the convolutions say, (batch, n_spins)."""
        reach = self.half_kernel
        x = spins.reshape(-1, 1, *self.extents)
        h = torch.conv2d(x, self.first * self.first_mask, self.biases[0], padding=reach)
        for block in range(self.depth - 1):
            inner = torch.conv2d(h, self.mixing[block][:, :, None, None], self.mixing_bias[block])
            inner = torch.nn.functional.prelu(inner, self.slopes[block])
            h = h + torch.conv2d(inner, self.convolutions[block] * self.mask, self.biases[block + 1], padding=reach)
        h = torch.nn.functional.prelu(h, self.slopes[-1])
        return torch.conv2d(h, self.last * self.mask, self.last_bias, padding=reach).flatten(1)

    def _weights(self) -> list[np.ndarray]:
        reach, side = self.half_kernel, 2 * self.half_kernel + 1

        def by_rows(kernel: Tensor) -> Tensor:
            """(…, out, in, side, side) → (…, reach + 1 rows, out, side · in): one product for each row that is seen."""
            seen = kernel[..., : reach + 1, :]
            order = (*range(seen.ndim - 4), -2, -4, -1, -3)
            return seen.permute([axis % seen.ndim for axis in order]).flatten(-2)

        tensors = (
            by_rows(self.first * self.first_mask),
            by_rows(self.convolutions * self.mask).reshape(-1, reach + 1, self.width, side * self.width),
            by_rows(self.last * self.mask),
            *(self.mixing, self.mixing_bias, self.slopes, self.biases, self.last_bias, self.own, self.fields),
        )
        return [tensor.detach().contiguous().numpy() for tensor in tensors]

    def kernel(self) -> Kernel:
        """Return the compiled draw with the present weights."""
        from nmcmc.kernels.pixelcnn import draw

        given = (self.extents[1], self.is_even, *self.known.later, *self._weights())
        return lambda spins, uniforms, log_q: draw(spins, uniforms, *given, 0, len(spins), log_q)

"""MADE: one dense masked net over all spins, the variational autoregressive network of Wu, Wang and Zhang."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.random import Rng
from nmcmc.samplers.autoregressive import AutoregressiveSampler
from nmcmc.samplers.masked_net import MaskedNet
from nmcmc.samplers.windows import Windows
from nmcmc.types import Draw


class MADESampler(AutoregressiveSampler):
    """q(s) = Π_i σ(s_i logit_i(s_<i)) with a masked dense net, drawn incrementally.

    A draw costs about as much as one full pass: hidden units of spin i are computed when s_<i are known.
    Germain, Gregor, Murray, Larochelle (2015), arXiv:1502.03509.

    Parameters
    ----------
    energy : its couplings and fields start the skip connection at 2βJ and 2βh; a field brings biases, and without
        one the net is odd, so that q(s) = q(−s).
    beta : inverse temperature of that start.
    width : hidden units per spin and layer. depth : hidden layers.
    rng : random numbers of the initial weights.

    Raises
    ------
    ValueError : for a beta that is negative or not finite, or sizes below 1.

    Examples
    --------
    >>> energy = PairwiseEnergy(3, [(0, 1), (1, 2)])
    >>> sampler = MADESampler(energy, beta=0.5, width=2, depth=1, rng=Rng(1))
    >>> sampler.sample(5, Rng(2)).spins.shape
    torch.Size([5, 3])
    """

    def __init__(self, energy: PairwiseEnergy, beta: float, *, width: int = 4, depth: int = 2, rng: Rng):
        super().__init__(energy.n_spins)
        self.energy, self.beta, self.width, self.depth = energy, Boltzmann(energy, beta).beta, width, depth
        generator = rng.child("made").torch_generator()
        biases = energy.has_field
        self.net = MaskedNet(0, energy.n_spins, width=width, depth=depth, biases=biases, generator=generator)
        self.net.set_skip(energy.edges, 2 * self.beta * energy.couplings, 2 * self.beta * energy.fields)
        sites = np.arange(energy.n_spins)[None]
        self._windows = Windows(energy, self.beta, sites[:, :0], sites)

    @property
    def options(self) -> dict[str, Any]:
        """What `__init__` needs beyond energy, beta and rng to build a sampler of the same shape."""
        return {"width": self.width, "depth": self.depth}

    def logits(self, spins: Tensor) -> Tensor:
        """Return the logits (batch, n_spins) for float32 spins ±1."""
        return self.net.logits(spins)

    def log_prob(self, spins: Tensor) -> Tensor:
        """Return log q(s), differentiable float64, (n,), for int8 spins (n, n_spins)."""
        return self.net.log_prob(self._inputs(spins))

    def cross_entropy(self, spins: Tensor, n: int, rng: Rng) -> Tensor:
        """Return −E[log q] over n of the int8 configurations (n_configurations, n_spins): maximum likelihood."""
        inputs, chances = self._windows.draw(spins, n, rng)
        return self.net.cross_entropy(inputs.to(self.device), chances.to(self.device))

    @torch.no_grad()
    def sample(self, n: int, rng: Rng) -> Draw:
        """Draw n configurations with their log q, each hidden unit once."""
        uniforms = rng.uniform((n, self.n_spins), self.device)
        spins = torch.ones((n, self.n_spins), dtype=torch.int8, device=self.device)
        sites = np.arange(self.n_spins)[None]
        return Draw(spins, self.net.draw(spins, sites[:, :0], sites, uniforms)[:, 0])


@torch.no_grad()
def start_at_fields(sampler: MADESampler) -> None:
    """Let hidden unit g of spin i start at tanh(2^g (Σ_{j<i} J_ij s_j + h_i)), and deeper units at tanh of their own.

    Where all couplings are alike, random weights must first unlearn that spins differ.
    """
    net, energy = sampler.net, sampler.energy
    scales = 2.0 ** torch.arange(sampler.width, device=sampler.device)
    couplings = torch.as_tensor(energy.coupling_matrix, dtype=torch.float32, device=sampler.device)
    fields = torch.as_tensor(energy.fields, dtype=torch.float32, device=sampler.device)
    net.first.copy_((scales[:, None] * couplings[:, None]).reshape(net.first.shape) * net.first_mask)
    net.middle.copy_(torch.eye(net.middle.shape[1], device=sampler.device).expand_as(net.middle))
    net.hidden_bias[0] = (fields[:, None] * scales).ravel()

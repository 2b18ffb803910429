"""MADE: one dense masked net over all spins, the variational autoregressive network of Wu, Wang and Zhang."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy, check_pairwise
from nmcmc.random import Rng
from nmcmc.samplers.autoregressive import AutoregressiveSampler
from nmcmc.samplers.masked_net import MaskedNet
from nmcmc.samplers.windows import Windows
from nmcmc.types import Draw, Floats

ITERATIONS, TOLERANCE = 10_000, 1e-12
LINEAR = 4.0
"""First layers see this part of what the last is to be the tanh of: tanh(4 tanh(y/4)) is within 0.014 of tanh y."""


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
    TypeError : for an energy that is not pairwise.
    ValueError : for a beta that is negative or not finite, or sizes below 1.

    Examples
    --------
    >>> energy = PairwiseEnergy(3, [(0, 1), (1, 2)])
    >>> sampler = MADESampler(energy, beta=0.5, width=2, depth=1, rng=Rng(1))
    >>> sampler.sample(5, Rng(2)).spins.shape
    torch.Size([5, 3])
    """

    def __init__(self, energy: PairwiseEnergy, beta: float, *, width: int = 4, depth: int = 2, rng: Rng):
        check_pairwise(energy, type(self).__name__)
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


def mean_field_order(energy: PairwiseEnergy, beta: float) -> Floats:
    """Return m (n_spins,) with m_l = tanh β(h_l + Σ_k J_lk m_k), but never less than N^(−1/4) in size.

    The solution is that nearest the leading eigenvector of J, along the fields. N^(−1/4) is the size of fluctuations
    where N spins that all see each other begin to order.
    """
    couplings, fields = energy.coupling_matrix, energy.fields
    lead = np.linalg.eigh(couplings)[1][:, -1]
    sign = np.where(lead * (1 if fields @ lead >= 0 else -1) >= 0, 1.0, -1.0)
    m = sign
    for _ in range(ITERATIONS):
        m, before = (m + np.tanh(beta * (fields + couplings @ m))) / 2, m
        if np.abs(m - before).max() < TOLERANCE:
            break
    least: Floats = np.where(m == 0, sign, np.sign(m)) * np.maximum(np.abs(m), energy.n_spins**-0.25)
    return least


@torch.no_grad()
def start_at_order(sampler: MADESampler) -> None:
    """Let a net start at two phases ±m of the spins left: m of `mean_field_order` at the sampler's β.

    With the partial fields x_il = h_l + Σ_{j<i} J_lj s_j the spins l after i are worth −Σ_l m_l x_il in the one phase
    and as much in the other with the opposite sign. Hence their mean is m_l tanh y_i with y_i = β Σ_{l>i} m_l x_il, and

        logit_i = 2β (x_ii + Σ_{l>i} J_il m_l tanh y_i).

    The first hidden unit of spin i is tanh y_i, or nearly so if there is more than one layer. Others start at
    tanh 2y_i, tanh 4y_i … with the weight 0. For Curie–Weiss this is CW_saddle; random weights would first have to
    unlearn that spins differ.
    """
    net, energy, beta, n = sampler.net, sampler.energy, sampler.beta, sampler.n_spins
    couplings, order = energy.coupling_matrix, mean_field_order(energy, beta)
    after = np.triu(beta * order * np.ones((n, n)), 1)  # β m_l for l > i
    scales = 2.0 ** np.arange(sampler.width) / (LINEAR if sampler.depth > 1 else 1)
    last = np.zeros((n, n, sampler.width))
    last[range(n), range(n), 0] = 2 * (after * couplings).sum(axis=1)
    first = scales[:, None] * (after @ couplings)[:, None]
    net.first.copy_(_as_tensor(first.reshape(net.first.shape)) * net.first_mask)
    net.hidden_bias[0] = _as_tensor(((after @ energy.fields)[:, None] * scales).ravel())
    net.middle.copy_(torch.eye(net.middle.shape[1]).expand_as(net.middle))
    net.middle[-1:] *= LINEAR
    net.last.copy_(_as_tensor(last.reshape(net.last.shape)))


def _as_tensor(values: Floats) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32)

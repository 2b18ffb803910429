"""Autoregressive samplers whose draws come from a kernel, which computes everything once, when its inputs are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.parallel import for_chunks
from nmcmc.random import Rng
from nmcmc.samplers.autoregressive import AutoregressiveSampler
from nmcmc.samplers.masked_net import log_prob_of_logits
from nmcmc.samplers.windows import Windows
from nmcmc.types import Draw


class CompiledSampler(AutoregressiveSampler):
    """A subclass writes `logits` in torch and `_draw` by a kernel; on other devices than the CPU only logits count.

    Where no gradient is asked for, log_prob comes from the kernel too, so that it is that of a draw bit for bit.

    Parameters
    ----------
    energy : the system. beta : inverse temperature.

    Raises
    ------
    ValueError : for a beta that is negative or not finite.
    """

    def __init__(self, energy: PairwiseEnergy, beta: float):
        super().__init__(energy.n_spins)
        self.energy, self.beta = energy, Boltzmann(energy, beta).beta
        sites = np.arange(energy.n_spins)[None]
        self._windows = Windows(energy, self.beta, sites[:, :0], sites)

    def _draw(self, spins: Any, uniforms: Any, first: int, last: int, weights: list[Any], log_q: Any) -> None:
        """Write the rows first … last − 1 of spins (n, n_spins) int8 and of log_q (n,), decided by the uniforms."""
        raise NotImplementedError

    def _weights(self) -> list[np.ndarray]:
        """Return the weights as the kernel takes them."""
        raise NotImplementedError

    def log_prob(self, spins: Tensor) -> Tensor:
        """Return log q(s), differentiable float64, (n,), for int8 spins (n, n_spins)."""
        s = self._inputs(spins)
        if s.device.type == "cpu" and not torch.is_grad_enabled():
            forced = torch.where(s > 0, -1.0, 2.0).to(torch.float64)  # numbers outside [0, 1) leave no choice
            return self._by_kernel(forced).log_prob
        return log_prob_of_logits(self.logits(s), s)

    def cross_entropy(self, spins: Tensor, n: int, rng: Rng) -> Tensor:
        """Return −E[log q] over n of the int8 configurations (n_configurations, n_spins): maximum likelihood."""
        inputs, chances = (part.to(self.device) for part in self._windows.draw(spins, n, rng))
        logits = self.logits(inputs)
        return (torch.nn.functional.softplus(logits) - chances * logits).sum(dim=1).mean()

    @torch.no_grad()
    def sample(self, n: int, rng: Rng) -> Draw:
        """Draw n configurations with their log q, every number once."""
        if self.device.type != "cpu":
            return self.sample_by_passes(n, rng)
        return self._by_kernel(rng.uniform((n, self.n_spins)))

    @torch.no_grad()
    def _by_kernel(self, uniforms: Tensor) -> Draw:
        from nmcmc.kernels.masked_net import LANES

        spins = torch.ones(uniforms.shape, dtype=torch.int8)
        log_q = torch.empty(len(uniforms), dtype=torch.float64)
        into, random, out, weights = spins.numpy(), uniforms.contiguous().numpy(), log_q.numpy(), self._weights()
        for_chunks(lambda a, b: self._draw(into, random, a, b, weights, out), len(spins), LANES)
        return Draw(spins, log_q)

"""The base of autoregressive samplers that a kernel draws in one pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy, check_pairwise
from nmcmc.parallel import for_chunks
from nmcmc.random import Rng
from nmcmc.samplers.autoregressive import AutoregressiveSampler
from nmcmc.samplers.windows import Windows
from nmcmc.types import Draw, Floats, Spins

Kernel = Callable[[Spins, Floats, Floats], None]
"""(spins (n, n_spins), uniforms (n, n_spins), log_q (n,)): draws spins and writes their log q, in place."""


class IncrementalSampler(AutoregressiveSampler):
    """A product of conditionals for one pairwise system, drawn by a kernel that computes everything once per draw.

    A subclass writes `logits` with torch operations, for gradients and other devices, and `kernel`, the same for draws.
    Where no gradient is asked for, `log_prob` is the kernel's value for a draw bit for bit.

    Parameters
    ----------
    energy : the system, whose couplings and fields are the net's first layer. beta : inverse temperature.

    Raises
    ------
    TypeError : for an energy that is not pairwise. ValueError : for a beta that is negative or not finite.
    """

    granularity = 1
    """Rows that the kernel treats together."""

    def __init__(self, energy: PairwiseEnergy, beta: float):
        check_pairwise(energy, type(self).__name__)
        super().__init__(energy.n_spins)
        self.energy, self.beta = energy, Boltzmann(energy, beta).beta

    @property
    def options(self) -> dict[str, Any]:
        """What `__init__` needs beyond energy, beta and rng to build a sampler of the same shape."""
        return {}

    @abstractmethod
    def kernel(self) -> Kernel:
        """Return the compiled draw with the present weights."""

    @torch.no_grad()
    def sample(self, n: int, rng: Rng) -> Draw:
        """Draw n configurations with their log q, each partial sum once."""
        if self.device.type != "cpu":
            return self.sample_by_passes(n, rng)
        spins = torch.empty((n, self.n_spins), dtype=torch.int8)
        return Draw(spins, self._draw(spins, rng.uniform((n, self.n_spins))))

    def log_prob(self, spins: Tensor) -> Tensor:
        """Return log q(s), differentiable float64, (n,), for int8 spins (n, n_spins)."""
        if torch.is_grad_enabled() or self.device.type != "cpu":
            return super().log_prob(spins)
        # Numbers outside [0, 1) leave no choice: the kernel draws the given configurations again.
        given = self._inputs(spins).contiguous()
        return self._draw(torch.empty(given.shape, dtype=torch.int8), torch.where(given > 0, -1.0, 2.0).double())

    def cross_entropy(self, spins: Tensor, n: int, rng: Rng) -> Tensor:
        """Return −E[log q] over n of the int8 configurations (n_configurations, n_spins): maximum likelihood."""
        inputs, chances = (part.to(self.device) for part in self._windows.draw(spins, n, rng))
        logits = self.logits(inputs)
        return (torch.nn.functional.softplus(logits) - chances * logits).sum(dim=1).mean()

    @cached_property
    def _windows(self) -> Windows:
        sites = np.arange(self.n_spins)[None]
        return Windows(self.energy, self.beta, sites[:, :0], sites)

    def _draw(self, spins: Tensor, uniforms: Tensor) -> Tensor:
        draw, into, numbers, log_q = self.kernel(), spins.numpy(), uniforms.numpy(), np.empty(len(spins))
        for_chunks(lambda a, b: draw(into[a:b], numbers[a:b], log_q[a:b]), len(log_q), self.granularity)
        return torch.from_numpy(log_q)


def as_array(tensor: Tensor) -> Floats:
    """Return weights as a contiguous float64 array for a kernel."""
    return np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float64)

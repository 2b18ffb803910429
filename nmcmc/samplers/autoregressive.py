"""The base of all samplers that are one product of conditionals: sampling and log_prob written once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmcmc.random import Rng
from nmcmc.samplers.masked_net import log_prob_of_logits
from nmcmc.types import Draw


class AutoregressiveSampler(nn.Module):
    """q(s) = Π_i q(s_i | s_<i) with q(s_i = +1 | s_<i) = σ(logit_i(s_<i)), in storage order.

    A subclass writes `logits`, in which logit i must not depend on spins i, i + 1, …; it may override `sample` by an
    incremental path that draws the same spins from the same random numbers. Wu, Wang, Zhang (2019), arXiv:1809.10606.

    Parameters
    ----------
    n_spins : number of spins.
    """

    def __init__(self, n_spins: int):
        super().__init__()
        if n_spins < 1:
            raise ValueError(f"n_spins is {n_spins}; a system has at least one spin")
        self.n_spins = n_spins

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def logits(self, spins: Tensor) -> Tensor:
        """Return ln q(s_i = +1 | s_<i)/q(s_i = −1 | s_<i), (batch, n_spins), for float32 spins ±1."""
        raise TypeError(f"{type(self).__name__} must define logits(spins)")

    def log_prob(self, spins: Tensor) -> Tensor:
        """Return log q(s), differentiable float64, (n,), for int8 spins (n, n_spins)."""
        s = self._inputs(spins)
        return log_prob_of_logits(self.logits(s), s)

    def _inputs(self, spins: Tensor) -> Tensor:
        if spins.ndim != 2 or spins.shape[1] != self.n_spins:
            raise ValueError(f"spins have shape {tuple(spins.shape)}; this sampler takes (n, {self.n_spins})")
        return spins.to(self.device, torch.float32)

    def sample(self, n: int, rng: Rng) -> Draw:
        """Draw n configurations with their log q, spin by spin."""
        return self.sample_by_passes(n, rng)

    @torch.no_grad()
    def sample_by_passes(self, n: int, rng: Rng) -> Draw:
        """Draw with one full pass per spin: slow, right for every subclass, the reference of incremental paths."""
        uniforms = rng.uniform((n, self.n_spins), self.device)
        s = torch.ones((n, self.n_spins), device=self.device)
        for i in range(self.n_spins):
            up = torch.sigmoid(self.logits(s)[:, i].to(torch.float64))
            s[:, i] = torch.where(uniforms[:, i] < up, 1.0, -1.0)
        return Draw(s.to(torch.int8), log_prob_of_logits(self.logits(s), s))

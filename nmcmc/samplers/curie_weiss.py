"""Networks derived from the Curie–Weiss Hamiltonian: the exact one of N spins, and those of its saddle points."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from nmcmc.energies.mean_field import CurieWeissEnergy
from nmcmc.random import Rng
from nmcmc.samplers.incremental import IncrementalSampler, Kernel, as_array

LEAST_SHARPNESS = 1e-3


class CountSampler(IncrementalSampler):
    """q(s_i | s_<i) that depends on i and the number of up spins before i only: a table of logits.

    A subclass writes `table`. All of q is then a walk on (i, ups), so that F_q needs no draws: `divergence`.

    Parameters
    ----------
    energy : a Curie–Weiss system. beta : inverse temperature. rng : not used, nothing starts at random.

    Raises
    ------
    TypeError : for another energy. ValueError : for a beta that is negative or not finite.
    """

    def __init__(self, energy: CurieWeissEnergy, beta: float, *, rng: Rng | None = None):
        if not isinstance(energy, CurieWeissEnergy):
            raise TypeError(f"the energy is a {type(energy).__name__}; {type(self).__name__} needs a CurieWeissEnergy")
        super().__init__(energy, beta)
        self._energies = energy.of_magnetization(2 * np.arange(energy.n_spins + 1) - energy.n_spins)

    def table(self) -> Tensor:
        """Return the logits (n_spins, n_spins) of spin i after u up spins, u ≤ i, float64."""
        raise TypeError(f"{type(self).__name__} must define table()")

    def logits(self, spins: Tensor) -> Tensor:
        """Return the logits (batch, n_spins) for float32 spins ±1."""
        ups = torch.cumsum(spins > 0, dim=1) - (spins > 0).long()
        return self.table()[torch.arange(self.n_spins, device=spins.device), ups]

    def kernel(self) -> Kernel:
        """Return the compiled draw with the present weights."""
        from nmcmc.kernels import counts as kernel

        table = as_array(self.table())
        return lambda spins, uniforms, log_q: kernel.draw(spins, uniforms, table, log_q)

    def divergence(self) -> Tensor:
        """Return E_q[log q + βH] = KL(q‖p) − log Z, exact and differentiable, by the probabilities of all (i, u)."""
        reached = torch.ones(1, dtype=torch.float64, device=self.device)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for i, logit in enumerate(self.table()):
            up, down = (nn.functional.logsigmoid(sign * logit[: i + 1]) for sign in (1, -1))
            to_up, to_down = reached * up.exp(), reached * down.exp()
            total = total + (to_up * up + to_down * down).sum()
            reached = nn.functional.pad(to_down, (0, 1)) + nn.functional.pad(to_up, (1, 0))
        return total + (reached * torch.as_tensor(self.beta * self._energies, device=self.device)).sum()


class ExactCurieWeissSampler(CountSampler):
    """CW_N: the exact conditionals, all weights fixed; every draw has the same weight, exp(log_weight) = Z.

    logit_i = 2βh + (2βJ/N) M + ln ρ⁺ − ln ρ⁻, ρ^± the partition functions of the n = N − i spins left. They are found
    backwards: g_N(u) = −βH, g_i(u) = ln(e^{g_{i+1}(u+1)} + e^{g_{i+1}(u)}), logit_i(u) = g_{i+1}(u+1) − g_{i+1}(u), in
    N²/2 steps; the sum over k of the publication would take N³/6. I. Biazzo (2023), arXiv:2302.08347.

    Examples
    --------
    >>> sampler = ExactCurieWeissSampler(CurieWeissEnergy(50), beta=1.1)
    >>> sampler.sample(5, Rng(1)).spins.shape
    torch.Size([5, 50])
    """

    logits_of_counts: Tensor

    def __init__(self, energy: CurieWeissEnergy, beta: float, *, rng: Rng | None = None):
        super().__init__(energy, beta)
        n, left = self.n_spins, -self.beta * self._energies
        table = np.zeros((n, n))
        for i in range(n - 1, -1, -1):
            table[i, : i + 1] = left[1:] - left[:-1]
            left = np.logaddexp(left[1:], left[:-1])
        self.log_z = float(left[0])
        self.register_buffer("logits_of_counts", torch.from_numpy(table), persistent=False)

    def table(self) -> Tensor:
        """Return the logits (n_spins, n_spins) of spin i after u up spins, float64."""
        return self.logits_of_counts


class InfiniteCurieWeissSampler(CountSampler):
    """CW_∞: logit_i = b + w₀,i M + w₁,i sgn M, the conditionals of infinitely many spins, with 2N trained parameters.

    The n = N − i spins left order along M: logit = 2β(h + JM/N + J(n/N)m), where m = tanh β(h + Jm) along the typical
    path; hence the start w₀,i = 2βJ/N, w₁,i = 2βJ (n/N)|m|. b = 2βh is trained where there is a field. Weights are in
    units of β. I. Biazzo (2023), arXiv:2302.08347, where all spins share one w₀: each with its own, spins follow the
    smooth rise of tanh at small M, and at 50 spins the error is several times smaller.

    Examples
    --------
    >>> sampler = InfiniteCurieWeissSampler(CurieWeissEnergy(50), beta=1.1)
    >>> sum(p.numel() for p in sampler.parameters() if p.requires_grad)
    100
    """

    def __init__(self, energy: CurieWeissEnergy, beta: float, *, rng: Rng | None = None):
        super().__init__(energy, beta)
        n, j = self.n_spins, energy.coupling
        m = abs(_saddle(self.beta, j, abs(energy.field)))
        left = (n - 1 - torch.arange(n, dtype=torch.float64)) / n
        self.bias = nn.Parameter(torch.tensor(2 * energy.field, dtype=torch.float64), requires_grad=energy.has_field)
        self.slope = nn.Parameter(torch.full((n,), 2 * j, dtype=torch.float64))
        self.steps = nn.Parameter(2 * j * left * m)

    def table(self) -> Tensor:
        """Return the logits (n_spins, n_spins) of spin i after u up spins, float64."""
        i = torch.arange(self.n_spins, dtype=torch.float64, device=self.device)
        m = 2 * i[None] - i[:, None]
        return self.beta * (self.bias + self.slope[:, None] / self.n_spins * m + self.steps[:, None] * self._sign(m))

    def _sign(self, m: Tensor) -> Tensor:
        """Return the sign that the spins left take for the sums M (n_spins, n_spins)."""
        return torch.sign(m)


class SaddleCurieWeissSampler(InfiniteCurieWeissSampler):
    """CW_∞ that weighs both saddle points: logit_i = b + w₀,i M + w₁,i tanh(βκ_i M), with 3N trained parameters.

    Of finitely many spins the n that are left do not all follow sgn M: their two saddle points ±m weigh
    exp(±βJ (n/N) m M), whose mean sign is tanh(βJ (n/N) m M); hence the start κ_i = J (n/N)|m|, and a little more, so
    that κ can grow where m is 0.

    Examples
    --------
    >>> sampler = SaddleCurieWeissSampler(CurieWeissEnergy(50), beta=1.1)
    >>> sum(p.numel() for p in sampler.parameters() if p.requires_grad)
    150
    """

    def __init__(self, energy: CurieWeissEnergy, beta: float, *, rng: Rng | None = None):
        super().__init__(energy, beta)
        self.sharpness = nn.Parameter(self.steps.detach() / 2 + LEAST_SHARPNESS)

    def _sign(self, m: Tensor) -> Tensor:
        return torch.tanh(self.beta * self.sharpness[:, None] * m)


def _saddle(beta: float, coupling: float, field: float) -> float:
    """Return the largest solution of m = tanh β(h + Jm)."""
    m = 1.0
    for _ in range(10_000):
        m, before = math.tanh(beta * (field + coupling * m)), m
        if abs(m - before) < 1e-14:
            break
    return m

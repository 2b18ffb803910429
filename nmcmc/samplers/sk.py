"""Networks for dense disordered systems: nested replica layers, and the cavity with a guess of the magnetisations."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.parallel import for_chunks
from nmcmc.random import Rng
from nmcmc.samplers.incremental import Kernel, as_array
from nmcmc.samplers.partial_fields import FieldSampler

logsigmoid = nn.functional.logsigmoid
Array: TypeAlias = NDArray[np.float32]
SUMS = 8
"""Sums that a gradient is made of: as many threads can work on it."""


class ReplicaSampler(FieldSampler):
    """SK_kRSB: logit_i = 2βv_i x_ii + Σ_{l>i} [2βu x_il + A_il(x_il) − A_il(−x_il)], nested layers A for every pair.

    A = −Σ_m a_m y_m with y_0 = ln σ(2β(b_0 + w_0 x)) and y_m = ln σ(b_m + w_m y_{m−1}) for m ≤ k; k = 0 is SK_RS, and
    a = (0, …, 0, 1) is the published net of k levels. 3k + 4 weights per pair. I. Biazzo (2023), arXiv:2302.08347.

    The start v = u = w_0 = 1, b_0 = J_il, a = (1, 0, …, 0) is, since ln 2cosh x = x − ln σ(2x), the cavity
    F_i = Σ_l [ln cosh β(x_il + J_il) − ln cosh β(x_il − J_il)]: exact if the spins left are not coupled to one another.

    Parameters
    ----------
    energy : the system. beta : inverse temperature. levels : k ≥ 0. rng : not used, nothing starts at random.

    Raises
    ------
    ValueError : for a beta that is negative or not finite, or levels < 0.
    """

    def __init__(self, energy: PairwiseEnergy, beta: float, *, levels: int = 1, rng: Rng | None = None):
        super().__init__(energy, beta)
        if levels < 0:
            raise ValueError(f"levels is {levels}; it must be at least 0")
        self.levels = levels
        i, l = torch.triu_indices(self.n_spins, self.n_spins, 1)
        n_pairs = len(i)
        self.own, self.linear = nn.Parameter(torch.ones(self.n_spins)), nn.Parameter(torch.ones(n_pairs))
        shifts, slopes, sums = (
            torch.ones(levels + 1, n_pairs),
            torch.ones(levels + 1, n_pairs),
            torch.zeros(levels + 1, n_pairs),
        )
        shifts[0], slopes[1:], sums[0] = (
            self.couplings[i, l],
            2.0,
            1.0,
        )  # of y_m, m ≥ 1: slopes that bend within its range
        self.shifts, self.slopes, self.sums = nn.Parameter(shifts), nn.Parameter(slopes), nn.Parameter(sums)

    @property
    def options(self) -> dict[str, Any]:
        """What `__init__` needs beyond energy, beta and rng to build a sampler of the same shape."""
        return {"levels": self.levels}

    def logits(self, spins: Tensor) -> Tensor:
        """Return the logits (batch, n_spins) for float32 spins ±1."""
        i, l = torch.triu_indices(self.n_spins, self.n_spins, 1, device=self.device)
        x = self.partial_fields(spins)[:, i, l]
        terms = 2 * self.beta * self.linear * x - self._nested(x) + self._nested(-x)
        sums = torch.zeros_like(spins).index_add(1, i, terms)
        return 2 * self.beta * self.own * self.own_fields(spins) + sums

    def _nested(self, x: Tensor) -> Tensor:
        y = logsigmoid(2 * self.beta * (self.shifts[0] + self.slopes[0] * x))
        total = self.sums[0] * y
        for m in range(1, self.levels + 1):
            y = logsigmoid(self.shifts[m] + self.slopes[m] * y)
            total = total + self.sums[m] * y
        return total

    def kernel(self) -> Kernel:
        """Return the compiled draw with the present weights."""
        from nmcmc.kernels import partial_fields as kernel

        system, weights = self._arrays()
        return lambda spins, uniforms, log_q: kernel.draw_replica(spins, uniforms, *system, weights, log_q)

    def gradient(self, spins: Tensor, factors: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient of Σ_b factors_b log q(s_b) for every parameter, compiled, on a CPU.

        Slices of rows are dealt out to a fixed number of sums: it does not depend on the number of threads.
        """
        from nmcmc.kernels import partial_fields as kernel

        system, weights = self._arrays()
        rows, given = kernel.GRADIENT_ROWS, spins.to(torch.int8).numpy()
        parts, by_row = np.zeros((SUMS, *weights.shape), np.float32), factors.to(torch.float32).numpy()

        def work(start: int, stop: int) -> None:
            piece = np.zeros_like(weights)
            for part in range(start, stop):
                for first in range(part * rows, len(given), SUMS * rows):
                    here = slice(first, first + rows)
                    kernel.gradient_replica(given[here], by_row[here], *system, weights, piece)
                    parts[part] += piece

        for_chunks(work, SUMS)
        found = self._scale(torch.from_numpy(parts.sum(axis=0)))
        pairs, levels = found[:, : self.linear.numel()], found[1:-1].reshape(self.levels + 1, 3, -1)
        shifts, slopes, sums = (levels[:, k, : self.linear.numel()] for k in range(3))
        return found[-1, : self.n_spins], pairs[0], shifts, slopes, sums

    def _scale(self, rows: Tensor) -> Tensor:
        """Return rows of a kernel's weights, linear, (shift, slope, sum) of each level, own, in units of 2β or back."""
        rows[[0, 1, 2, -1]] *= 2 * self.beta
        return rows

    @torch.no_grad()
    def _arrays(self) -> tuple[tuple[Array, Array], Array]:
        """Return couplings and fields, and all weights as `kernels.partial_fields.draw_replica` takes them."""
        n_pairs, levels = self.linear.numel(), torch.stack((self.shifts, self.slopes, self.sums), dim=1)
        weights = torch.zeros(3 * self.levels + 5, max(n_pairs, self.n_spins))
        weights[0, :n_pairs], weights[-1, : self.n_spins] = self.linear, self.own
        weights[1:-1, :n_pairs] = levels.reshape(-1, n_pairs)
        return (self.couplings.numpy(), self.fields.numpy()), self._scale(weights).numpy()


class CavitySampler(FieldSampler):
    """logit_i = 2βv_i x_ii + Σ_{l>i} [2βu x_il + a (ln cosh β(X_l + b) − ln cosh β(X_l − b))], the cavity one order on.

    X_l = x_il + Σ_{l'>i} K_ll' m_l': the spins left feel each other by a first guess of their magnetisations, the mean
    of those for both signs of s_i, m_l = ½g (tanh βw(x_il + b) + tanh βw(x_il − b)). The start v = w = g = a = 1,
    u = 0, b = J_il, K = J is right to first order in the couplings among them. K is shared by all i, the other weights
    belong to a pair (i, l). A draw takes N³/3 multiply-adds.

    Parameters
    ----------
    energy : the system. beta : inverse temperature. rng : not used, nothing starts at random.

    Raises
    ------
    ValueError : for a beta that is negative or not finite.
    """

    def __init__(self, energy: PairwiseEnergy, beta: float, *, rng: Rng | None = None):
        super().__init__(energy, beta)
        i, l = torch.triu_indices(self.n_spins, self.n_spins, 1)
        couplings, ones = self.couplings[i, l], torch.ones(len(i))
        self.own, self.linear = nn.Parameter(torch.ones(self.n_spins)), nn.Parameter(torch.zeros(len(i)))
        self.slopes, self.gains, self.sums = (nn.Parameter(ones.clone()) for _ in range(3))
        self.between, self.shifts = nn.Parameter(couplings.clone()), nn.Parameter(couplings.clone())

    def _square(self, weights: Tensor) -> Tensor:
        """Return weights of pairs as the upper triangle of a matrix, (n_spins, n_spins)."""
        i, l = torch.triu_indices(self.n_spins, self.n_spins, 1, device=self.device)
        return torch.zeros_like(self.couplings).index_put((i, l), weights)

    def logits(self, spins: Tensor) -> Tensor:
        """Return the logits (batch, n_spins) for float32 spins ±1."""
        beta, x, between = self.beta, self.partial_fields(spins), self._square(self.between)
        slope, shift = beta * self._square(self.slopes), self._square(self.shifts)
        guess = torch.tanh(slope * (x + shift)) + torch.tanh(slope * (x - shift))
        field = x + (0.5 * self._square(self.gains) * guess) @ (between + between.T)
        terms = 2 * beta * self._square(self.linear) * x
        terms = terms + self._square(self.sums) * (
            _log_cosh(beta * (field + shift)) - _log_cosh(beta * (field - shift))
        )
        return 2 * beta * self.own * self.own_fields(spins) + terms.sum(dim=2)

    def kernel(self) -> Kernel:
        """Return the compiled draw with the present weights."""
        from nmcmc.kernels import partial_fields as kernel

        couplings, fields, beta = self.energy.coupling_matrix, self.energy.fields, self.beta
        own, linear, slopes = (
            2 * beta * as_array(self.own),
            2 * beta * as_array(self.linear),
            beta * as_array(self.slopes),
        )
        between = as_array(self._square(self.between))
        weights = own, linear, slopes, as_array(self.gains), between + between.T
        ends = as_array(self.shifts), as_array(self.sums)
        return lambda spins, uniforms, log_q: kernel.draw_cavity(
            spins, uniforms, couplings, fields, *weights, beta, *ends, log_q
        )


def _log_cosh(x: Tensor) -> Tensor:
    """Return ln 2cosh x."""
    return nn.functional.softplus(2 * x) - x

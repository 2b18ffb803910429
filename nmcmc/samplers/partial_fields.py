"""Networks whose first layer is the Hamiltonian: the spins so far enter by the fields that they leave on the others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.random import Rng
from nmcmc.samplers.incremental import IncrementalSampler, Kernel, as_array
from nmcmc.samplers.masked_net import log_prob_of_logits

SLICE_PAIRS = 2**18
"""A gradient is computed for so many pairs of spins at a time: caches hold what it needs."""


class FieldSampler(IncrementalSampler):
    """q(s_i | s_<i) as a function of the partial fields x_il = h_l + Σ_{j<i} J_jl s_j, l ≥ i: the first layer is fixed.

    The exact conditionals of a pairwise system are of this form, logit_i = 2βx_ii + F_i(x_i,i+1, …, x_iN), and F_i is
    odd, with fields too: the partition function of the spins left is that of all of them reversed in reversed fields.
    So the nets here need no biases, and without fields q(s) = q(−s). I. Biazzo (2023), arXiv:2302.08347.

    Weights are in units of β: a net trained at one β starts well at a β nearby.

    Parameters
    ----------
    energy : the system. beta : inverse temperature. rng : not used, nothing starts at random.

    Raises
    ------
    ValueError : for a beta that is negative or not finite.
    """

    granularity = 16
    couplings: Tensor
    fields: Tensor

    def __init__(self, energy: PairwiseEnergy, beta: float, *, rng: Rng | None = None):
        super().__init__(energy, beta)
        matrix = torch.as_tensor(energy.coupling_matrix, dtype=torch.float32)
        self.register_buffer("couplings", matrix, persistent=False)
        self.register_buffer("fields", torch.as_tensor(energy.fields, dtype=torch.float32), persistent=False)

    def log_prob(self, spins: Tensor) -> Tensor:
        """Return log q(s), differentiable float64, (n,), for int8 spins (n, n_spins).

        On a CPU the value is the kernel's; a gradient is computed slice by slice when it is asked for.
        """
        if not torch.is_grad_enabled() or self.device.type != "cpu":
            return super().log_prob(spins)
        value: Tensor = _Sliced.apply(self, self._inputs(spins), *self.parameters())  # type: ignore[no-untyped-call]
        return value

    def gradient(self, spins: Tensor, factors: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of Σ_b factors_b log q(s_b) for every parameter, None for one that is frozen."""
        parameters = list(self.parameters())
        trained = [p for p in parameters if p.requires_grad]
        total = [torch.zeros_like(p) for p in trained]
        rows = max(8, 2 * SLICE_PAIRS // self.n_spins**2)
        for part, slope in zip(torch.split(spins, rows), torch.split(factors, rows), strict=True):
            with torch.enable_grad():
                value = log_prob_of_logits(self.logits(part), part)
            for whole, piece in zip(total, torch.autograd.grad(value, trained, slope), strict=True):
                whole += piece
        gradients = iter(total)
        return tuple(next(gradients) if p.requires_grad else None for p in parameters)

    def own_fields(self, spins: Tensor) -> Tensor:
        """Return x_ii (batch, n_spins) for float32 spins ±1."""
        return spins @ self.couplings.triu(1) + self.fields

    def partial_fields(self, spins: Tensor) -> Tensor:
        """Return x_il for l > i, else 0, (batch, n_spins, n_spins), for float32 spins ±1."""
        added = spins[:, :, None] * self.couplings.triu(1)
        return (torch.cumsum(added, dim=1) - added + self.fields).triu(1)


class _Sliced(torch.autograd.Function):
    """log q(s) whose gradient is `FieldSampler.gradient`, not that of every operation."""

    @staticmethod
    def forward(ctx: Any, sampler: FieldSampler, inputs: Tensor, *parameters: Tensor) -> Tensor:
        ctx.sampler = sampler
        ctx.save_for_backward(inputs)
        return sampler.log_prob(inputs)  # the kernel's: nothing in here asks for a gradient

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *ctx.sampler.gradient(ctx.saved_tensors[0], slopes[0])


class OneParameterSampler(FieldSampler):
    """logit_i = 2βw(Σ_{j<i} J_ij s_j + h_i) with one trained parameter w, 1 at the start."""

    def __init__(self, energy: PairwiseEnergy, beta: float, *, rng: Rng | None = None):
        super().__init__(energy, beta)
        self.scale = nn.Parameter(torch.ones(()))

    def logits(self, spins: Tensor) -> Tensor:
        """Return the logits (batch, n_spins) for float32 spins ±1."""
        return 2 * self.beta * self.scale * self.own_fields(spins)

    def kernel(self) -> Kernel:
        """Return the compiled draw with the present weights."""
        from nmcmc.kernels import partial_fields as kernel

        factor = 2 * self.beta * float(self.scale)
        couplings, fields = factor * self.energy.coupling_matrix, factor * self.energy.fields
        return lambda spins, uniforms, log_q: kernel.draw_own(spins, uniforms, couplings, fields, log_q)


class OneLayerSampler(FieldSampler):
    """logit_i = 2β(Σ_{j<i} W_ij s_j + b_i): one masked layer, at the start W = J, b = h; without fields b stays 0."""

    def __init__(self, energy: PairwiseEnergy, beta: float, *, rng: Rng | None = None):
        super().__init__(energy, beta)
        i, l = torch.triu_indices(self.n_spins, self.n_spins, 1)
        self.weights = nn.Parameter(self.couplings[i, l].clone())
        self.bias = nn.Parameter(self.fields.clone(), requires_grad=energy.has_field)

    def _matrix(self) -> Tensor:
        i, l = torch.triu_indices(self.n_spins, self.n_spins, 1, device=self.device)
        return torch.zeros_like(self.couplings).index_put((i, l), self.weights)

    def logits(self, spins: Tensor) -> Tensor:
        """Return the logits (batch, n_spins) for float32 spins ±1."""
        return 2 * self.beta * (spins @ self._matrix() + self.bias)

    def kernel(self) -> Kernel:
        """Return the compiled draw with the present weights."""
        from nmcmc.kernels import partial_fields as kernel

        couplings, fields = as_array(2 * self.beta * self._matrix()), as_array(2 * self.beta * self.bias)
        return lambda spins, uniforms, log_q: kernel.draw_own(spins, uniforms, couplings, fields, log_q)


@torch.no_grad()
def start_at_random(sampler: FieldSampler, rng: Rng, scale: float = 0.1) -> None:
    """Replace all weights by normal numbers of that spread: what the nets lose without their start at the physics."""
    generator = rng.torch_generator()
    for parameter in sampler.parameters():
        parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))

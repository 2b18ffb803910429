"""Losses whose gradient lowers a Kullback–Leibler divergence, and what they measure on the way.

objective(sampler, target, rng, step) → loss, a scalar tensor; the step is for data that change on the way. All are
unbiased gradient estimators of their divergence, the block-local and the forward one up to a positive factor per net,
which Adam does not see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from nmcmc.random import Rng
from nmcmc.types import Sampler, Target, ThermalTarget


class BlockSampler(Sampler, Protocol):
    """A sampler made of blocks that can be drawn and weighed each on its own."""

    @property
    def beta(self) -> float:
        """Inverse temperature that the blocks are weighed at."""
        ...

    @property
    def trained_keys(self) -> list[str]:
        """The names of the nets to train, from the largest level to the smallest."""
        ...

    def n_inside(self, key: str) -> int:
        """Return the number of spins inside a block of one net."""
        ...

    def log_prob_line(self, key: str, inputs: Tensor) -> Tensor:
        """Return log q(line | border) of one net, differentiable."""
        ...

    def draw_borders(self, key: str, n: int, rng: Rng) -> Tensor:
        """Return borders of n blocks as the sampler draws them."""
        ...

    def windows(self, key: str, spins: Tensor, n: int, rng: Rng) -> tuple[Tensor, Tensor]:
        """Return the net's inputs, border and line, and chances for n random blocks of configurations."""
        ...

    def draw_block(self, key: str, borders: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """Draw the inside of one block per border: the net's inputs and the log weight inside."""
        ...


class DataSampler(Sampler, Protocol):
    """A sampler that can be fitted to configurations."""

    def cross_entropy(self, spins: Tensor, n: int, rng: Rng) -> Tensor:
        """Return a loss whose gradient is that of −E_data[log q], up to a positive factor per net, from n pieces."""
        ...


Objective: TypeAlias = Callable[[Sampler, Target, Rng, int], Tensor]
FULL_BATCH_SPINS, LEAST_BORDERS = 1024, 8
"""Spins of the largest block of which block-local training draws all copies asked for; of larger blocks it draws as
many spins, but never of fewer than the least number of borders."""
Configurations: TypeAlias = Callable[[int], Tensor]
"""Step → configurations of the target to learn from at that step, int8 (n_configurations, n_spins) on the CPU."""


def reverse_kl(sampler: Sampler, target: Target, rng: Rng, step: int = 0, *, batch: int = 1000) -> Tensor:
    """Return a loss with gradient E_q[∇log q(s) (R − b)], R = log q + βH: the score function of KL(q‖p).

    The baseline b of each draw is the mean of R over the other draws, so that the estimator stays unbiased.
    Wu, Wang, Zhang (2019), arXiv:1809.10606; leave-one-out baseline: Kool, van Hoof, Welling (2019).

    Parameters
    ----------
    sampler : any sampler. target : what to approximate. batch : draws per step, ≥ 2.
    """
    draw = sampler.sample(batch, rng)
    with torch.no_grad():
        cost = draw.log_prob - target.log_density(draw.spins)
    return (_leave_one_out(cost[None])[0] * sampler.log_prob(draw.spins)).mean()


def block_local_reverse_kl(
    sampler: BlockSampler,
    target: ThermalTarget,
    rng: Rng,
    step: int = 0,
    *,
    borders: int = 64,
    crosses: int = 8,
    stagger: int = 0,
    configurations: Configurations | None = None,
) -> Tensor:
    """Return Σ_nets of the score-function loss of KL(q‖p) inside single blocks: nothing outside a block adds noise.

    For one net, draw the inside of ``crosses`` copies of each of ``borders`` borders; R_b = log q + βH inside, leaves
    summed exactly. The leave-one-out mean over the copies is the baseline, so that the noise vanishes as q → p.

    Parameters
    ----------
    sampler : a sampler made of blocks. target : the system whose leaves the sampler sums, at the same β.
    borders : blocks per step and net, ≥ 1; of blocks beyond ``FULL_BATCH_SPINS`` fewer. crosses : draws of each, ≥ 2.
    stagger : steps between the starts of two nets, the smallest blocks first; 0 trains all from the beginning. What
        nets inside a block lose depends on their border: large blocks that train before them learn to avoid the
        borders that are badly drawn inside, and never draw them again.
    configurations : where borders come from; None takes the sampler's own draws.

    Raises
    ------
    TypeError : if the sampler is not made of blocks.
    ValueError : if the target is at another β than the sampler's leaves.
    """
    if not hasattr(sampler, "draw_block"):
        raise TypeError(f"{type(sampler).__name__} is not made of blocks; train it by reverse_kl or forward_kl")
    if target.beta != sampler.beta:
        raise ValueError(
            f"the target has beta {target.beta}, but the sampler sums its leaves at {sampler.beta}; block-local "
            "training needs a sampler built for the target: build one, or use reverse_kl"
        )
    keys, losses = sampler.trained_keys, []
    for key in keys[-(1 + step // stagger) :] if stagger else keys:
        stream = rng.child(key)
        n = min(borders, max(LEAST_BORDERS, round(borders * FULL_BATCH_SPINS / sampler.n_inside(key))))
        given = _borders(sampler, key, n, stream.child("borders"), configurations and configurations(step))
        inputs, log_weight = sampler.draw_block(key, given.repeat_interleave(crosses, dim=0), stream.child("inside"))
        advantage = _leave_one_out(-log_weight.reshape(-1, crosses)).reshape(-1)
        losses.append((advantage * sampler.log_prob_line(key, inputs)).mean())
    return torch.stack(losses).sum()


def _borders(sampler: BlockSampler, key: str, n: int, rng: Rng, spins: Tensor | None) -> Tensor:
    """Return borders of n blocks of a net, int8 (n, n_border): out of configurations if there are any."""
    if spins is None:
        return sampler.draw_borders(key, n, rng)
    inputs, chances = sampler.windows(key, spins, n, rng)
    return inputs[:, : inputs.shape[1] - chances.shape[1]].to(torch.int8).contiguous()


def forward_kl(
    sampler: DataSampler, target: Target, rng: Rng, step: int = 0, *, configurations: Configurations, batch: int = 256
) -> Tensor:
    """Return −E_data[log q], up to a positive factor per net: maximum likelihood, the gradient of KL(p‖q).

    Parameters
    ----------
    sampler : a sampler that can be fitted. configurations : what it is fitted to.
    batch : pieces of configurations per step and net, as large as the net's blocks.
    """
    return sampler.cross_entropy(configurations(step), batch, rng)


def _leave_one_out(cost: Tensor) -> Tensor:
    """Return cost minus the mean of the others in the same row, (rows, n ≥ 2)."""
    n = cost.shape[1]
    if n < 2:
        raise ValueError(f"{n} draw cannot be compared with others; draw at least 2 (batch, crosses)")
    return (cost - cost.mean(dim=1, keepdim=True)) * (n / (n - 1))

"""Where a hierarchical sampler loses: the share of every net in KL(q‖p)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.types import Estimate

UNRELIABLE_SPREAD = 1.0
"""Variance of log w inside blocks beyond which a few draws do not tell their KL."""


@torch.no_grad()
def kl_of_levels(
    sampler: HierarchicalSampler, spins: Tensor, rng: Rng, *, borders: int = 200, crosses: int = 64
) -> dict[str, Estimate]:
    """Return for every net n_blocks · E_p[KL(q(line | border) ‖ p(line | border))], in nats, borders those of p.

    Of a whole block KL = log E_q[w] − E_q[log w] given the border, w the weight of what is inside, from ``crosses``
    draws of it and corrected for their number. A net's own share is that of its block less those of the blocks in it,
    with the borders that its own lines give them. As q → p the shares add up to KL(q‖p).

    Parameters
    ----------
    sampler : a trained sampler.
    spins : int8 configurations (n, n_spins) of the target, on the CPU: borders are taken from them.
    borders, crosses : how many borders for each net, and draws for each border, ≥ 2.

    Raises
    ------
    ValueError : for numbers out of range.
    """
    if borders < 2 or crosses < 2:
        raise ValueError(f"borders {borders} and crosses {crosses} must be ≥ 2 to tell means and errors")
    return {key: _share(sampler, spins, key, borders, crosses, rng.child(key)) for key in sampler.keys}


def _share(sampler: HierarchicalSampler, spins: Tensor, key: str, borders: int, crosses: int, rng: Rng) -> Estimate:
    """Return a net's share, all its blocks together, border by border."""
    given = _borders(sampler, spins, key, borders, rng.child("borders"))
    block, spread = _kl_given(sampler, key, given, crosses, rng.child("block"))
    inputs, _ = sampler.draw_block(key, given, rng.child("line"))
    for number, (child, sites) in enumerate(sampler.blocks_left(key)):
        inner, _ = _kl_given(sampler, child, inputs[:, sites].to(torch.int8), crosses, rng.child("child", number))
        block = block - inner
    n_blocks = len(sampler.groups[key].sites)
    reliable = spread < UNRELIABLE_SPREAD
    why = "" if reliable else f"the variance of log w inside a block is {spread:.3g}; a few draws do not tell its KL"
    error = n_blocks * float(block.std() / math.sqrt(borders))
    return Estimate(n_blocks * float(block.mean()), error, n=borders * crosses, reliable=reliable, why=why)


@torch.no_grad()
def kl_of_block(
    sampler: HierarchicalSampler, spins: Tensor, key: str, borders: int, crosses: int, rng: Rng
) -> Estimate:
    """Return E_p[KL(q ‖ p)] of everything inside a block of one net given its border; see `kl_of_levels`."""
    kl, _ = _kl_given(sampler, key, _borders(sampler, spins, key, borders, rng.child("borders")), crosses, rng)
    return Estimate(float(kl.mean()), float(kl.std() / math.sqrt(borders)), n=borders * crosses)


def _borders(sampler: HierarchicalSampler, spins: Tensor, key: str, n: int, rng: Rng) -> Tensor:
    inputs, chances = sampler.windows(key, spins, n, rng)
    return inputs[:, : inputs.shape[1] - chances.shape[1]].to(torch.int8).contiguous()


def _kl_given(sampler: HierarchicalSampler, key: str, borders: Tensor, crosses: int, rng: Rng) -> tuple[Tensor, float]:
    """Return KL(q ‖ p) of what is inside for each border, (n,), and the mean variance of log w given the border."""
    _, log_weight = sampler.draw_block(key, borders.contiguous().repeat_interleave(crosses, dim=0), rng)
    log_weight = log_weight.reshape(-1, crosses)
    variance = log_weight.var(dim=1)
    kl = torch.logsumexp(log_weight, dim=1) - math.log(crosses) - log_weight.mean(dim=1)
    return kl + variance / (2 * crosses), float(variance.mean())

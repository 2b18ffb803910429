"""Where a hierarchical sampler loses: the share of every net in KL(q‖p)."""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor

from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.types import Estimate


@torch.no_grad()
def kl_of_levels(
    sampler: HierarchicalSampler, spins: Tensor, rng: Rng, *, borders: int = 200, crosses: int = 64
) -> dict[str, Estimate]:
    """Return for every net n_blocks · E[KL(q(line | border) ‖ p(line | border))], in nats; they add up to KL(q‖p).

    Of a whole block KL = log E_q[w] − E_q[log w] given the border, w the weight of what is inside, from ``crosses``
    draws of it and corrected for their number. A net's own share is that of its block less those of the blocks in it.

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
    whole = {key: kl_of_block(sampler, spins, key, borders, crosses, rng.child(key)) for key in sampler.keys}
    own = {}
    for key in sampler.keys:
        cut, n_blocks = sampler.groups[key].cut, len(sampler.groups[key].sites)
        children = [child.key for child, _ in cut.children] if cut else []
        inside = Counter(child for child in children if child in whole)
        value = whole[key].value - sum(n * whole[part].value for part, n in inside.items())
        error = math.hypot(whole[key].error, *(n * whole[part].error for part, n in inside.items()))
        own[key] = Estimate(n_blocks * value, n_blocks * error, n=borders * crosses)
    return own


def kl_of_block(
    sampler: HierarchicalSampler, spins: Tensor, key: str, borders: int, crosses: int, rng: Rng
) -> Estimate:
    """Return E[KL(q ‖ p)] of everything inside a block of one net given its border; see `kl_of_levels`."""
    inputs, chances = sampler.windows(key, spins, borders, rng.child("borders"))
    given = inputs[:, : inputs.shape[1] - chances.shape[1]].to(torch.int8).contiguous()
    _, log_weight = sampler.draw_block(key, given.repeat_interleave(crosses, dim=0), rng.child("inside"))
    log_weight = log_weight.reshape(borders, crosses)
    kl = torch.logsumexp(log_weight, dim=1) - math.log(crosses) - log_weight.mean(dim=1)
    kl = kl + log_weight.var(dim=1) / (2 * crosses)
    return Estimate(float(kl.mean()), float(kl.std() / math.sqrt(borders)), n=borders * crosses)

"""Trained nets of one hierarchical sampler at work in another: blocks that are the same are learnt once.

A net depends on its region and β only, so the levels below the frame of a small torus are those of a larger one.
"""

from __future__ import annotations

import torch

from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.masked_net import MaskedNet


def take_levels(
    sampler: HierarchicalSampler, source: HierarchicalSampler, *, allow_beta_mismatch: bool = False
) -> list[str]:
    """Put copies of the source's nets in place of the sampler's own, wherever both have a region of the same key.

    Nets of the same β are frozen: they are right as they are, and training leaves them alone. Those of another β are
    where training starts. Copies keep the source's width and depth.

    Parameters
    ----------
    sampler : changed in place. source : a trained sampler; left as it is.
    allow_beta_mismatch : whether nets of another β will do.

    Returns
    -------
    The keys of the nets taken, from the largest level to the smallest.

    Raises
    ------
    ValueError : if the two have another β, unless that is allowed, or no region in common.
    """
    same_beta = source.beta == sampler.beta
    if not (same_beta or allow_beta_mismatch):
        raise ValueError(
            f"the nets are for beta {source.beta!r}, the new sampler is for {sampler.beta!r}; take nets of the same "
            "beta, or allow the mismatch to start from them and train them too"
        )
    taken = [key for key in sampler.keys if key in source.nets]
    if not taken:
        raise ValueError(
            f"no net can be taken over: the source has {_listed(source.keys)}, the new sampler "
            f"{_listed(sampler.keys)}; blocks must agree in shape, border, couplings and fields"
        )
    for key in taken:
        sampler.nets[key] = _copied(source.whole.net(source.groups[key]), frozen=same_beta).to(sampler.device)
    return taken


def _copied(net: MaskedNet, frozen: bool) -> MaskedNet:
    copy = MaskedNet(
        net.n_border,
        net.n_line,
        width=net.width,
        depth=net.depth,
        biases=net.biases,
        generator=torch.Generator(),  # whatever it gives is overwritten
    )
    copy.load_state_dict(net.state_dict())
    return copy.requires_grad_(False) if frozen else copy


def _listed(keys: list[str]) -> str:
    return ", ".join(keys) or "no nets"

"""Marginals of an autoregressive net: log q of the spins that it draws first, and log Z given those."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nmcmc.random import Rng
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.masked_net import log_prob_of_logits
from nmcmc.types import Floats, Spins, Target


@torch.no_grad()
def prefix_log_prob(sampler: MADESampler, spins: Tensor, n_given: int) -> Tensor:
    """Return log q(a) = Σ_{i<n_given} log q(s_i | s_<i) of the first spins, (n,) float64; the others do not matter.

    Raises
    ------
    ValueError : for n_given outside 1 … n_spins − 1.
    """
    _check(n_given, sampler.n_spins)
    inputs = spins.to(sampler.device, torch.float32)
    return log_prob_of_logits(sampler.logits(inputs)[:, :n_given], inputs[:, :n_given])


@torch.no_grad()
def log_z_of_prefix(sampler: MADESampler, target: Target, spins: Spins, n_given: int, n_draws: int, rng: Rng) -> Floats:
    """Return estimates of log Z(a) = log Σ_b exp(−βH(a, b)), (n,), a the first n_given spins of each configuration.

    The net draws n_draws completions b of each a, whose weights exp(−βH)/q(b | a) have the mean Z(a). The logarithm of
    their mean is too low by about var/(2 n_draws); the jackknife over two halves, 2 L − (L_1 + L_2)/2, removes that and
    leaves a bias of second order. P. Białas, P. Korcyl, T. Stebel, D. Zapolski (2023), arXiv:2304.13412.

    Parameters
    ----------
    target : −βH. spins : int8 (n, n_spins), of which the first n_given matter. n_draws : even, ≥ 2.

    Raises
    ------
    ValueError : for n_given outside 1 … n_spins − 1, or another n_draws.
    """
    _check(n_given, sampler.n_spins)
    if n_draws < 2 or n_draws % 2:
        raise ValueError(f"n_draws is {n_draws}; give an even number ≥ 2: its halves measure the bias")
    rows = torch.from_numpy(np.repeat(spins, n_draws, axis=0)).to(sampler.device)
    uniforms = rng.uniform((len(rows), sampler.n_spins), sampler.device)
    # Numbers outside [0, 1) leave the given spins no choice.
    uniforms[:, :n_given] = torch.where(rows[:, :n_given] > 0, -1.0, 2.0).to(torch.float64)
    sites = np.arange(sampler.n_spins)[None]
    log_q = sampler.net.draw(rows, sites[:, :0], sites, uniforms)[:, 0]
    log_q_inside = (log_q - prefix_log_prob(sampler, rows, n_given)).cpu().numpy()
    log_weight = (target.log_density(rows.cpu().numpy()) - log_q_inside).reshape(len(spins), n_draws)
    whole, halves = _log_mean(log_weight), [_log_mean(log_weight[:, k::2]) for k in range(2)]
    unbiased: Floats = 2 * whole - 0.5 * (halves[0] + halves[1])
    return unbiased


def _log_mean(log_weight: Floats) -> Floats:
    top = log_weight.max(axis=1)
    result: Floats = top + np.log(np.mean(np.exp(log_weight - top[:, None]), axis=1))
    return result


def _check(n_given: int, n_spins: int) -> None:
    if not 0 < n_given < n_spins:
        raise ValueError(f"n_given is {n_given}; of {n_spins} spins give 1 to {n_spins - 1}")

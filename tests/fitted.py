"""Samplers fitted to data for a second: no work of art, but proposals that an independence chain can live on."""

import numpy as np
import torch

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import run


def ordered_start(target, n_chains):
    """Return configurations all up or all down, in the proportion of the Boltzmann weights of the two."""
    up, down = target.log_density(np.stack([s * np.ones(target.n_spins, dtype=np.int8) for s in (1, -1)]))
    n_up = round(n_chains / (1 + np.exp(down - up)))
    return np.repeat(np.array([1, -1], dtype=np.int8), [n_up, n_chains - n_up])[:, None].repeat(target.n_spins, axis=1)


def fitted(kind, energy, beta, steps=200):
    """Return a small sampler ("hierarchical" or "made") after maximum-likelihood steps on Metropolis configurations.

    Hierarchical leaves are small (1×1 on the least lattices, 3×3 up to 16×16), so that the nets have something to do.
    The data come from short chains; whatever is wrong with them makes the sampler worse and no chain biased.
    """
    rng, target = Rng(1).child(kind), Boltzmann(energy, beta)
    if kind == "made":
        sampler = MADESampler(energy, beta, width=2, depth=1, rng=rng)
    else:
        sampler = HierarchicalSampler(energy, beta, leaf=_leaf(energy.n_spins), width=4, rng=rng)
    start = ordered_start(target, 256)
    chain = run(Metropolis(target, sweeps=10), 32, rng, observables={"energy": energy}, start=start, warmup=20, thin=1)
    _maximise_likelihood(sampler, torch.from_numpy(chain.spins.reshape(-1, energy.n_spins)), steps, rng.child("fit"))
    return sampler


def _leaf(n_spins):
    return 1 if n_spins < 64 else 3 if n_spins < 1024 else 7


def _maximise_likelihood(sampler, data, steps, rng, rate=1e-2):
    optimizer = torch.optim.Adam([p for p in sampler.parameters() if p.requires_grad], lr=rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        loss = sampler.cross_entropy(data, 256, rng.child(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

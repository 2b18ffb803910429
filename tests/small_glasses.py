"""Small disordered systems, and how far a sampler is from one."""

import numpy as np
import torch

from nmcmc.energies.mean_field import DenseEnergy, all_pairs
from nmcmc.exact.enumeration import all_states, probabilities


def glass(n=11, seed=1, field=0.3):
    generator, pairs = np.random.default_rng(seed), all_pairs(n)
    return DenseEnergy(n, pairs, generator.normal(size=len(pairs)) / n**0.5, field * generator.normal(size=n))


def kl(sampler):
    """KL(q‖p) by enumeration."""
    p = probabilities(sampler.energy, sampler.beta)
    with torch.no_grad():
        log_q = sampler.log_prob(torch.from_numpy(all_states(sampler.n_spins))).numpy()
    return float(np.exp(log_q) @ (log_q - np.log(p)))

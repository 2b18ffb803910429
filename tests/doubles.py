"""Stand-ins for samplers, exact on systems small enough to list all states."""

import numpy as np
import torch

from nmcmc.exact.enumeration import all_states
from nmcmc.types import Draw


class TableSampler:
    """Draws states of ``all_states(n_spins)`` with given log-probabilities, (2**n_spins,), normalised here."""

    def __init__(self, n_spins, log_prob):
        self.n_spins = n_spins
        self.table = log_prob - np.logaddexp.reduce(log_prob)
        self.cumulative = np.cumsum(np.exp(self.table))

    def sample(self, n, rng):
        u = rng.uniform((n, self.n_spins)).numpy()[:, 0]
        index = np.minimum(np.searchsorted(self.cumulative, u, side="right"), len(self.table) - 1)
        return Draw(torch.from_numpy(all_states(self.n_spins)[index]), torch.from_numpy(self.table[index]))

    def log_prob(self, spins):
        index = (spins.numpy() > 0) @ (2 ** np.arange(self.n_spins))
        return torch.from_numpy(self.table[index])


def distorted(target, seed, scale=0.5):
    """Return a TableSampler near the target: log q = log p + normal noise of that scale, up to normalisation."""
    noise = scale * np.random.default_rng(seed).normal(size=2**target.n_spins)
    return TableSampler(target.n_spins, target.log_density(all_states(target.n_spins)) + noise)

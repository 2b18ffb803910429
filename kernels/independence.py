"""The accept/reject scan of independence Metropolis–Hastings over precomputed log weights."""

import math

import numba as nb

from .rng import uniform


@nb.njit(cache=True, nogil=True)
def acceptance_probability(gain):
    """Return min(1, exp(gain)) for a proposal whose log weight exceeds the state's by ``gain``."""
    return 1.0 if gain >= 0.0 else math.exp(gain)


@nb.njit(cache=True, nogil=True)
def accept_scan(log_weight, proposed, streams, source):
    """Write to source (chains, steps) int64 which proposal each chain holds after each step, −1 for the initial state.

    log_weight (chains,) belongs to the initial states, proposed (steps, chains) to the proposals; streams (chains, 4)
    are advanced in place by one uniform per step.
    """
    for chain in range(source.shape[0]):
        held, current = -1, log_weight[chain]
        for step in range(source.shape[1]):
            gain = proposed[step, chain] - current
            if uniform(streams[chain]) < acceptance_probability(gain):
                held, current = step, proposed[step, chain]
            source[chain, step] = held

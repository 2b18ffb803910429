"""Walks along a path of temperatures and the work that they cost: annealed importance sampling, Jarzynski."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nmcmc.random import Rng
from nmcmc.types import Energy, Floats, Spins, Update


@dataclass(frozen=True)
class Walkers:
    """Walkers at the end of a path.

    Attributes
    ----------
    spins : their configurations (n, n_spins); weighted by exp(log_weight) they are a sample at the last β.
    log_weight : −Σ_k (β_k+1 − β_k) H(s_k), (n,): minus the dimensionless work. Its exponential has the mean
        Z(last β)/Z(first β), whatever the number of steps (Jarzynski).
    """

    spins: Spins
    log_weight: Floats


def walk(
    update_at: Callable[[float], Update[Any]],
    energy: Energy,
    betas: Sequence[float],
    start: Spins,
    rng: Rng,
    steps: int = 1,
) -> Walkers:
    """Take walkers from β_0 to β_K: change β by a step, weigh, and make ``steps`` updates at the new β, K times.

    Begun with equilibrium states at β_0 (for β_0 = 0 random spins), log Z(β_K) = log Z(β_0) + log mean exp(log_weight);
    a few large steps are annealed importance sampling, many small ones a slow Jarzynski process. The path reversed,
    from states at β_K, has the log weights of the same bridge from its other end: `analysis.free_energy.bridge_log_z`
    takes the forward ones and minus the backward ones (Crooks).

    Parameters
    ----------
    update_at : β → an update that leaves p_β invariant, such as ``lambda b: SwendsenWang(target.at(b))``.
    energy : the Hamiltonian. betas : the path, two values or more, up or down.
    start : equilibrium configurations at the first, (n, n_spins). rng : a stream of its own.
    steps : updates at each β between the ends, ≥ 1. None is needed at the last.

    Raises
    ------
    ValueError : for a path without step, or steps < 1.

    References
    ----------
    R. M. Neal, Stat. Comput. 11, 125 (2001); C. Jarzynski, Phys. Rev. Lett. 78, 2690 (1997); G. E. Crooks, Phys. Rev.
    E 60, 2721 (1999).
    """
    if len(betas) < 2 or steps < 1:
        raise ValueError(f"betas are {list(betas)} and steps is {steps}; give two betas or more, and at least one step")
    spins, log_weight = start, np.zeros(len(start))
    for k, (here, there) in enumerate(pairwise(betas)):
        log_weight -= (there - here) * energy(spins)
        if k == len(betas) - 2:
            break
        update = update_at(there)
        state = update.init(spins)
        for _ in range(steps):
            state, _ = update.step(state, rng)
        spins = state.spins
    return Walkers(spins, log_weight)

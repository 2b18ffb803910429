"""Two parts of a system as two systems, whose bonds are turned on: what takes the place of log Z of wide parts."""

from __future__ import annotations

import math

import numpy as np

from nmcmc.analysis.free_energy import temperatures_log_z
from nmcmc.analysis.quantity import Quantity
from nmcmc.experiment.temperatures import N_CHAINS, SHORTEST, WARMUP
from nmcmc.random import Rng
from nmcmc.types import Floats, Spins
from nmcmc.updates.run import run
from nmcmc.updates.seam import Seam, response_bounds
from nmcmc.updates.swendsen_wang import SwendsenWang

STEPS, WALKERS = 8, 4
"""Steps of λ for each bond of the seam, and walkers each way, of every state."""
_STAGES, _THIN = 8, 2


def seam_log_ratio(seam: Seam, n_samples: int, rng: Rng) -> tuple[Quantity, Spins]:
    """Return log Z − log Z_0 by Swendsen–Wang chains at several λ together, and states at λ = 0, (n, n_spins)."""
    stages = max(_STAGES, math.isqrt(len(seam.energy.edges)))
    strengths, n_draws = seam.strengths(stages), max(SHORTEST, 2 * n_samples)
    chains = [
        run(
            SwendsenWang(seam.at(strength)),
            n_draws,
            rng.child(k),
            observables={"seam": seam.energy},
            n_chains=N_CHAINS,
            warmup=WARMUP,
            thin=0 if k else _THIN,
        )
        for k, strength in enumerate(strengths)
    ]
    sources = [f"lambda = {strength / strengths[-1]:g}" for strength in strengths]
    ratio = temperatures_log_z(strengths, [chain.series["seam"] for chain in chains], sources)[-1]
    return ratio, np.ascontiguousarray(chains[0].spins).reshape(-1, seam.energy.n_spins)


def seam_terms(seam: Seam, spins: Spins, free: Spins, rng: Rng) -> Floats:
    """Return −βH_ab, lower bounds of f(a) and f(b), and upper bounds of both, of states: (5, n)."""
    n_steps = STEPS * len(seam.energy.edges)
    parts = [
        response_bounds(seam, held, spins, free, n_steps, WALKERS, rng.child(k))
        for k, held in enumerate((seam.part, ~seam.part))
    ]
    (lower_a, upper_a), (lower_b, upper_b) = parts
    return np.stack([-seam.target.beta * seam.energy(spins), lower_a, lower_b, upper_a, upper_b])

"""Does a sampler miss a phase? Chains of its proposals from elsewhere, and the mode-drop certificate."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nmcmc.analysis.compare import to_json
from nmcmc.analysis.importance import mode_drop
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.experiment import summary as numbers
from nmcmc.experiment.build import build_update, observables, pairwise_energy
from nmcmc.random import Rng
from nmcmc.types import Chain, Floats, Sampler, Spins
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import run

CHAINS, DRAWS, WARMUP, KEPT, THIN = 16, 500, 200, 200, 5


def mode_numbers(sampler: Sampler, target: Boltzmann, weights: Floats, rng: Rng) -> dict[str, Any]:
    """Return mode_drop, split_rhat, share_up and acceptance_rate of chains that start in every phase.

    A chain of updates that do not know the sampler (Swendsen–Wang clusters, heat bath in a field) gives states of the
    target; neural chains start from the last of them, half of them turned so that m > 0 and half so that m < 0 where
    there is no field. Where the sampler does not go, they stand still.

    Parameters
    ----------
    weights : log weights of fresh draws of the sampler, (n,).
    """
    states = target_chain(target, rng.child("states"))
    chain = run(
        Independence(sampler, target),
        DRAWS,
        rng.child("neural"),
        observables=observables(target),
        start=_in_every_phase(np.asarray(states.spins)[:, -1], target),
    )
    found = numbers.mixing_numbers(chain, target)
    found.pop("burn_in")
    found["acceptance_rate"] = to_json(numbers.acceptance_rate(chain))
    return {**found, "mode_drop": mode_drop_certificate(sampler, target, weights, states)}


def target_chain(target: Boltzmann, rng: Rng) -> Chain:
    """Return 16 chains of the target with 200 configurations kept of each, from all up and all down alternately."""
    has_field = pairwise_energy(target).has_field
    update = build_update("heat-bath" if has_field else "swendsen-wang", target)
    start = np.ones((CHAINS, target.n_spins), dtype=np.int8)
    start[1::2] = -1
    return run(
        update,
        KEPT * THIN,
        rng,
        observables=observables(target),
        start=start,
        warmup=WARMUP,
        thin=THIN,
    )


def mode_drop_certificate(sampler: Sampler, target: Boltzmann, weights: Floats, chain: Chain) -> dict[str, Any] | None:
    """Return log of the share of p that the sampler covers, from configurations that the sampler did not propose."""
    if chain.spins is None or chain.spins.shape[1] < 4:
        return None
    spins = chain.spins.reshape(-1, target.n_spins)
    with torch.no_grad():
        log_prob = sampler.log_prob(torch.from_numpy(spins)).cpu().numpy()
    log_weight = (target.log_density(spins) - log_prob).reshape(chain.spins.shape[:2])
    return {**to_json(mode_drop(weights, log_weight)), "exact": 0.0}


def _in_every_phase(spins: Spins, target: Boltzmann) -> Spins:
    """Return the configurations (n_chains, n_spins), turned up and down alternately where that is a symmetry."""
    spins = spins.copy()
    if not pairwise_energy(target).has_field:
        spins[spins.sum(axis=1, dtype=np.int64) < 0] *= -1
        spins[1::2] *= -1
    return spins

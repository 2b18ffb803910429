"""`nmcmc free-energy`: log Z, free energy and entropy by every estimator there is, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from nmcmc.analysis import free_energy as estimators
from nmcmc.analysis.compare import to_json
from nmcmc.analysis.integration import integrated_log_z, nodes
from nmcmc.analysis.quantity import Quantity, mean_of
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.experiment.build import pairwise_energy
from nmcmc.experiment.chains import draw_stage
from nmcmc.experiment.options import Options
from nmcmc.experiment.summary import known_exactly, summarize
from nmcmc.experiment.temperatures import Watched, chain_at, chains_along, update_at
from nmcmc.random import Rng
from nmcmc.types import Floats, Sampler, Spins
from nmcmc.updates.run import random_start
from nmcmc.updates.walk import walk

LEAST_DRAWS = 1000


def free_energy_command(
    target: Boltzmann, sampler: Sampler | None, n_samples: int, options: Options, model: str | None = None
) -> dict[str, Any]:
    """Return log Z, F/N and S/N of a target by every estimator, each with its error, beside the exact values.

    From β = 0: thermodynamic integration, all temperatures together (MBAR), and annealed importance sampling, with
    Swendsen–Wang where nothing is frustrated, elsewhere (fields, glasses) parallel tempering, and for
    annealing the heat bath. With a sampler also the weights of its draws, the reciprocal weights of a chain at β, and
    the bridge between both.

    Parameters
    ----------
    n_samples : states of the chain at β, and draws of the sampler; the other temperatures share as many, but each
        has at least 8 chains of 500.

    Raises
    ------
    ValueError : for β = 0, where log Z = N ln 2, or fewer than 1000 samples.
    """
    if not target.beta > 0:
        raise ValueError("beta is 0, where log Z = N ln 2 exactly; give beta > 0")
    if n_samples < LEAST_DRAWS:
        raise ValueError(f"n_samples is {n_samples}; give at least {LEAST_DRAWS}")
    began, rng = time.monotonic(), Rng(options.seed).child("free-energy")
    panels = n_panels(target)
    betas = nodes(target.beta, panels)
    with options.bar(panels + 3, "free energy", "step") as bar:
        found = _along_beta(target, n_samples, betas, rng, bar.update)
        if sampler is not None:
            found |= _by_sampler(sampler, target, n_samples, betas, rng, options)
    exact = known_exactly(target)
    estimates = {name: _numbers(log_z, energy, target, exact) for name, (log_z, energy) in found.items()}
    return summarize(
        "free-energy",
        target,
        seed=options.seed,
        model=model,
        n_samples=n_samples,
        n_betas=panels + 1,
        free_energy=estimates,
        seconds={"total": time.monotonic() - began},
    )


def _numbers(log_z: Quantity, energy: Quantity, target: Boltzmann, exact: Mapping[str, float]) -> dict[str, Any]:
    """Return log Z, F/N and S/N as JSON values; whether they can be believed is said once, with log Z."""
    per_spin = {
        "free_energy_per_spin": log_z * (-1 / (target.beta * target.n_spins)),
        "entropy_per_spin": (target.beta * energy + log_z) * (1 / target.n_spins),
    }
    numbers: dict[str, Any] = {"log_z": {**to_json(log_z.estimate()), "exact": exact.get("log_z")}}
    for name, quantity in per_spin.items():
        found = to_json(quantity.estimate())
        numbers[name] = {"value": found["value"], "error": found["error"], "exact": exact.get(name)}
    return numbers


def n_panels(target: Boltzmann) -> int:
    """Return the temperatures between 0 and β less one: more for larger systems, whose energy bends more sharply."""
    return int(min(48, max(12, 2 * round(0.75 * np.sqrt(target.n_spins)))))


def walk_steps(target: Boltzmann, panels: int) -> int:
    """Return the steps of β that annealing takes: 16 for each panel, or 2 for each spin up to 2048.

    The variance of the work is about N β² c/K in K steps, c the variance of H per spin, so that K grows with N.
    """
    return max(16 * panels, min(2048, 2 * target.n_spins))


def _along_beta(
    target: Boltzmann, n_samples: int, betas: Floats, rng: Rng, advance: Callable[[], Any]
) -> dict[str, tuple[Quantity, Quantity]]:
    """Return log Z and ⟨H⟩ at β by the estimators that need no sampler."""
    energy, panels = pairwise_energy(target), len(betas) - 1
    chains = chains_along(target, betas, n_samples, rng, advance)
    series, sources = chains.energies, chains.sources
    means = [mean_of(values, name) for values, name in zip(series, sources, strict=True)]
    log_z0 = target.n_spins * float(np.log(2))
    walkers = walk(
        update_at(target),
        energy,
        np.linspace(0, target.beta, walk_steps(target, panels) + 1).tolist(),
        random_start(max(200, n_samples // 40), energy.n_spins, rng.child("walkers")),
        rng.child("annealing"),
    )
    advance()
    found = {
        "integration": integrated_log_z(target.beta, means, target.n_spins),
        "all temperatures": log_z0 + estimators.temperatures_log_z(betas.tolist(), series, sources)[-1],
        "annealing": log_z0 + estimators.importance_log_z(walkers.log_weight, "walkers"),
    }
    advance()
    return {name: (log_z.moving(chains.moves), means[-1].moving(chains.moves)) for name, log_z in found.items()}


def _by_sampler(
    sampler: Sampler, target: Boltzmann, n_samples: int, betas: Floats, rng: Rng, options: Options
) -> dict[str, tuple[Quantity, Quantity]]:
    """Return log Z and ⟨H⟩ from fresh draws of the sampler, from a chain that it takes no part in, and from both."""

    def log_prob(spins: Spins) -> Floats:
        with torch.no_grad():
            values: Floats = sampler.log_prob(torch.from_numpy(spins)).cpu().numpy()
        return values

    draws = draw_stage(sampler, target, n_samples, rng.child("draws"), options)
    observables: Watched = {"energy": pairwise_energy(target), "log_prob": log_prob}
    series, spins = chain_at(target, betas, n_samples, rng, observables)
    chain, moves = -target.beta * series["energy"] - series["log_prob"], {"chain": spins}
    weighted = estimators.weighted_mean(draws["energy"], draws["log_weight"])
    return {
        "draws": (estimators.importance_log_z(draws["log_weight"]), weighted),
        "reciprocal": (
            estimators.reciprocal_log_z(chain).moving(moves),
            mean_of(series["energy"], "chain").moving(moves),
        ),
        "bridge": (estimators.bridge_log_z(draws["log_weight"], chain).moving(moves), weighted),
    }

"""Mutual information of two parts of a system from draws of a sampler, and from a chain that knows none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from nmcmc.analysis import free_energy
from nmcmc.analysis.controls import controlled
from nmcmc.analysis.information import chain_mutual_information, weighted_mutual_information
from nmcmc.analysis.integration import nodes
from nmcmc.analysis.quantity import Quantity, mean_of
from nmcmc.analysis.reweighting import LEAST_STATES, carriers
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.exact.cylinder import cylinder_of, log_z_of_rows
from nmcmc.exact.elimination import check_order, log_z_given
from nmcmc.exact.parts import Mask
from nmcmc.experiment.build import pairwise_energy
from nmcmc.experiment.free_energy import n_panels
from nmcmc.experiment.seams import seam_log_ratio, seam_terms
from nmcmc.experiment.summary import known_exactly
from nmcmc.experiment.temperatures import Watched, chain_at, chains_along, fingerprint, states_at
from nmcmc.random import Rng
from nmcmc.types import Floats, Sampler, Spins
from nmcmc.updates.seam import Seam

CHUNK, LONGER = 32, 200
"""States whose terms are computed at once, so that progress shows; states for the means of the controls, for each."""
_ROUNDING = 1e-12
Bounds = tuple[Quantity, Quantity]
"""At least, and at most."""
Advance = Callable[[int], Any]


@dataclass(frozen=True)
class Terms:
    """How the terms of I = log_z + ⟨log_density − log Z(a) − log Z(b)⟩ are found, log Z(a) and log Z(b) up to bounds.

    Attributes
    ----------
    of : states (n, n_spins), a stream → log_density, lower bounds of log Z(a) and log Z(b), upper ones, (5, n).
    log_z : the constant that belongs to them; None for log Z of the target.
    controls : observables that explain what the terms scatter by.
    """

    of: Callable[[Spins, Rng], Floats]
    log_z: Quantity | None = None
    controls: Watched = field(default_factory=dict)

    def along(self, states: Spins, rng: Rng, advance: Advance) -> Floats:
        """Return the terms of many states, (5, n)."""
        pieces = []
        for first in range(0, len(states), CHUNK):
            pieces.append(self.of(states[first : first + CHUNK], rng.child(first)))
            advance(pieces[-1].shape[1])
        return np.concatenate(pieces, axis=1)

    def steadied(
        self, found: Floats, states: Spins, means: list[Quantity], weights: Floats | None = None
    ) -> tuple[Floats, Quantity]:
        """Return the terms (5, *shape) with what the controls explain taken from log_density, and the noise of that."""
        shape = found.shape[1:]
        controls = np.array([control(states).reshape(shape) for control in self.controls.values()])
        density, *bounds = found
        whole = density - 0.5 * sum(bounds)
        steady, noise = controlled(whole, controls.reshape(-1, *shape), means, weights)
        return np.stack([density + steady - whole, *bounds]), noise


def sums_of(target: Boltzmann, given: Mask, controls: Watched) -> Terms:
    """Return terms whose log Z(a) and log Z(b) are summed exactly.

    Raises
    ------
    ValueError : where neither free fermions nor the elimination of spins can do that.
    """
    sums = [exact_sum(target, mask) for mask in (given, ~given)]

    def of(states: Spins, _: Rng) -> Floats:
        parts = [log_z(states) for log_z in sums]
        return np.stack([target.log_density(states), *parts, *parts])

    return Terms(of, controls=controls)


def exact_sum(target: Boltzmann, given: Mask) -> Callable[[Spins], Floats]:
    """Return states → log Z of the spins that are not given: rows of a uniform lattice by free fermions, if possible.

    Raises
    ------
    ValueError : as `log_z_given`.
    """
    energy, beta = pairwise_energy(target), target.beta
    try:
        cylinder_of(energy, beta, given)
    except ValueError:
        check_order(energy, beta, given)
        return lambda states: log_z_given(energy, beta, states, given)
    return lambda states: log_z_of_rows(energy, beta, states, given)


def bracket_of(target: Boltzmann, given: Mask, controls: Watched, n_samples: int, rng: Rng) -> Terms:
    """Return terms relative to the two parts apart, between bounds."""
    seam = Seam(target, given)
    log_ratio, free = seam_log_ratio(seam, n_samples, rng)
    return Terms(lambda states, stream: seam_terms(seam, states, free, stream), log_ratio, controls)


def by_draws(
    sampler: Sampler, target: Boltzmann, terms: Terms, n: int, rng: Rng, advance: Advance
) -> tuple[Bounds, Floats]:
    """Return bounds of I from fresh draws, the same where the terms are exact, and the log weights (n,)."""
    spins, log_weight = _drawn(sampler, target, n, rng)
    found, noise = terms.along(spins, rng.child("terms"), advance), Quantity(0.0)
    carried = _carried(found, np.exp(log_weight - log_weight.max()))
    if terms.controls:
        means = _means_by_draws(sampler, target, terms.controls, LONGER * n, rng.child("controls"))
        found, noise = terms.steadied(found, spins, means, np.exp(log_weight - log_weight.max()))
    density, *bounds = found
    most, least = (
        weighted_mutual_information(density, a, b, log_weight, log_z=terms.log_z) + noise + carried
        for a, b in (bounds[:2], bounds[2:])
    )
    return (least, most), log_weight


def by_chain(
    sampler: Sampler | None,
    target: Boltzmann,
    terms: Terms,
    log_weight: Floats | None,
    n: int,
    rng: Rng,
    advance: Advance,
) -> Bounds:
    """Return bounds of I from a chain that knows no sampler; the log weights of draws help if log Z is not known."""
    betas = nodes(target.beta, n_panels(target))
    states = states_at(target, betas, n, rng)
    rows = states.reshape(-1, target.n_spins)
    found = terms.along(rows, rng.child("terms"), advance).reshape(5, *states.shape[:2])
    log_z = known_exactly(target).get("log_z") if terms.log_z is None else terms.log_z
    if log_z is None and sampler is not None and log_weight is not None:
        with torch.no_grad():
            log_prob = sampler.log_prob(torch.from_numpy(rows)).cpu().numpy()
        log_z = free_energy.bridge_log_z(log_weight, found[0] - log_prob.reshape(found[0].shape))
    elif log_z is None:
        log_z = _log_z_along(target, betas, n, rng.child("log Z"))
    log_z = _carried(found, np.ones_like(found[0])) + log_z
    if terms.controls:
        series, moved = chain_at(target, betas, LONGER * n, rng.child("controls"), terms.controls)
        means = [mean_of(series[name], "controls").moving({"controls": moved}) for name in terms.controls]
        found, noise = terms.steadied(found, rows, means)
        log_z = noise + log_z
    density, *bounds = found
    moves = {"chain": fingerprint(target.n_spins)(rows).reshape(density.shape)}
    most, least = (chain_mutual_information(density, a, b, log_z).moving(moves) for a, b in (bounds[:2], bounds[2:]))
    return least, most


def _carried(found: Floats, weights: Floats) -> Quantity:
    """Return 0, not reliable if fewer than 100 states carry what the terms scatter by: rarer ones may be missing."""
    values = found[0] - 0.5 * np.sum(found[1:], axis=0)
    spread = values - np.average(values, weights=weights)
    n = carriers(weights * spread) if np.abs(spread).max() > _ROUNDING * np.abs(found[0]).max() else 0.0
    why = f"the terms scatter by what only {n:.0f} states carry, and rarer ones may be missing: give more samples"
    return Quantity(0.0, reasons=(why,) if n < LEAST_STATES else ())


def _drawn(sampler: Sampler, target: Boltzmann, n: int, rng: Rng) -> tuple[Spins, Floats]:
    draw = sampler.sample(n, rng)
    spins: Spins = draw.spins.cpu().numpy()
    return spins, target.log_density(spins) - draw.log_prob.cpu().numpy()


def _means_by_draws(sampler: Sampler, target: Boltzmann, controls: Watched, n: int, rng: Rng) -> list[Quantity]:
    """Return the weighted means of the controls from n draws, made a piece at a time."""
    size, pieces, log_weights = max(1, 2**22 // target.n_spins), [], []
    for first in range(0, n, size):
        spins, log_weight = _drawn(sampler, target, min(size, n - first), rng)
        pieces.append([control(spins) for control in controls.values()])
        log_weights.append(log_weight)
    values, log_weight = np.concatenate(pieces, axis=1), np.concatenate(log_weights)
    return [free_energy.weighted_mean(row, log_weight, "controls of draws") for row in values]


def _log_z_along(target: Boltzmann, betas: Floats, n: int, rng: Rng) -> Quantity:
    """Return log Z from chains at all the β together, the first of which is 0."""
    chains = chains_along(target, betas, 4 * n, rng, lambda: None)
    ratios = free_energy.temperatures_log_z(betas.tolist(), chains.energies, chains.sources)
    return target.n_spins * math.log(2) + ratios[-1].moving(chains.moves)

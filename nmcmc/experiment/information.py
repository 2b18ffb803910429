"""`nmcmc mutual-information`: how much two parts of a lattice know of each other, by draws and by a chain."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nmcmc.analysis import free_energy
from nmcmc.analysis.compare import to_json
from nmcmc.analysis.information import bracketed, chain_mutual_information, weighted_mutual_information
from nmcmc.analysis.integration import nodes
from nmcmc.analysis.quantity import Quantity
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.exact import information as exact
from nmcmc.exact.elimination import check_order, log_z_given
from nmcmc.exact.enumeration import MAX_LISTED_SPINS
from nmcmc.exact.parts import Mask, checkerboard, first_half
from nmcmc.experiment.build import lattice_of, pairwise_energy
from nmcmc.experiment.free_energy import n_panels
from nmcmc.experiment.options import Options
from nmcmc.experiment.seams import seam_log_ratio, seam_terms
from nmcmc.experiment.summary import known_exactly, summarize
from nmcmc.experiment.temperatures import chains_along, clusters_serve, fingerprint, states_at
from nmcmc.random import Rng
from nmcmc.types import Floats, Sampler, Spins
from nmcmc.updates.seam import Seam

PARTS: dict[str, Callable[[Any], Mask]] = {"halves": first_half, "checkerboard": checkerboard}
"""Ways to cut a lattice in two, and the spins of the first part."""
METHODS = ("sums", "bracket")
LEAST_STATES, CHUNK = 400, 32
"""Fewest states, for 8 chains of 50; states whose terms are computed at once, so that progress shows."""
Bounds = tuple[Quantity, Quantity]
"""At least, and at most."""


@dataclass(frozen=True)
class Terms:
    """How the terms of I = log_z + ⟨log_density − log Z(a) − log Z(b)⟩ are found, log Z(a) and log Z(b) up to bounds.

    Attributes
    ----------
    of : states (n, n_spins), a stream → log_density, lower bounds of log Z(a) and log Z(b), upper ones, (5, n).
    log_z : the constant that belongs to them; None for log Z of the target.
    """

    of: Callable[[Spins, Rng], Floats]
    log_z: Quantity | None = None

    def along(self, states: Spins, rng: Rng, advance: Callable[[int], Any]) -> Floats:
        """Return the terms of many states, (5, n)."""
        pieces = []
        for first in range(0, len(states), CHUNK):
            pieces.append(self.of(states[first : first + CHUNK], rng.child(first)))
            advance(pieces[-1].shape[1])
        return np.concatenate(pieces, axis=1)


def mutual_information_command(
    target: Boltzmann,
    sampler: Sampler | None,
    part: str,
    n_samples: int,
    options: Options,
    method: str = "",
    model: str | None = None,
) -> dict[str, Any]:
    """Return I(a; b) of two parts of a lattice by a chain and, with their weights, by draws of a sampler.

    Parameters
    ----------
    part : "halves" (the first rows and the others) or "checkerboard" (both colours).
    n_samples : states of the chain, and draws of the sampler.
    method : "sums" takes log Z of one part given the other exactly, "bracket" between bounds; sums where they are
        possible unless given.

    Raises
    ------
    ValueError : for a system that is not on a lattice, β = 0, fewer than 400 samples, sums that are too wide, or a
        bracket in a field or with frustration.
    """
    given = _part(target, part, n_samples)
    method, known = _method(target, given, method), _known(target, given)
    began, rng = time.monotonic(), Rng(options.seed).child("mutual-information")
    with options.bar(n_samples * (1 if sampler is None else 2), "mutual information", "state") as bar:
        terms = _terms(target, given, method, n_samples, rng.child("terms"))
        found, log_weight = {}, None
        if sampler is not None:
            found["draws"], log_weight = _by_draws(sampler, target, terms, n_samples, rng.child("draws"), bar.update)
        found["chain"] = _by_chain(sampler, target, terms, log_weight, n_samples, rng.child("chain"), bar.update)
    estimates: dict[str, Any] = {}
    for name, (least, most) in found.items():
        middle = least if method == "sums" else bracketed(least, most)
        estimates[name] = {**to_json(middle.estimate()), "exact": known}
        if method == "bracket":
            estimates[f"{name}, at least"], estimates[f"{name}, at most"] = (
                to_json(least.estimate()),
                to_json(most.estimate()),
            )
    return summarize(
        "mutual-information",
        target,
        seed=options.seed,
        model=model,
        n_samples=n_samples,
        part=part,
        method=method,
        mutual_information=estimates,
        seconds={"total": time.monotonic() - began},
    )


def _part(target: Boltzmann, part: str, n_samples: int) -> Mask:
    """Return the spins of the first part, after a look at what is asked for."""
    lattice = lattice_of(target)
    if lattice is None:
        raise ValueError(f"the system of {target.n_spins} spins is not on a lattice, which alone has {part}")
    if part not in PARTS:
        raise ValueError(f"part is {part!r}; it must be {' or '.join(PARTS)}")
    if not target.beta > 0:
        raise ValueError("beta is 0, where the mutual information is 0 exactly; give beta > 0")
    if n_samples < LEAST_STATES:
        raise ValueError(f"n_samples is {n_samples}; give at least {LEAST_STATES}")
    return PARTS[part](lattice)


def _method(target: Boltzmann, given: Mask, method: str) -> str:
    """Return the method, sums where they are possible unless one was asked for; raise ValueError where it fails."""
    energy = pairwise_energy(target)
    if method not in ("", *METHODS):
        raise ValueError(f"method is {method!r}; it must be {' or '.join(METHODS)}")
    if method == "bracket" and not clusters_serve(energy):
        raise ValueError("a bracket needs clusters, which fields and frustration rule out; use the method sums")
    if method == "bracket":
        return method
    try:
        for mask in (given, ~given):
            check_order(energy, target.beta, mask)
    except ValueError as error:
        if method == "sums":
            raise ValueError(f"{error}, or use the method bracket") from None
        if not clusters_serve(energy):
            raise ValueError(f"{error}; the method bracket does not serve in fields and with frustration") from None
        return "bracket"
    return "sums"


def _terms(target: Boltzmann, given: Mask, method: str, n_samples: int, rng: Rng) -> Terms:
    """Return how terms are found: both sums exactly, or bounds of them from states of the two parts apart."""
    if method == "sums":

        def sums(states: Spins, _: Rng) -> Floats:
            parts = [log_z_given(pairwise_energy(target), target.beta, states, mask) for mask in (given, ~given)]
            return np.stack([target.log_density(states), *parts, *parts])

        return Terms(sums)
    seam = Seam(target, given)
    log_ratio, free = seam_log_ratio(seam, n_samples, rng)
    return Terms(lambda states, stream: seam_terms(seam, states, free, stream), log_ratio)


def _by_draws(
    sampler: Sampler, target: Boltzmann, terms: Terms, n: int, rng: Rng, advance: Callable[[int], Any]
) -> tuple[Bounds, Floats]:
    """Return bounds of I from fresh draws, the same where the terms are exact, and the log weights (n,)."""
    draw = sampler.sample(n, rng)
    spins = draw.spins.cpu().numpy()
    log_weight: Floats = target.log_density(spins) - draw.log_prob.cpu().numpy()
    density, *bounds = terms.along(spins, rng.child("terms"), advance)
    most, least = (
        weighted_mutual_information(density, a, b, log_weight, log_z=terms.log_z) for a, b in (bounds[:2], bounds[2:])
    )
    return (least, most), log_weight


def _by_chain(
    sampler: Sampler | None,
    target: Boltzmann,
    terms: Terms,
    log_weight: Floats | None,
    n: int,
    rng: Rng,
    advance: Callable[[int], Any],
) -> Bounds:
    """Return bounds of I from a chain that knows no sampler; the log weights of draws help if log Z is not known."""
    betas = nodes(target.beta, n_panels(target))
    states = states_at(target, betas, n, rng)
    rows = states.reshape(-1, target.n_spins)
    density, *bounds = terms.along(rows, rng.child("terms"), advance).reshape(5, *states.shape[:2])
    log_z = known_exactly(target).get("log_z") if terms.log_z is None else terms.log_z
    if log_z is None and sampler is not None and log_weight is not None:
        with torch.no_grad():
            log_prob = sampler.log_prob(torch.from_numpy(rows)).cpu().numpy().reshape(density.shape)
        log_z = free_energy.bridge_log_z(log_weight, density - log_prob)
    elif log_z is None:
        log_z = _log_z_along(target, betas, n, rng.child("log Z"))
    moves = {"chain": fingerprint(target.n_spins)(rows).reshape(density.shape)}
    most, least = (chain_mutual_information(density, a, b, log_z).moving(moves) for a, b in (bounds[:2], bounds[2:]))
    return least, most


def _log_z_along(target: Boltzmann, betas: Floats, n: int, rng: Rng) -> Quantity:
    """Return log Z from chains at all the β together, the first of which is 0."""
    chains = chains_along(target, betas, 4 * n, rng, lambda: None)
    ratios = free_energy.temperatures_log_z(betas.tolist(), chains.energies, chains.sources)
    return target.n_spins * math.log(2) + ratios[-1].moving(chains.moves)


def _known(target: Boltzmann, given: Mask) -> float | None:
    """Return the exact mutual information of halves of narrow lattices, and of parts of up to 20 spins."""
    energy = target.energy
    if target.n_spins <= MAX_LISTED_SPINS:
        return exact.mutual_information(energy, target.beta, given)
    if not isinstance(energy, LatticeEnergy) or not np.array_equal(given, first_half(energy.lattice)):
        return None
    extents = energy.lattice.extents
    narrow = len(extents) == 2 and extents[0] >= 4 and extents[1] <= exact.MAX_WIDTH
    return exact.halves(energy, target.beta) if narrow else None

"""`nmcmc mutual-information`: how much two parts of a lattice know of each other, by draws and by a chain."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nmcmc.analysis.compare import to_json
from nmcmc.analysis.information import bracketed
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact import information as exact
from nmcmc.exact.enumeration import MAX_LISTED_SPINS
from nmcmc.exact.parts import Mask, checkerboard, first_half
from nmcmc.experiment.build import lattice_of, pairwise_energy
from nmcmc.experiment.controls import controls_of_halves
from nmcmc.experiment.options import Options
from nmcmc.experiment.parts import Terms, bracket_of, by_chain, by_draws, exact_sum, sums_of
from nmcmc.experiment.summary import summarize
from nmcmc.experiment.temperatures import clusters_serve
from nmcmc.random import Rng
from nmcmc.types import Sampler

PARTS: dict[str, Callable[[Lattice], Mask]] = {"halves": first_half, "checkerboard": checkerboard}
"""Ways to cut a lattice in two, and the spins of the first part."""
METHODS = ("sums", "bracket")
LEAST_STATES = 400
"""Fewest states, for 8 chains of 50."""


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
    method, known = method_for(target, given, method), _known(target, given)
    began, rng = time.monotonic(), Rng(options.seed).child("mutual-information")
    with options.bar(n_samples * (1 if sampler is None else 2), "mutual information", "state") as bar:
        terms = _terms(target, part, given, method, n_samples, rng.child("terms"))
        found, log_weight = {}, None
        if sampler is not None:
            found["draws"], log_weight = by_draws(sampler, target, terms, n_samples, rng.child("draws"), bar.update)
        found["chain"] = by_chain(sampler, target, terms, log_weight, n_samples, rng.child("chain"), bar.update)
    estimates: dict[str, Any] = {}
    for name, (least, most) in found.items():
        middle = least if method == "sums" else bracketed(least, most)
        estimates[name] = {**to_json(middle.estimate()), "exact": known}
        if method == "bracket":
            estimates[f"{name}, at least"] = to_json(least.estimate())
            estimates[f"{name}, at most"] = to_json(most.estimate())
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


def method_for(target: Boltzmann, given: Mask, method: str) -> str:
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
            exact_sum(target, mask)
    except ValueError as error:
        if method == "sums":
            raise ValueError(f"{error}, or use the method bracket") from None
        if not clusters_serve(energy):
            raise ValueError(f"{error}; the method bracket does not serve in fields and with frustration") from None
        return "bracket"
    return "sums"


def _terms(target: Boltzmann, part: str, given: Mask, method: str, n_samples: int, rng: Rng) -> Terms:
    energy = target.energy
    controls = controls_of_halves(energy) if part == "halves" and isinstance(energy, LatticeEnergy) else {}
    if method == "sums":
        return sums_of(target, given, controls)
    return bracket_of(target, given, controls, n_samples, rng)


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

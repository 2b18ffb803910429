"""log Z(a) = log Σ_b exp(−βH(a, b)) of any part a of a system: the spins of b are summed out site by site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.parts import Mask, checked_mask, given_part
from nmcmc.parallel import for_chunks
from nmcmc.types import Floats, Ints, Spins

MAX_BITS = 20
"""The frontier may hold 2²⁰ settings."""
_TABLE, _LEAST_ROWS = 2**20, 8
_RESCALE, _RANGE = 50.0, 600.0


def log_z_given(energy: PairwiseEnergy, beta: float, spins: Spins, given: Mask) -> Floats:
    """Return log Σ_b exp(−βH(a, b)), (batch,), exactly, for any given spins a and the others b.

    Spins of b enter a table of weights in the order of sites (on lattices along the cheaper axis), and leave it when
    all their neighbours in b have entered. Those in between, the *frontier*, cost 2^frontier numbers for each site and
    configuration: of half a torus the shorter side plus one, of a torus of which nothing is given
    twice that. Every different field of a on b is summed once.

    Parameters
    ----------
    spins : int8 (batch, n_spins); those of b do not matter. given : which spins are a, (n_spins,).

    Raises
    ------
    ValueError : for a frontier of more than 20 spins, couplings across it of more than 300/β, or another mask.
    """
    beta, given = Boltzmann(energy, beta).beta, checked_mask(given, energy.n_spins)
    steps = _steps(energy, beta, ~given)
    density, fields = given_part(energy, spins, given)
    different, place = np.unique(beta * fields, axis=0, return_inverse=True)
    sums, size = np.empty(len(different)), max(_LEAST_ROWS, _TABLE >> max((s.bits for s in steps), default=0))

    def fill(first: int, last: int) -> None:
        for start in range(first, last, size):
            rows = slice(start, min(start + size, last))
            sums[rows] = _summed(steps, np.ascontiguousarray(different[rows].T))

    for_chunks(fill, len(different))
    total: Floats = beta * density + sums[place.ravel()]
    return total


def check_order(energy: PairwiseEnergy, beta: float, given: Mask) -> int:
    """Return the number of spins in the widest table of `log_z_given`; raise ValueError where that refuses."""
    return max((step.bits for step in _steps(energy, Boltzmann(energy, beta).beta, ~given)), default=0)


@dataclass(frozen=True)
class _Step:
    """A spin of b enters the table as axis 0: its bonds β J to axes of the table, then the axes that are summed.

    ``bits`` is the number of spins in the table before the sum, ``cut`` the sum of β|J| to spins yet to come.
    """

    spin: int
    bonds: tuple[tuple[int, float], ...]
    sums: tuple[int, ...]
    bits: int
    cut: float


def _steps(energy: PairwiseEnergy, beta: float, free: Mask) -> list[_Step]:
    """Return the cheapest of the orders in which the free spins may be summed."""
    sites = np.arange(energy.n_spins)
    orders = [sites]
    if isinstance(energy, LatticeEnergy) and len(energy.lattice.extents) > 1:
        orders.append(sites.reshape(energy.lattice.extents).T.ravel())
    plans = [_plan(energy, beta, free, order[free[order]]) for order in orders]
    steps = min(plans, key=lambda plan: sum(2.0**step.bits for step in plan))
    bits, cut = (max((getattr(step, name) for step in steps), default=0) for name in ("bits", "cut"))
    if bits > MAX_BITS:
        raise ValueError(
            f"to sum the spins that are not given needs tables of 2^{bits} numbers, at most 2^{MAX_BITS} are possible: "
            "give more spins, or take a narrower lattice"
        )
    if 2 * cut > _RANGE:
        raise ValueError(f"beta {beta:g} times the couplings is too large to sum them in double precision")
    return steps


def _plan(energy: PairwiseEnergy, beta: float, free: Mask, order: Ints) -> list[_Step]:
    number, neighbours = np.cumsum(free) - 1, _neighbours(energy, beta, free)
    left = {site: len(others) for site, others in neighbours.items()}
    frontier: list[int] = []
    steps, cut = [], 0.0
    for site in order.tolist():
        entered = [(other, bond) for other, bond in neighbours[site] if other in frontier]
        for other, _ in entered:
            left[other] -= 1
        left[site] -= len(entered)
        cut += sum(abs(bond) for _, bond in neighbours[site]) - 2 * sum(abs(bond) for _, bond in entered)
        frontier = [site, *frontier]
        bonds = tuple((frontier.index(other), bond) for other, bond in entered)
        done = tuple(axis for axis in range(len(frontier)) if left[frontier[axis]] == 0)
        steps.append(_Step(int(number[site]), bonds, done, len(frontier), cut))
        frontier = [other for other in frontier if left[other] > 0]
    return steps


def _neighbours(energy: PairwiseEnergy, beta: float, free: Mask) -> dict[int, list[tuple[int, float]]]:
    """Return for every free site the free sites that it interacts with, and β J; double bonds count twice."""
    neighbours: dict[int, list[tuple[int, float]]] = {site: [] for site in np.flatnonzero(free).tolist()}
    inside = free[energy.edges].all(axis=1) & (energy.couplings != 0)
    for (i, j), coupling in zip(energy.edges[inside].tolist(), energy.couplings[inside].tolist(), strict=True):
        neighbours[i].append((j, beta * coupling))
        neighbours[j].append((i, beta * coupling))
    return neighbours


def _summed(steps: Sequence[_Step], fields: Floats) -> Floats:
    """Return log Σ_b exp(Σ β J s s' + Σ fields s), (batch,), from β times the fields (n_free, batch).

    The table has one axis of −1, +1 for each spin of the frontier and a last one for the batch. Every factor is at most
    1, and what it leaves out is kept in ``log_z``; the table is scaled before its largest number could become small.
    """
    table, log_z, small = np.ones(fields.shape[1:]), np.zeros(fields.shape[1:]), 0.0
    for step in steps:
        field = fields[step.spin]
        size = np.abs(field)
        table = np.stack([table * np.exp(-field - size), table * np.exp(field - size)])
        log_z += size + sum(abs(bond) for _, bond in step.bonds)
        for axis, bond in step.bonds:
            for s in (0, 1):
                opposite = 1 - s if bond > 0 else s
                table[(s, *(slice(None),) * (axis - 1), opposite)] *= np.exp(-2 * abs(bond))
        for axis in reversed(step.sums):
            table = table.sum(axis=axis)
        small += 2 * (float(size.max(initial=0.0)) + sum(abs(bond) for _, bond in step.bonds))
        if small > _RESCALE:
            top = table.max(axis=tuple(range(table.ndim - 1))) if table.ndim > 1 else table.copy()
            table /= top
            log_z += np.log(top)
            small = 0.0
    result: Floats = log_z + np.log(table)
    return result

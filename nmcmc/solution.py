"""The best answer that annealing finds for a problem, with what anybody needs to check it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nmcmc.annealing import anneal
from nmcmc.energies.graphs import Problem
from nmcmc.random import Rng
from nmcmc.types import Floats, Ints, Spins

_AGREEMENT = 1e-9


@dataclass(frozen=True)
class Search:
    """How far a search has come.

    ``spins`` (n_spins,) is the lowest configuration so far and ``energy`` its H; ``hits`` of ``runs`` annealings ended
    at that energy. ``rounds`` counts rounds of annealings. Before the first one there are no spins.
    """

    spins: Spins
    energy: float = float("inf")
    hits: int = 0
    runs: int = 0
    rounds: int = 0


START = Search(np.empty(0, dtype=np.int8))


@dataclass(frozen=True)
class Solution:
    """An answer with its certificate.

    Attributes
    ----------
    problem : what it answers. answer : the user's variables, (n,).
    value : from the problem's own numbers, added up exactly and rounded once. energy : H of the answer's spins.
    search : how it was found.
    """

    problem: Problem
    answer: Ints
    value: float
    energy: float
    search: Search

    @property
    def is_optimal(self) -> bool:
        """Whether the value is proven to be the best: it reaches the bound that no answer surpasses."""
        return self.problem.reaches_bound(self.answer)


def one_round(problem: Problem, search: Search, betas: Floats, replicas: int, rng: Rng) -> Search:
    """Return the search after another round of annealings; round k uses ``rng.child("round", k)`` only."""
    spins = anneal(problem.energy, betas, replicas, rng.child("round", search.rounds))
    energies = problem.energy(spins)
    lowest = int(np.argmin(energies))
    hits = int(np.count_nonzero(energies == energies[lowest]))
    counted = replace(search, runs=search.runs + replicas, rounds=search.rounds + 1)
    if energies[lowest] < search.energy:
        return replace(counted, spins=spins[lowest].copy(), energy=float(energies[lowest]), hits=hits)
    return replace(counted, hits=search.hits + (hits if energies[lowest] == search.energy else 0))


def certified(problem: Problem, search: Search) -> Solution:
    """Return the answer of a search; its value comes from the problem's own numbers, not from the annealing.

    Raises
    ------
    RuntimeError : if the value from those numbers and the one from the energy of the answer's spins differ.
    """
    answer = problem.answer(search.spins[None])
    return check(problem, answer[0], search)


def check(problem: Problem, answer: Ints, search: Search = START) -> Solution:
    """Return an answer (n,) with its value, computed in two ways.

    Raises
    ------
    RuntimeError : if both ways differ. ValueError : for an answer that is none.
    """
    if answer.shape != (problem.energy.n_spins,):
        raise ValueError(f"the answer has {answer.size} entries for {problem.energy.n_spins} sites; give one each")
    if not np.isin(answer, problem.choices).all():
        raise ValueError(f"the answer holds a value other than {problem.choices[0]} and {problem.choices[1]}")
    spins = problem.spins(answer[None])
    value, energy = float(problem.value(answer[None])[0]), float(problem.energy(spins)[0])
    scale = max(1.0, float(np.abs(problem.numbers).sum()))
    if abs(problem.value_of_energy(energy) - value) > _AGREEMENT * scale:
        raise RuntimeError(
            f"the {problem.value_name} of the answer is {value} by the file's numbers, but "
            f"{problem.value_of_energy(energy)} by its energy; please report this"
        )
    return Solution(problem, answer, value, energy, search)


def optimize(problem: Problem, betas: Floats, rng: Rng, *, replicas: int = 64, rounds: int = 1) -> Solution:
    """Return the best answer of ``rounds`` × ``replicas`` annealings.

    Parameters
    ----------
    problem : what to optimise. betas : inverse temperature of every sweep, as `annealing.schedule` gives it.
    rng : random numbers. replicas : annealings of a round, ≥ 1. rounds : ≥ 1.

    Raises
    ------
    ValueError : for numbers out of range.

    Examples
    --------
    >>> from nmcmc.annealing import schedule
    >>> from nmcmc.energies.graphs import MaxCut, toroidal_graph
    >>> problem = MaxCut(toroidal_graph((4, 6), Rng(1)))
    >>> solution = optimize(problem, schedule(problem.energy, sweeps=100), Rng(2), replicas=16)
    >>> solution.value == float(problem.value(solution.answer[None])[0])
    True
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; it must be at least 1")
    search = START
    for _ in range(rounds):
        search = one_round(problem, search, betas, replicas, rng)
    return certified(problem, search)

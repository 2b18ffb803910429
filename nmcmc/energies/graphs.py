"""MaxCut, QUBO, independent sets and Ising models as pairwise energies, with values in the user's own terms."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.energies.readers import read_terms
from nmcmc.energies.terms import Terms, terms_of
from nmcmc.random import Rng
from nmcmc.types import Floats, Ints, Spins

LARGEST_EXACT = 2.0**53


@dataclass(frozen=True)
class Problem(ABC):
    """A function of the user's variables that is to be as large or as small as possible, and its energy.

    Subclasses say how answers (what the user asked for) and spins belong together. Values are computed from the
    file's own numbers, each sum rounded once (`math.fsum`); `energy` is what is annealed.

    Parameters
    ----------
    terms : the graph or quadratic function.

    Raises
    ------
    ValueError : for terms of a kind that the problem cannot be about.
    """

    terms: Terms
    name: ClassVar[str]
    goal: ClassVar[Literal["largest", "smallest"]]
    value_name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    choices: ClassVar[tuple[int, int]] = (0, 1)

    def __post_init__(self) -> None:
        if self.terms.kind not in self.kinds:
            raise ValueError(
                f"the file gives {_MEANING[self.terms.kind]}, which is no {self.name} problem; "
                f"possible: {', '.join(kind.name for kind in PROBLEMS.values() if self.terms.kind in kind.kinds)}"
            )
        _ = self.energy

    @cached_property
    @abstractmethod
    def energy(self) -> PairwiseEnergy:
        """The Ising energy whose lowest states are the best answers."""

    @abstractmethod
    def answer(self, spins: Spins) -> Ints:
        """Return the user's variables (batch, n) for spins (batch, n)."""

    @abstractmethod
    def spins(self, answer: Ints) -> Spins:
        """Return the spins (batch, n) for the user's variables (batch, n)."""

    @abstractmethod
    def summands(self, answer: Ints) -> Floats:
        """Return what the value of each answer (batch, n) adds up, (batch, n_terms), without any rounding."""

    @property
    @abstractmethod
    def best_summands(self) -> Floats:
        """Numbers whose sum no value surpasses: every term at its best."""

    def value(self, answer: Ints) -> Floats:
        """Return the value of each answer (batch, n) from the file's own numbers, (batch,)."""
        return np.array([math.fsum(row) for row in self.summands(answer).tolist()], dtype=np.float64)

    @property
    def bound(self) -> float:
        """A value that no answer surpasses, rounded once."""
        return math.fsum(self.best_summands)

    def reaches_bound(self, answer: Ints) -> bool:
        """Return whether an answer (n,) has exactly the value that none surpasses: a difference that rounds to 0 is 0.

        Value and bound may be equal by rounding alone, if weights are of very different size.
        """
        return math.fsum([*self.summands(answer[None])[0].tolist(), *(-self.best_summands).tolist()]) == 0

    def value_of_energy(self, energy: float) -> float:
        """Return the value of an answer whose spins have that energy."""
        return energy

    @property
    def numbers(self) -> Floats:
        """The file's own numbers that a value may add up."""
        return np.concatenate([self.terms.weights, self.terms.linear, [self.terms.constant]])

    @property
    def is_exact(self) -> bool:
        """Whether every value is an integer that float64 holds, so that values have no rounding at all."""
        return bool(np.all(self.numbers == np.rint(self.numbers))) and math.fsum(abs(self.numbers)) < LARGEST_EXACT


@dataclass(frozen=True)
class Ising(Problem):
    """The lowest H(s) = constant − Σ J s s − Σ h s; of a graph or a matrix the weights are J. Answers are spins."""

    name: ClassVar[str] = "ising"
    goal: ClassVar[Literal["largest", "smallest"]] = "smallest"
    value_name: ClassVar[str] = "energy"
    kinds: ClassVar[tuple[str, ...]] = ("graph", "ising", "matrix")
    choices: ClassVar[tuple[int, int]] = (-1, 1)

    @cached_property
    def energy(self) -> PairwiseEnergy:
        """H itself."""
        terms = self.terms.edges_once()
        return PairwiseEnergy(terms.n_sites, terms.pairs, terms.weights, terms.linear, terms.constant)

    def answer(self, spins: Spins) -> Ints:
        """Return the spins."""
        return spins.astype(np.int64)

    def spins(self, answer: Ints) -> Spins:
        """Return the spins."""
        return answer.astype(np.int8)

    def summands(self, answer: Ints) -> Floats:
        """Return −J s s of all bonds, −h s of all sites, and the constant."""
        energy = self.energy
        i, j = energy.edges.T
        bonds, sites = -energy.couplings * answer[:, i] * answer[:, j], -energy.fields * answer
        return np.concatenate([bonds, sites, np.full((len(answer), 1), energy.offset)], axis=1)

    @property
    def best_summands(self) -> Floats:
        """Every bond and field satisfied."""
        energy = self.energy
        return np.concatenate([-np.abs(energy.couplings), -np.abs(energy.fields), [energy.offset]])


@dataclass(frozen=True)
class MaxCut(Problem):
    """The largest Σ w_ij over edges between the sides: cut = Σ w (1 − s s)/2, so J = −w and cut = (Σ w − H)/2."""

    name: ClassVar[str] = "maxcut"
    goal: ClassVar[Literal["largest", "smallest"]] = "largest"
    value_name: ClassVar[str] = "cut"
    kinds: ClassVar[tuple[str, ...]] = ("graph", "matrix")

    @cached_property
    def graph(self) -> Terms:
        """The graph with each edge once."""
        return self.terms.edges_once()

    @cached_property
    def energy(self) -> PairwiseEnergy:
        """H = Σ w s s."""
        return PairwiseEnergy(self.graph.n_sites, self.graph.pairs, -self.graph.weights)

    def answer(self, spins: Spins) -> Ints:
        """Return the side of every site, 0 or 1; the first site is on side 0."""
        return ((1 - spins * spins[:, :1]) // 2).astype(np.int64)

    def spins(self, answer: Ints) -> Spins:
        """Return s = 1 − 2 side."""
        return (1 - 2 * answer).astype(np.int8)

    def summands(self, answer: Ints) -> Floats:
        """Return the weights of the edges that are cut, 0 for the others."""
        i, j = self.graph.pairs.T
        cut: Floats = self.graph.weights * (answer[:, i] != answer[:, j])
        return cut

    def value_of_energy(self, energy: float) -> float:
        """Return (Σ w − H)/2."""
        return (math.fsum(self.graph.weights) - energy) / 2

    @property
    def best_summands(self) -> Floats:
        """All edges of positive weight."""
        return np.maximum(self.graph.weights, 0)


@dataclass(frozen=True)
class Qubo(Problem):
    """The smallest f(x) = Σ q_ij x_i x_j + Σ q_i x_i + constant, x = 0 or 1; x = (1 + s)/2 makes f(x) = H(s).

    Of a matrix every entry counts: f(x) = xᵀQx.
    """

    name: ClassVar[str] = "qubo"
    goal: ClassVar[Literal["largest", "smallest"]] = "smallest"
    value_name: ClassVar[str] = "value"
    kinds: ClassVar[tuple[str, ...]] = ("qubo", "matrix")

    @cached_property
    def energy(self) -> PairwiseEnergy:
        """J_ij = −q_ij/4, h_i = −q_i/2 − Σ_j q_ij/4, offset = constant + Σ q_i/2 + Σ q_ij/4."""
        return _energy_of_binary(self.terms)

    def answer(self, spins: Spins) -> Ints:
        """Return x = (1 + s)/2."""
        return ((1 + spins) // 2).astype(np.int64)

    def spins(self, answer: Ints) -> Spins:
        """Return s = 2x − 1."""
        return (2 * answer - 1).astype(np.int8)

    def summands(self, answer: Ints) -> Floats:
        """Return q_ij x_i x_j of all pairs, q_i x_i of all sites, and the constant."""
        i, j = self.terms.pairs.T
        pairs, sites = self.terms.weights * answer[:, i] * answer[:, j], self.terms.linear * answer
        return np.concatenate([pairs, sites, np.full((len(answer), 1), self.terms.constant)], axis=1)

    @property
    def best_summands(self) -> Floats:
        """All negative coefficients and none of the others."""
        weights, linear = np.minimum(self.terms.weights, 0), np.minimum(self.terms.linear, 0)
        return np.concatenate([weights, linear, [self.terms.constant]])


@dataclass(frozen=True)
class IndependentSet(Problem):
    """The largest set of sites without an edge inside, from f(x) = −Σ x_i + 2 Σ_edges x_i x_j; weights do not count.

    An answer is always independent: sites in conflict are taken out of what the spins say and free ones added, which
    never makes it smaller than −f(x).
    """

    name: ClassVar[str] = "mis"
    goal: ClassVar[Literal["largest", "smallest"]] = "largest"
    value_name: ClassVar[str] = "set_size"
    kinds: ClassVar[tuple[str, ...]] = ("graph", "matrix")

    @cached_property
    def edges(self) -> Ints:
        """The edges, each once, (n_edges, 2): all that a graph lists, and of a matrix the entries that are not zero."""
        graph = self.terms.edges_once()
        listed = np.full(len(graph.pairs), self.terms.kind == "graph")
        return np.unique(np.sort(graph.pairs[listed | (graph.weights != 0)], axis=1), axis=0)

    @cached_property
    def energy(self) -> PairwiseEnergy:
        """H(s) = f((1 + s)/2): the energy of a largest set is minus its size."""
        return _energy_of_binary(terms_of("qubo", self.terms.n_sites, self.edges, np.full(len(self.edges), 2.0), -1.0))

    def answer(self, spins: Spins) -> Ints:
        """Return the members of an independent set, 0 or 1 for every site."""
        start, neighbour, _ = self.energy.adjacency()
        around = [neighbour[a:b] for a, b in pairwise(start)]
        return np.array([_independent(row > 0, around) for row in spins], dtype=np.int64).reshape(spins.shape)

    def spins(self, answer: Ints) -> Spins:
        """Return s = 2x − 1."""
        return (2 * answer - 1).astype(np.int8)

    def summands(self, answer: Ints) -> Floats:
        """Return 1 for every member, 0 for the others.

        Raises
        ------
        ValueError : for a set with an edge inside.
        """
        i, j = self.edges.T
        inside = np.argwhere((answer[:, i] == 1) & (answer[:, j] == 1))
        if inside.size:
            row, edge = inside[0]
            raise ValueError(f"set {row} is not independent: it holds both ends of the edge {self.edges[edge]}")
        return answer.astype(np.float64)

    def value_of_energy(self, energy: float) -> float:
        """Return −H, the size of an independent set."""
        return -energy

    @property
    def numbers(self) -> Floats:
        """One for every site."""
        return np.ones(self.terms.n_sites)

    @property
    def best_summands(self) -> Floats:
        """All sites without an edge, of the others as many as a maximal matching leaves at most; a single number."""
        taken = np.zeros(self.terms.n_sites, dtype=bool)
        matched = 0
        for i, j in self.edges.tolist():
            if not (taken[i] or taken[j]):
                taken[i] = taken[j] = True
                matched += 1
        return np.array([float(self.terms.n_sites - matched)])


PROBLEMS: dict[str, type[Problem]] = {kind.name: kind for kind in (MaxCut, Qubo, IndependentSet, Ising)}
NATURAL = {"graph": "maxcut", "ising": "ising", "qubo": "qubo", "matrix": "ising"}
"""The problem of each kind of terms, unless another is asked for."""
_MEANING = {"graph": "a graph", "ising": "couplings and fields", "qubo": "a QUBO", "matrix": "a matrix"}


def problem_of(terms: Terms, name: str = "") -> Problem:
    """Return the problem of that name about the terms, or the natural one of their kind.

    Raises
    ------
    ValueError : for an unknown name, or terms of a kind that the problem cannot be about.

    Examples
    --------
    >>> triangle = terms_of("graph", 3, [(0, 1), (1, 2), (2, 0)], [1, 1, 5])
    >>> cut = problem_of(triangle)
    >>> cut.value(cut.answer(np.array([[1, 1, -1]], dtype=np.int8)))
    array([6.])
    """
    name = name or NATURAL[terms.kind]
    if name not in PROBLEMS:
        raise ValueError(f"problem is {name!r}; it must be one of {', '.join(PROBLEMS)}")
    return PROBLEMS[name](terms)


def read_problem(path: Path, form: str = "", name: str = "") -> Problem:
    """Return the problem of that name about what a file lists, see `read_terms` and `problem_of`.

    Raises
    ------
    FileNotFoundError, ValueError : for a file that is not there, is not of that format, or gives no such problem.
    """
    terms = read_terms(path, form)
    try:
        return problem_of(terms, name)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def toroidal_graph(extents: tuple[int, int], rng: Rng) -> Terms:
    """Return a periodic grid whose edges have weights +1 or −1 at random, as G11 to G13 of the G-set do (100×8)."""
    rows, columns = extents
    if min(rows, columns) < 3:
        raise ValueError(f"a toroidal graph of {rows} × {columns} sites has double edges; give extents ≥ 3")
    sites = np.arange(rows * columns).reshape(rows, columns)
    pairs = np.concatenate([np.stack([sites, np.roll(sites, -1, axis)], axis=-1).reshape(-1, 2) for axis in (0, 1)])
    return terms_of("graph", sites.size, pairs, 2 * rng.generator.integers(0, 2, len(pairs)) - 1)


def _energy_of_binary(terms: Terms) -> PairwiseEnergy:
    """Return H(s) = f((1 + s)/2): x_i x_j = (1 + s_i + s_j + s_i s_j)/4."""
    quarter = terms.weights / 4
    fields = -terms.linear / 2
    for column in terms.pairs.T:
        fields -= np.bincount(column, quarter, minlength=terms.n_sites)
    offset = terms.constant + math.fsum(terms.linear) / 2 + math.fsum(quarter)
    return PairwiseEnergy(terms.n_sites, terms.pairs, -quarter, fields, offset)


def _independent(members: np.ndarray, around: list[Ints]) -> np.ndarray:
    """Return a maximal independent set made of members: in conflict those with fewest conflicts stay."""
    chosen = members.copy()
    conflicts = {i: int(chosen[around[i]].sum()) for i in np.flatnonzero(chosen)}
    for i in sorted(conflicts, key=lambda site: -conflicts[site]):
        if chosen[around[i]].any():
            chosen[i] = False
    for i in sorted(np.flatnonzero(~chosen), key=lambda site: len(around[site])):
        if not chosen[around[i]].any():
            chosen[i] = True
    return chosen

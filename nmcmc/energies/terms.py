"""Graphs and quadratic functions in the numbers that their files give: pairs with weights, sites with weights."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Literal, SupportsFloat

import numpy as np

from nmcmc.types import Floats, Ints

Kind = Literal["graph", "ising", "qubo", "matrix"]
MAX_SITES = 2**24
"""Most sites that a file may announce, so that a wrong count asks for no memory."""


@dataclass(frozen=True)
class Terms:
    """Pairs with weights, sites with weights and a constant; what they mean depends on the kind.

    Attributes
    ----------
    kind : "graph" (edges with weights), "ising" (couplings J and fields h of H = constant − Σ J s s − Σ h s), "qubo"
        (coefficients of Σ q_ij x_i x_j + Σ q_i x_i + constant with x = 0 or 1) or "matrix" (entries of a matrix, which
        any of the three may mean).
    pairs, weights : (n_pairs, 2) sites from 0 on, and (n_pairs,); a pair counts as often as it is listed.
    linear : weights of single sites, (n_sites,). constant : what is added to every value.
    labels : the user's names of the sites, 0, 1, … unless given.

    Raises
    ------
    ValueError : for a site that does not exist, a pair of a site with itself, or a number that is not finite.
    """

    kind: Kind
    pairs: Ints
    weights: Floats
    linear: Floats
    constant: float = 0.0
    labels: tuple[Hashable, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.n_sites <= MAX_SITES:
            raise ValueError(f"there are {self.n_sites} sites; give 1 to {MAX_SITES}")
        if self.pairs.shape != (len(self.weights), 2):
            raise ValueError(f"pairs have shape {self.pairs.shape}; {len(self.weights)} weights need as many pairs")
        if self.pairs.size and not 0 <= self.pairs.min() <= self.pairs.max() < self.n_sites:
            raise ValueError(f"a pair names site {self.pairs.max()} or {self.pairs.min()} of {self.n_sites}")
        loops = np.flatnonzero(self.pairs[:, 0] == self.pairs[:, 1])
        if loops.size:
            raise ValueError(f"pair {loops[0]} joins site {self.pairs[loops[0], 0]} to itself")
        if not (np.isfinite(self.constant) and np.isfinite(self.weights).all() and np.isfinite(self.linear).all()):
            raise ValueError("a weight is not a finite number; give finite numbers")
        if self.labels is not None and len(self.labels) != self.n_sites:
            raise ValueError(f"{len(self.labels)} labels for {self.n_sites} sites; give one each")

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.linear)

    @property
    def names(self) -> tuple[Hashable, ...]:
        """The label of every site."""
        return self.labels if self.labels is not None else tuple(range(self.n_sites))

    def edges_once(self) -> Terms:
        """Return the graph with each edge listed once, if this is a matrix: symmetric, or one triangle of one.

        Raises
        ------
        ValueError : for a matrix that is neither, or that has entries on the diagonal.
        """
        if self.kind != "matrix":
            return self
        if np.any(self.linear != 0):
            raise ValueError(
                f"the matrix has {np.count_nonzero(self.linear)} entries on its diagonal, which only a QUBO has; "
                "set them to zero, or say that it is a QUBO"
            )
        upper = self.pairs[:, 0] < self.pairs[:, 1]
        ours, others = self._sorted(upper), self._sorted(~upper)
        if len(ours[1]) and len(others[1]) and not all(map(np.array_equal, ours, others)):
            raise ValueError("the matrix is neither symmetric nor triangular; give each edge once, or alike both ways")
        pairs, weights = ours if len(ours[1]) else others
        return Terms("graph", pairs, weights, self.linear, self.constant, self.labels)

    def _sorted(self, chosen: np.ndarray) -> tuple[Ints, Floats]:
        """Return the chosen pairs, smaller site first and in order, with their weights."""
        pairs = np.sort(self.pairs[chosen], axis=1)
        order = np.lexsort(pairs.T[::-1])
        return pairs[order], self.weights[chosen][order]


def terms_of(
    kind: Kind,
    n_sites: int,
    pairs: Any,
    weights: Any,
    linear: Any = 0.0,
    constant: float = 0.0,
    labels: tuple[Hashable, ...] | None = None,
) -> Terms:
    """Return `Terms` of sequences of any type; ``linear`` is one number, or one per site."""
    return Terms(
        kind,
        np.asarray(pairs, dtype=np.int64).reshape(-1, 2),
        np.asarray(weights, dtype=np.float64).reshape(-1),
        np.array(np.broadcast_to(np.asarray(linear, dtype=np.float64), (n_sites,))),
        float(constant),
        labels,
    )


def from_networkx(graph: Any, weight: str = "weight") -> Terms:
    """Return the edges of a `networkx` graph with their weights, 1 where an edge has none; sites in the node order.

    Raises
    ------
    ValueError : for a directed graph, an edge from a node to itself, a weight that is no finite number, or a name of
        weights other than "weight" that no edge has.
    """
    if graph.is_directed():
        raise ValueError("the graph is directed; take graph.to_undirected()")
    place = {node: position for position, node in enumerate(graph.nodes)}
    edges = [(a, b, data.get(weight, 1.0)) for a, b, data in graph.edges(data=True)]
    if edges and weight != "weight" and not any(weight in data for _, _, data in graph.edges(data=True)):
        raise ValueError(f"no edge of the graph has {weight!r}; give the name under which edges have their weights")
    for a, b, w in edges:
        if a == b:
            raise ValueError(f"an edge joins node {a!r} to itself; take it out")
        if not isinstance(w, SupportsFloat) or isinstance(w, str) or not math.isfinite(w):
            raise ValueError(f"the edge of {a!r} and {b!r} has weight {w!r}; it must be a finite number")
    pairs, weights = [(place[a], place[b]) for a, b, _ in edges], [float(w) for _, _, w in edges]
    return terms_of("graph", len(place), pairs, weights, labels=tuple(place))


def from_bqm(bqm: Any) -> Terms:
    """Return the terms of a `dimod` binary quadratic model: a QUBO, or an Ising model.

    dimod's H = Σ J s s + Σ h s + offset has the opposite signs of ours; the values of H are the same.

    Raises
    ------
    TypeError : for another model of dimod, whose variables need not be binary.
    """
    if not hasattr(getattr(bqm, "vartype", None), "name"):
        raise TypeError(f"this is a {type(bqm).__name__}; give a binary quadratic model (dimod.BinaryQuadraticModel)")
    place = {label: position for position, label in enumerate(bqm.variables)}
    sign, kind = (-1.0, "ising") if bqm.vartype.name == "SPIN" else (1.0, "qubo")
    pairs = [(place[a], place[b]) for a, b in bqm.quadratic]
    weights = [sign * float(value) for value in bqm.quadratic.values()]
    linear = [sign * float(bqm.linear[label]) for label in place]
    return terms_of(kind, len(place), pairs, weights, linear, float(bqm.offset), tuple(place))  # type: ignore[arg-type]

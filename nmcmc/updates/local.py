"""What Metropolis and the heat bath share: sweeps over single spins in random or checkerboard order."""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.mean_field import DENSE
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.random import Streams
from nmcmc.types import Floats, Info, Ints, Spins
from nmcmc.updates.compiled import CompiledUpdate, counted

Scan = Literal["random", "checkerboard"]
System: TypeAlias = tuple[Ints, Ints, Floats, Floats, Floats]


class LocalUpdate(CompiledUpdate):
    """Sweeps of single-spin flips; a subclass names the rule by which a spin flips.

    Parameters
    ----------
    target : Boltzmann distribution of a `PairwiseEnergy`, with any couplings and fields.
    scan : "random" attempts n_spins sites drawn at random per sweep; "checkerboard" attempts every site once, first
        one colour and then the other, where no two sites of a colour interact.
    sweeps : sweeps per step, ≥ 1.

    Raises
    ------
    TypeError : if the energy is not pairwise.
    ValueError : for another scan, sweeps < 1, a checkerboard scan of a graph without two-colouring, or couplings that
        add up to more than float64 holds.
    """

    heat_bath: ClassVar[bool]

    def __init__(self, target: Boltzmann, scan: Scan = "random", sweeps: int = 1):
        super().__init__(target)
        if scan not in ("random", "checkerboard"):
            raise ValueError(f"scan is {scan!r}; it must be 'random' or 'checkerboard'")
        self.scan, self.sweeps = scan, counted("sweeps", sweeps)
        self._system = on_a_grid(self.energy)
        self._order = checkerboard_order(self.energy) if scan == "checkerboard" else np.empty(0, dtype=np.int64)

    def _run(self, spins: Spins, streams: Streams, out: Spins, count: Ints) -> None:
        from nmcmc.kernels.local import local_steps

        rule = self.target.beta, self._order, self.heat_bath, self.sweeps
        local_steps(spins, streams, self._system, *rule, out, count)

    def _info(self, count: Ints) -> Info:
        return {"flip_fraction": count / (self.sweeps * self.n_spins)}


def on_a_grid(energy: PairwiseEnergy) -> System:
    """Return (start, neighbour, coupling, matrix, fields) of a system, with numbers whose sums have no rounding.

    Neighbours of every site are in compressed rows; the matrix (n_spins, n_spins) is empty unless at least a share of
    `DENSE` of all pairs is coupled. What acts on a site is rounded to multiples of 2⁻⁵² times a power of two that its
    local field never surpasses, less than a sum would round: a local field that is kept over any number of flips is
    then that of the spins, bit for bit. Row i has J_ij as site j feels it.

    Raises
    ------
    ValueError : if the couplings and the field of a site add up to more than float64 holds.
    """
    start, neighbour, coupling = energy.adjacency()
    n, matrix = energy.n_spins, np.empty((0, energy.n_spins))
    if len(energy.edges) >= DENSE * n * (n - 1) / 2:
        matrix = energy.coupling_matrix
    with np.errstate(over="ignore"):
        largest = np.bincount(neighbour, np.abs(coupling), minlength=n) + np.abs(energy.fields)
    if not np.all(np.isfinite(largest)):
        raise ValueError("the couplings and the field of a site add up to more than a float64 holds; scale them down")
    digits = 52 - np.frexp(largest)[1]
    numbers = ((coupling, digits[neighbour]), (matrix, digits), (energy.fields, digits))
    coupling, matrix, fields = (np.ldexp(np.rint(np.ldexp(part, d)), -d) for part, d in numbers)
    return start, neighbour, coupling, matrix, fields


def checkerboard_order(energy: PairwiseEnergy) -> Ints:
    """Return the sites (n_spins,) sorted by a two-colouring of the interaction graph, found breadth first.

    Raises
    ------
    ValueError : if the graph has an odd cycle.
    """
    neighbours: list[list[int]] = [[] for _ in range(energy.n_spins)]
    for i, j in energy.edges[energy.couplings != 0].tolist():
        neighbours[i].append(j)
        neighbours[j].append(i)
    colour = [-1] * energy.n_spins
    for seed in range(energy.n_spins):
        if colour[seed] < 0:
            _colour_component(seed, neighbours, colour)
    return np.argsort(colour, kind="stable")


def _colour_component(seed: int, neighbours: list[list[int]], colour: list[int]) -> None:
    colour[seed] = 0
    queue = deque([seed])
    while queue:
        site = queue.popleft()
        for other in neighbours[site]:
            if colour[other] == colour[site]:
                raise ValueError(
                    f"a checkerboard scan needs two colours, but sites {site} and {other} lie on an odd cycle "
                    "(a periodic axis of odd extent makes one); use scan='random'"
                )
            if colour[other] < 0:
                colour[other] = 1 - colour[site]
                queue.append(other)

"""What the local and cluster updates share: a kernel that makes n steps of every chain."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod

import numpy as np

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.parallel import for_chunks
from nmcmc.random import Rng, Streams
from nmcmc.types import Floats, Info, Ints, Spins, State


def counted(name: str, value: int) -> int:
    """Return how many of something an update makes; ValueError unless it is a whole number ≥ 1."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} is {value!r}; give a whole number ≥ 1")
    return number


class CompiledUpdate(ABC):
    """An update of a pairwise system whose kernel makes n steps of every chain at once.

    A subclass writes ``_run``, which calls the kernel, and ``_info``, which names what the kernel counts.

    Parameters
    ----------
    target : Boltzmann distribution of a `PairwiseEnergy`.

    Raises
    ------
    TypeError : if the energy is of another kind.
    """

    def __init__(self, target: Boltzmann):
        if not isinstance(target.energy, PairwiseEnergy):
            raise TypeError(
                f"{type(self).__name__} needs a PairwiseEnergy, not {type(target.energy).__name__}; "
                "write the system as edges, couplings and fields"
            )
        self.target, self.energy = target, target.energy

    @property
    def n_spins(self) -> int:
        """Number of spins."""
        return self.energy.n_spins

    def init(self, spins: Spins) -> State:
        """Return the state that starts from the configurations, int8 ±1 (n_chains, n_spins)."""
        spins = self.energy.check_spins(spins)
        if not np.all(np.abs(spins) == 1):
            raise ValueError("spins contain a value other than −1 and +1; map 0/1 configurations by 2 s − 1")
        return State(spins)

    def step(self, state: State, rng: Rng) -> tuple[State, Info]:
        """Make one step of every chain with the chain's own random stream."""
        state, _, info = self.block(state, rng, 1)
        return state, {name: values[:, 0] for name, values in info.items()}

    def block(self, state: State, rng: Rng, n: int) -> tuple[State, Spins, Info]:
        """Make n steps; return the state, all configurations (n_chains, n, n_spins) and the info (n_chains, n).

        Raises
        ------
        ValueError : if n < 1.
        """
        counted("n", n)
        spins, streams = state.spins.copy(), rng.streams(len(state.spins))
        out = np.empty((len(spins), n, self.n_spins), dtype=np.int8)
        count = np.empty((len(spins), n), dtype=np.int64)
        for_chunks(lambda a, b: self._run(spins[a:b], streams[a:b], out[a:b], count[a:b]), len(spins))
        return State(spins), out, self._info(count)

    @abstractmethod
    def _run(self, spins: Spins, streams: Streams, out: Spins, count: Ints) -> None:
        """Advance spins and streams in place; write each step's configuration and what is counted."""

    @abstractmethod
    def _info(self, count: Ints) -> Info:
        """Return the diagnostics that the counts (n_chains, n) amount to."""


class ClusterUpdate(CompiledUpdate):
    """A cluster update: bonds with J s s > 0 are active with probability 1 − exp(−2β|J|).

    Raises
    ------
    ValueError : if the energy has a field, which clusters that flip freely would ignore.
    """

    def __init__(self, target: Boltzmann):
        super().__init__(target)
        if self.energy.has_field:
            raise ValueError(
                f"{type(self).__name__} needs zero field, but this energy has fields; use Metropolis or HeatBath"
            )

    def _axis_thresholds(self) -> list[int] | None:
        """Return 2³² times the bond probability of each axis of a lattice with uniform J ≥ 0, None for others."""
        couplings = self.energy.axis_couplings if isinstance(self.energy, LatticeEnergy) else None
        if couplings is None or np.any(couplings < 0):
            return None
        return [round(p * 2**32) for p in self._bond_probability(couplings)]

    def _bond_probability(self, couplings: Floats) -> Floats:
        return -np.expm1(-2 * self.target.beta * np.abs(couplings))

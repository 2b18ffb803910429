"""The checkerboard Metropolis update, multi-spin coded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.random import Streams
from nmcmc.types import Info, Ints, Spins
from nmcmc.updates.compiled import CompiledUpdate, counted


class CheckerboardMetropolis(CompiledUpdate):
    """Flip all spins of one colour with min(1, exp(−βΔH)), then all of the other: 64 spins in a machine word.

    Every spin has random numbers of its own, compared digit by digit with the flip probability, which is exact to
    2⁻⁶⁴. For two-dimensional tori with one coupling J of either sign, no field, and even extents L₀ and L₁ whose
    powers of two have a product of at least 256: 16×16, 24×64, 512×512. A sweep keeps the target invariant but is not
    reversible; at β = 0, where every flip is accepted, it is periodic. Its info is ``flip_fraction``, the flips per
    attempt.

    Parameters
    ----------
    target : Boltzmann distribution of a `LatticeEnergy`.
    sweeps : sweeps per step, ≥ 1. Each step also writes its configuration, which takes longer than a sweep.

    Raises
    ------
    TypeError : if the energy is not pairwise.
    ValueError : for another system, or sweeps < 1.

    References
    ----------
    L. Jacobs and C. Rebbi, J. Comput. Phys. 41, 203 (1981).

    Examples
    --------
    >>> from nmcmc.energies.lattice import Lattice
    >>> CheckerboardMetropolis(Boltzmann(LatticeEnergy(Lattice((16, 16))), beta=0.44)).n_spins
    256
    """

    def __init__(self, target: Boltzmann, sweeps: int = 1):
        super().__init__(target)
        self.sweeps, self._extents = counted("sweeps", sweeps), _torus_extents(self.energy)
        self._bits = bit_grid(*self._extents)
        coupling = float(self.energy.couplings[0])
        self._sign = np.uint64(0 if coupling >= 0 else 2**64 - 1)
        self._levels = digits([math.exp(-k * target.beta * abs(coupling)) for k in (8, 4)])

    def _run(self, spins: Spins, streams: Streams, out: Spins, count: Ints) -> None:
        from nmcmc.kernels.checkerboard import checkerboard_steps

        shape = self._extents
        spins, out = spins.reshape(-1, *shape), out.reshape(*out.shape[:2], *shape)
        checkerboard_steps(spins, streams, *self._bits, self._sign, self._levels, self.sweeps, out, count)

    def _info(self, count: Ints) -> Info:
        return {"flip_fraction": count / (self.sweeps * self.n_spins)}


def bit_grid(rows: int, columns: int) -> tuple[int, int]:
    """Return how many rows and columns of a lattice's blocks the 64 bits of a word stand for: as many rows as can be.

    Raises
    ------
    ValueError : if the lattice cannot be divided into 64 blocks of even extents, both colours alike.
    """
    bit_rows = math.gcd(64, rows // 2)
    if rows % 2 or columns % (2 * (64 // bit_rows)):
        raise ValueError(
            f"{rows}x{columns} cannot be packed 64 spins to a word: CheckerboardMetropolis needs even extents whose "
            "powers of two have a product of at least 256, such as 16x16 or 24x64; use Metropolis"
        )
    return bit_rows, 64 // bit_rows


def digits(probabilities: list[float]) -> npt.NDArray[np.uint64]:
    """Return the 64 binary digits after the point, highest first and alternating, as words of equal bits; flat."""
    numbers = [min(int(p * 2**64), 2**64 - 1) for p in probabilities]
    rows = [[(2**64 - 1) * (number >> place & 1) for number in numbers] for place in range(63, -1, -1)]
    return np.array(rows, dtype=np.uint64).ravel()


def _torus_extents(energy: Any) -> tuple[int, int]:
    """Return both extents, or raise ValueError for what is no torus with one coupling and no field."""
    problem = None
    if not isinstance(energy, LatticeEnergy) or len(energy.lattice.extents) != 2 or not all(energy.lattice.periodic):
        problem = "this system is none"
    elif np.any(energy.couplings != energy.couplings[0]):
        problem = "its couplings differ"
    elif energy.has_field:
        problem = "it has fields"
    if problem:
        raise ValueError(
            "CheckerboardMetropolis needs a two-dimensional periodic lattice with one coupling and no field, but "
            f"{problem}; use Metropolis"
        )
    rows, columns = energy.lattice.extents
    return rows, columns

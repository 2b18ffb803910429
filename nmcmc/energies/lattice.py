"""Hypercubic lattices in one, two and three dimensions, open or periodic along each axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.types import Floats, Ints, Spins

Boundary = Literal["periodic", "open"]


@dataclass(frozen=True)
class Lattice:
    """Sites, bonds and neighbours of an L₁ (× L₂ (× L₃)) lattice; sites are numbered row-major.

    Every site has one bond forward along each axis, except the last sites of an open axis. A periodic axis of
    extent 2 therefore has two bonds between the same pair of sites: each counts.

    Parameters
    ----------
    extents : one to three integers ≥ 2.
    boundary : "periodic" or "open", once for all axes or one per axis.

    Raises
    ------
    ValueError : for other extents or boundaries.

    Examples
    --------
    >>> Lattice((4, 6), ("periodic", "open")).n_bonds
    44
    """

    extents: tuple[int, ...]
    boundary: tuple[Boundary, ...] | Boundary = "periodic"

    def __post_init__(self) -> None:
        extents = tuple(self.extents)
        if not 1 <= len(extents) <= 3 or any(not isinstance(e, int | np.integer) or e < 2 for e in extents):
            raise ValueError(f"lattice extents are {self.extents}; give one to three integers ≥ 2, such as 16x16")
        boundary = (self.boundary,) * len(extents) if isinstance(self.boundary, str) else tuple(self.boundary)
        for name in boundary:
            if name not in ("periodic", "open"):
                raise ValueError(f"boundary is {name!r}; it must be 'periodic' or 'open'")
        if len(boundary) != len(extents):
            raise ValueError(f"{len(boundary)} boundaries for {len(extents)} axes; give one, or one per axis")
        object.__setattr__(self, "extents", tuple(int(e) for e in extents))
        object.__setattr__(self, "boundary", boundary)

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether each axis is periodic."""
        return tuple(name == "periodic" for name in self.boundary)

    @property
    def n_spins(self) -> int:
        """Number of sites."""
        return int(np.prod(self.extents))

    @property
    def n_bonds(self) -> int:
        """Number of bonds."""
        return len(self.edges)

    @cached_property
    def forward(self) -> Ints:
        """The next site along each axis, (dimension, n_spins); −1 beyond an open edge."""
        sites = np.arange(self.n_spins).reshape(self.extents)
        rows = []
        for axis, periodic in enumerate(self.periodic):
            following = np.roll(sites, -1, axis)
            if not periodic:
                following = following.copy()
                following[(slice(None),) * axis + (-1,)] = -1
            rows.append(following.ravel())
        return np.array(rows, dtype=np.int64)

    @cached_property
    def edges(self) -> Ints:
        """All bonds (n_bonds, 2): first along axis 0 by site, then axis 1, then axis 2."""
        pairs = [np.stack([np.arange(self.n_spins), row], axis=1)[row >= 0] for row in self.forward]
        return np.concatenate(pairs)

    @cached_property
    def edge_axis(self) -> Ints:
        """The axis of every bond, (n_bonds,)."""
        return np.concatenate([np.full(np.count_nonzero(row >= 0), a) for a, row in enumerate(self.forward)])

    def __str__(self) -> str:
        return "x".join(str(e) for e in self.extents)


class LatticeEnergy(PairwiseEnergy):
    """H(s) = −Σ_bonds J s s − Σ h s on a lattice; equals the edge sum of `PairwiseEnergy`, faster.

    Parameters
    ----------
    lattice : the lattice.
    coupling : one J, one J per axis, or one per bond in the order of ``lattice.edges``. For a lattice with as many
        bonds as axes there is no ambiguity to fear: extents ≥ 2 give at least as many bonds as axes, and equal
        lengths mean the same thing.
    field : one h, or one per site.

    Examples
    --------
    >>> import numpy as np
    >>> energy = LatticeEnergy(Lattice((4, 4)))
    >>> float(energy(np.ones((1, 16), dtype=np.int8))[0])
    -32.0
    """

    def __init__(
        self,
        lattice: Lattice,
        coupling: float | Sequence[float] | Floats = 1.0,
        field: float | Sequence[float] | Floats = 0.0,
    ):
        self.lattice = lattice
        values = np.asarray(coupling, dtype=np.float64)
        if values.ndim == 1 and len(values) == len(lattice.extents):
            values = values[lattice.edge_axis]
        super().__init__(lattice.n_spins, lattice.edges, values, field)

    @cached_property
    def axis_couplings(self) -> Floats | None:
        """J per axis if the couplings are uniform along each axis, else None."""
        per_axis = [self.couplings[self.lattice.edge_axis == axis] for axis in range(len(self.lattice.extents))]
        if all(np.all(row == row[0]) for row in per_axis):
            return np.array([row[0] for row in per_axis])
        return None

    @cached_property
    def is_uniform(self) -> bool:
        """Whether couplings are uniform along each axis and the field is uniform: translations are symmetries."""
        return self.axis_couplings is not None and bool(np.all(self.fields == self.fields[0]))

    def _fill_energy(self, spins: Spins, out: Floats) -> None:
        from nmcmc.kernels import energy as kernel

        if self.axis_couplings is None or np.any(self.fields != self.fields[0]):
            self._fill_edge_sum(spins, out)
            return
        shape = (1,) * (3 - len(self.lattice.extents)) + self.lattice.extents
        periodic = (False,) * (3 - len(self.lattice.extents)) + self.lattice.periodic
        bonds = np.empty((len(spins), 3), dtype=np.int64)
        total = np.zeros(len(spins), dtype=np.int64)
        kernel.bond_sums(spins.reshape(-1, *shape), np.array(periodic), bonds)
        if self.has_field:
            kernel.magnetization(spins, total)
        out[:] = self.offset - total * self.fields[0]
        for axis, coupling in enumerate(self.axis_couplings, start=3 - len(self.lattice.extents)):
            out -= coupling * bonds[:, axis]  # not a matrix product: BLAS rounds a row by its place in the batch

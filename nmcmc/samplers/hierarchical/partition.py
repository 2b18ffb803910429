"""Hierarchical decomposition of a rectangle into lines and leaves: pure geometry, plain index arrays.

The inside of a closed loop of spins is independent of the outside given the loop (nearest neighbours only). So a
`Region`, a rectangle of unknown spins with a known border, is cut by one line of spins into regions with known
borders, until regions are small enough to be leaves. On a torus the first two lines are a full row and a full column
(the *frame*); after that a middle row (the *bar*) and the two middle half-columns (the *arms*) make up each *cross*.

Generalises Białas, Korcyl, Stebel (2022), arXiv:2203.10989, from L = 2^m tori to any rectangle, boundary and couplings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.types import Floats, Ints

ABSENT = -1


@dataclass(frozen=True, eq=False)
class Region:
    """An m₁ × m₂ rectangle of unknown spins with a known border.

    Sites of a region are numbered 0 … n_border − 1 for its distinct border sites, then row-major for the inside.
    Everything comes in pairs, one for axis 0 (along a column) and one for axis 1 (along a row).

    Attributes
    ----------
    periodic : whether each axis still closes on itself, uncut.
    before, after : the border site beside each inside site of the first and of the last line across each axis, −1
        where there is none; (m₂,) for axis 0 and (m₁,) for axis 1.
    couplings : along each axis, the coupling between line r − 1 and line r; (m₁ + 1, m₂) and (m₁, m₂ + 1). The first
        and the last lead to the border; on an axis that closes on itself the first holds the closing bonds.
    fields : (m₁, m₂).
    """

    periodic: tuple[bool, bool]
    before: tuple[Ints, Ints]
    after: tuple[Ints, Ints]
    couplings: tuple[Floats, Floats]
    fields: Floats

    @property
    def shape(self) -> tuple[int, int]:
        """(m₁, m₂)."""
        return self.fields.shape[0], self.fields.shape[1]

    @cached_property
    def n_border(self) -> int:
        """Number of distinct border sites."""
        return int(max(side.max() for side in self.before + self.after)) + 1

    @property
    def n_sites(self) -> int:
        """Number of border and inside sites."""
        return self.n_border + self.fields.size

    @cached_property
    def inside(self) -> Ints:
        """Site numbers of the inside, (m₁, m₂)."""
        return np.arange(self.n_border, self.n_sites).reshape(self.shape)

    @cached_property
    def key(self) -> str:
        """A name that two regions share exactly if their shapes, borders, couplings and fields agree."""
        digest = hashlib.sha256(bytes(self.periodic))
        for array in (*self.before, *self.after, *self.couplings, self.fields):
            digest.update(np.ascontiguousarray(array + 0).tobytes())
        kind = ("block", "cylinder", "torus")[sum(self.periodic)]
        return f"{kind}_{self.shape[0]}x{self.shape[1]}_{digest.hexdigest()[:12]}"

    @cached_property
    def edges(self) -> tuple[Ints, Floats]:
        """All bonds that touch the inside: (n_edges, 2) site numbers and (n_edges,) couplings."""
        pairs, couplings = [], []
        for axis in (0, 1):
            lines = np.moveaxis(self.inside, axis, 0)
            first = lines[-1] if self.periodic[axis] else self.before[axis]
            last = np.full_like(first, ABSENT) if self.periodic[axis] else self.after[axis]
            chain = np.vstack([first, lines, last])
            pairs.append(np.stack([chain[:-1].ravel(), chain[1:].ravel()], axis=1))
            couplings.append(np.moveaxis(self.couplings[axis], axis, 0).ravel())
        edges, values = np.concatenate(pairs), np.concatenate(couplings)
        real = (edges != ABSENT).all(axis=1)
        return edges[real], values[real]


def region_of(energy: LatticeEnergy) -> Region:
    """Return the whole lattice as a region without border; its sites keep the lattice's numbers.

    Raises
    ------
    ValueError : unless the lattice is two-dimensional with both extents ≥ 4.
    """
    lattice = energy.lattice
    if len(lattice.extents) != 2 or min(lattice.extents) < 4:
        raise ValueError(
            f"lattice {lattice} cannot be cut into a hierarchy: it takes two extents ≥ 4; use the sampler 'made' here"
        )
    rows, columns = lattice.extents
    couplings = np.zeros((rows + 1, columns)), np.zeros((rows, columns + 1))
    for site, axis, value in zip(lattice.edges[:, 0], lattice.edge_axis, energy.couplings, strict=True):
        place = [*divmod(int(site), columns)]
        place[axis] += 1
        if lattice.periodic[axis]:
            place[axis] %= lattice.extents[axis]
        couplings[axis][tuple(place)] = value
    nothing = np.full(columns, ABSENT), np.full(rows, ABSENT)
    periodic = lattice.periodic[0], lattice.periodic[1]
    return Region(periodic, nothing, nothing, couplings, energy.fields.reshape(rows, columns))


@dataclass(frozen=True, eq=False)
class Cut:
    """One line of spins through a region, its bonds to known spins, and the regions that remain.

    Attributes
    ----------
    line : the region's sites that form the line, in the order in which they are drawn.
    edges, couplings : bonds inside the line and between the line and the border, (n, 2) and (n,).
    children : the remaining regions, each with the parent's number of every one of its sites.
    """

    line: Ints
    edges: Ints
    couplings: Floats
    children: tuple[tuple[Region, Ints], ...]


def cut(region: Region) -> Cut:
    """Cut a region by the first line of a periodic axis, else by the middle line across its longer side."""
    if any(region.periodic):
        axis, at = region.periodic.index(True), 0
        spans = [(1, region.shape[axis])]
    else:
        axis = int(region.shape[1] > region.shape[0])
        at = (region.shape[axis] - 1) // 2
        spans = [(0, at), (at + 1, region.shape[axis])]
    line = np.take(region.inside, at, axis=axis)
    edges, couplings = region.edges
    known = np.concatenate([np.arange(region.n_border), line])
    own = np.isin(edges, line).any(axis=1) & np.isin(edges, known).all(axis=1)
    children = tuple(_slab(region, axis, start, stop) for start, stop in spans if stop > start)
    return Cut(line, edges[own], couplings[own], children)


def _slab(region: Region, axis: int, start: int, stop: int) -> tuple[Region, Ints]:
    """Return lines start … stop − 1 across an axis as a region, with the parent's number of each of its sites."""
    other, extent = 1 - axis, region.shape[axis]
    lines = np.moveaxis(region.inside, axis, 0)
    across = np.moveaxis(region.couplings[axis], axis, 0)[start : stop + 1].copy()
    if region.periodic[axis]:
        across[-1] = np.take(region.couplings[axis], 0, axis=axis)
    first = lines[start - 1] if start > 0 else region.before[axis]
    last = lines[stop % extent] if stop < extent or region.periodic[axis] else region.after[axis]
    sides = {axis: (first, last), other: (region.before[other][start:stop], region.after[other][start:stop])}
    border, numbers = _distinct(np.concatenate([*sides[0], *sides[1]]))
    cuts = np.cumsum([len(side) for side in (*sides[0], *sides[1])])[:-1]
    before0, after0, before1, after1 = np.split(numbers, cuts)
    part = (slice(start, stop),) if axis == 0 else (slice(None), slice(start, stop))
    couplings = {axis: np.moveaxis(across, 0, axis), other: region.couplings[other][part]}
    child = Region(
        (region.periodic[0] and axis != 0, region.periodic[1] and axis != 1),
        (before0, before1),
        (after0, after1),
        (couplings[0], couplings[1]),
        region.fields[part],
    )
    return child, np.concatenate([border, region.inside[part].ravel()])


def _distinct(sites: Ints) -> tuple[Ints, Ints]:
    """Return the distinct sites in order of first appearance, and each site's index among them (−1 stays −1)."""
    present = sites[sites != ABSENT]
    _, first = np.unique(present, return_index=True)
    distinct = present[np.sort(first)]
    index = {int(site): k for k, site in enumerate(distinct)}
    return distinct, np.array([index.get(int(site), ABSENT) for site in sites], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Group:
    """All blocks of one level that share region, couplings and border: independent, drawn as one batch.

    Attributes
    ----------
    region : the region that every block of the group is a copy of.
    sites : (n_blocks, n_sites) the root's number of every site of every block: border first, then inside.
    cut : how the blocks are cut, or None for leaves.
    """

    region: Region
    sites: Ints
    cut: Cut | None

    @property
    def border(self) -> Ints:
        """(n_blocks, n_border) the root's numbers of the border sites."""
        return self.sites[:, : self.region.n_border]

    @property
    def line(self) -> Ints:
        """(n_blocks, n_line) the root's numbers of the line's sites; all inside sites for leaves."""
        return self.sites[:, self.region.n_border :] if self.cut is None else self.sites[:, self.cut.line]


@dataclass(frozen=True, eq=False)
class Partition:
    """A region cut down to leaves: groups of lines from the largest level to the smallest, then groups of leaves."""

    root: Region
    lines: tuple[Group, ...]
    leaves: tuple[Group, ...]

    @cached_property
    def line_edges(self) -> tuple[Ints, Floats]:
        """Bonds that touch no leaf, in the root's numbers: (n, 2), and their couplings (n,)."""
        edges, couplings = [np.empty((0, 2), dtype=np.int64)], [np.empty(0)]
        for group in self.lines:
            if group.cut is not None:
                edges.append(group.sites[:, group.cut.edges].reshape(-1, 2))
                couplings.append(np.tile(group.cut.couplings, len(group.sites)))
        return np.concatenate(edges), np.concatenate(couplings)

    @cached_property
    def line_fields(self) -> Floats:
        """The field on every line site and 0 elsewhere, (n_sites,)."""
        fields = np.zeros(self.root.n_sites)
        sites = np.concatenate([group.line.ravel() for group in self.lines]) if self.lines else np.empty(0, np.int64)
        fields[sites] = self.root.fields.ravel()[sites - self.root.n_border]
        return fields


def partition(root: Region, leaf: int = 7) -> Partition:
    """Cut a region level by level until every block is a leaf: short side ≤ leaf, long side ≤ 2 leaf + 1, all open.

    Parameters
    ----------
    root : the whole lattice (`region_of`), or any block of it.
    leaf : largest short side of an exactly summed block: two squares and the line between them are one strip.

    Raises
    ------
    ValueError : unless 1 ≤ leaf ≤ 16.
    """
    if not 1 <= leaf <= 16:
        raise ValueError(f"leaf is {leaf}; exact blocks have extents from 1 to 16, usually 1, 3, 7 or 15")
    lines: list[Group] = []
    leaves: list[Group] = []
    level = [(root, np.arange(root.n_sites)[None])]
    while level:
        following: list[tuple[Region, Ints]] = []
        for region, sites in _merged(level):
            if min(region.shape) <= leaf and max(region.shape) <= 2 * leaf + 1 and not any(region.periodic):
                leaves.append(Group(region, sites, None))
                continue
            line = cut(region)
            lines.append(Group(region, sites, line))
            following += [(child, sites[:, numbers]) for child, numbers in line.children]
        level = following
    return Partition(root, tuple(lines), merged(leaves))


def merged(groups: Iterable[Group]) -> tuple[Group, ...]:
    """Return the groups with those of different levels that share region, couplings and border put together."""
    groups = list(groups)
    cuts = {group.region.key: group.cut for group in groups}
    blocks = _merged([(group.region, group.sites) for group in groups])
    return tuple(Group(region, sites, cuts[region.key]) for region, sites in blocks)


def _merged(blocks: list[tuple[Region, Ints]]) -> list[tuple[Region, Ints]]:
    """Return the blocks with copies of the same region put together, in order of first appearance."""
    by_key: dict[str, tuple[Region, list[Ints]]] = {}
    for region, sites in blocks:
        by_key.setdefault(region.key, (region, []))[1].append(sites)
    return [(region, np.concatenate(parts)) for region, parts in by_key.values()]

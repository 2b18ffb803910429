"""Any pairwise spin system: edges, couplings, fields and an offset."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from nmcmc.parallel import for_chunks
from nmcmc.types import Floats, Ints, Spins

if TYPE_CHECKING:
    from torch import Tensor


class PairwiseEnergy:
    """H(s) = offset − Σ_(i,j) J_ij s_i s_j − Σ_i h_i s_i.

    Parameters
    ----------
    n_spins : number of spins, ≥ 1.
    edges : integer pairs (n_edges, 2) of different sites. A repeated pair counts as often as it is listed.
    couplings : J_ij, one number for all edges or one per edge. J > 0 is ferromagnetic.
    fields : h_i, one number for all sites or one per site.
    offset : a constant added to every energy.

    Raises
    ------
    ValueError : for an edge that leaves the system or joins a site to itself, a wrong length, or a number that is
        not finite.

    Examples
    --------
    >>> import numpy as np
    >>> energy = PairwiseEnergy(3, [(0, 1), (1, 2)], couplings=1.0, fields=0.5)
    >>> energy(np.array([[1, 1, 1], [1, -1, 1]], dtype=np.int8))
    array([-3.5,  1.5])
    """

    def __init__(
        self,
        n_spins: int,
        edges: Sequence[tuple[int, int]] | npt.NDArray[np.integer[Any]],
        couplings: float | Sequence[float] | Floats = 1.0,
        fields: float | Sequence[float] | Floats = 0.0,
        offset: float = 0.0,
    ):
        if n_spins < 1:
            raise ValueError(f"n_spins is {n_spins}; a system has at least one spin")
        self.n_spins = int(n_spins)
        self.edges: Ints = np.ascontiguousarray(np.asarray(edges, dtype=np.int64).reshape(-1, 2))
        _check_edges(self.edges, self.n_spins)
        self.couplings = _per_item("couplings", couplings, len(self.edges), "edge")
        self.fields = _per_item("fields", fields, self.n_spins, "site")
        if not np.isfinite(offset):
            raise ValueError(f"offset is {offset}; it must be a finite number")
        self.offset = float(offset)
        self._adjacency: tuple[Ints, Ints, Floats] | None = None

    @property
    def has_field(self) -> bool:
        """Whether any field is non-zero, so that H(s) ≠ H(−s)."""
        return bool(np.any(self.fields != 0))

    @cached_property
    def coupling_matrix(self) -> Floats:
        """The symmetric matrix J with J_ij = Σ of the couplings of all edges between i and j, (n_spins, n_spins)."""
        matrix = np.zeros((self.n_spins, self.n_spins))
        i, j = self.edges.T
        np.add.at(matrix, (i, j), self.couplings)
        np.add.at(matrix, (j, i), self.couplings)
        return matrix

    def adjacency(self) -> tuple[Ints, Ints, Floats]:
        """Return the neighbours of every site in compressed rows: (start (n_spins + 1,), neighbour, coupling)."""
        if self._adjacency is None:
            i, j = self.edges.T
            rows, columns = np.concatenate([i, j]), np.concatenate([j, i])
            order = np.argsort(rows, kind="stable")
            start = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=self.n_spins))]).astype(np.int64)
            self._adjacency = start, columns[order], np.concatenate([self.couplings, self.couplings])[order]
        return self._adjacency

    @overload
    def __call__(self, spins: Spins) -> Floats: ...
    @overload
    def __call__(self, spins: Tensor) -> Tensor: ...
    def __call__(self, spins: Any) -> Any:
        """Return H (batch,) in float64 for int8 spins (batch, n_spins); arrays by kernel, tensors where they live."""
        if not isinstance(spins, np.ndarray):
            return self._energy_of_tensor(spins)
        spins = self.check_spins(spins)
        energy = np.empty(len(spins))
        for_chunks(lambda a, b: self._fill_energy(spins[a:b], energy[a:b]), len(spins))
        return energy

    def local_fields(self, spins: Spins) -> Floats:
        """Return Σ_j J_ij s_j + h_i for every site, (batch, n_spins): flipping s_i costs 2 s_i times this."""
        from nmcmc.kernels import energy as kernel

        spins = self.check_spins(spins)
        out = np.empty(spins.shape)
        start, neighbour, coupling = self.adjacency()
        for_chunks(
            lambda a, b: kernel.local_fields(spins[a:b], start, neighbour, coupling, self.fields, out[a:b]), len(spins)
        )
        return out

    def magnetization(self, spins: Spins) -> Floats:
        """Return m = Σ s_i/N, (batch,), for int8 spins (batch, n_spins)."""
        from nmcmc.kernels import energy as kernel

        spins = self.check_spins(spins)
        total = np.empty(len(spins), dtype=np.int64)
        for_chunks(lambda a, b: kernel.magnetization(spins[a:b], total[a:b]), len(spins))
        return total / self.n_spins

    def check_spins(self, spins: Spins) -> Spins:
        """Return the configurations as a contiguous int8 array (batch, n_spins); raise ValueError otherwise."""
        if spins.ndim != 2 or spins.shape[1] != self.n_spins or spins.dtype != np.int8:
            raise ValueError(
                f"spins are {spins.dtype} {spins.shape}; this energy takes int8 configurations (batch, {self.n_spins})"
            )
        return np.ascontiguousarray(spins)

    def _fill_energy(self, spins: Spins, out: Floats) -> None:
        self._fill_edge_sum(spins, out)

    def _fill_edge_sum(self, spins: Spins, out: Floats) -> None:
        from nmcmc.kernels import energy as kernel

        if self._common_coupling is not None:
            products = np.empty(len(spins), dtype=np.int64)
            kernel.edge_products(spins, self._short_edges, products)
            out[:] = self.offset - self._common_coupling * products
            return
        kernel.edge_sum(spins, self.edges, self.couplings, self.fields, self.offset, out)

    @cached_property
    def _common_coupling(self) -> float | None:
        """The coupling of all edges if there is but one and no field: products of spins are then counted exactly."""
        same = len(self.couplings) > 0 and bool(np.all(self.couplings == self.couplings[0]))
        return float(self.couplings[0]) if same and not self.has_field else None

    @cached_property
    def _short_edges(self) -> npt.NDArray[np.uint32]:
        return self.edges.astype(np.uint32)

    def _energy_of_tensor(self, spins: Tensor) -> Tensor:
        import torch

        if spins.ndim != 2 or spins.shape[1] != self.n_spins:
            raise ValueError(f"spins have shape {tuple(spins.shape)}; this energy takes (batch, {self.n_spins})")
        if spins.device.type == "cpu" and spins.dtype == torch.int8:
            return torch.from_numpy(self(spins.numpy()))
        edges, couplings, fields = (
            torch.as_tensor(array, device=spins.device) for array in (self.edges, self.couplings, self.fields)
        )
        s = spins.to(torch.float64)
        return self.offset - (s[:, edges[:, 0]] * s[:, edges[:, 1]]) @ couplings - s @ fields


def _check_edges(edges: Ints, n_spins: int) -> None:
    if edges.size == 0:
        return
    if edges.min() < 0 or edges.max() >= n_spins:
        raise ValueError(f"an edge names site {edges.max()} or {edges.min()}; sites are 0 … {n_spins - 1}")
    loops = np.flatnonzero(edges[:, 0] == edges[:, 1])
    if loops.size:
        raise ValueError(f"edge {loops[0]} joins site {edges[loops[0], 0]} to itself; put such a term into the offset")


def _per_item(name: str, values: float | Sequence[float] | Floats, n_items: int, item: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0:
        array = np.full(n_items, float(array))
    if array.shape != (n_items,):
        raise ValueError(f"{name} have shape {array.shape}; give one number or one per {item}, ({n_items},)")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} contain a number that is not finite; give finite numbers")
    return np.ascontiguousarray(array)


def check_pairwise(energy: object, name: str) -> None:
    """Raise TypeError unless the energy has couplings and fields, from which the net of that name starts."""
    if not isinstance(energy, PairwiseEnergy):
        raise TypeError(
            f"the energy is a {type(energy).__name__}; {name} starts from couplings and fields. Give a PairwiseEnergy "
            "of as many spins near it, with fields unless H(s) = H(−s); train and run the net with the energy itself"
        )

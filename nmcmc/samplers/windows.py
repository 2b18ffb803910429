"""What a net learns from configurations: border and line of random blocks, and how likely each line spin was."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.parallel import for_chunks
from nmcmc.random import Rng
from nmcmc.types import Ints


class Windows:
    """Random blocks of one kind in given configurations, as they are or under the symmetries of the lattice.

    Where the energy is uniform, translations along periodic axes, reflections, and on a square lattice with equal
    couplings the transposition leave it as it is: a window may be moved and turned by them.

    Parameters
    ----------
    energy : the system. beta : inverse temperature.
    border, line : sites of every block of the kind, (n_blocks, n_border) and (n_blocks, n_line).
    """

    def __init__(self, energy: PairwiseEnergy, beta: float, border: Ints, line: Ints):
        self.n_border, self.n_spins = border.shape[1], energy.n_spins
        sites = np.concatenate([border, line], axis=1)
        self.extents, self.reach = np.array([1, energy.n_spins]), np.array([1, 1])
        views = [(np.zeros_like(sites), sites)]
        if isinstance(energy, LatticeEnergy) and energy.is_uniform and len(energy.lattice.extents) == 2:
            self.extents = np.array(energy.lattice.extents)
            self.reach = np.where(energy.lattice.periodic, self.extents, 1)
            kept = sites[:1] if all(energy.lattice.periodic) else sites
            views = _views(energy, *np.divmod(kept, self.extents[1]))
        self.rows, self.columns = (np.ascontiguousarray(np.concatenate(part)) for part in zip(*views, strict=True))
        start, neighbour, coupling = energy.adjacency()
        self.pulls = start, neighbour, 2 * beta * coupling, 2 * beta * energy.fields

    def draw(self, spins: Tensor, n: int, rng: Rng) -> tuple[Tensor, Tensor]:
        """Return n random windows of int8 configurations (n_configurations, n_spins), which live on the CPU.

        Returns
        -------
        inputs : float32 (n, n_border + n_line), spins of border and line.
        chances : float32 (n, n_line), P(s_i = +1 | all other spins) of the line's spins. Its mean given the border and
            the line so far is that of (s_i + 1)/2 with less spread, so that likelihoods are learnt from fewer windows.

        Raises
        ------
        ValueError : for other configurations.
        """
        from nmcmc.kernels import windows as kernel

        fits = spins.ndim == 2 and len(spins) > 0 and spins.shape[1] == self.n_spins
        if not fits or spins.dtype != torch.int8 or spins.device.type != "cpu":
            raise ValueError(
                f"configurations are {spins.dtype} {tuple(spins.shape)} on {spins.device}; they must be torch.int8 "
                f"(n ≥ 1, {self.n_spins}) on the CPU"
            )
        from_rows = spins.contiguous().numpy()  # any other layout would compile the kernel anew
        choose = rng.generator.integers
        configuration, view = choose(0, len(spins), n), choose(0, len(self.rows), n)
        shift = np.stack([choose(0, reach, n) for reach in self.reach], axis=1)
        inputs = np.empty((n, self.rows.shape[1]), dtype=np.float32)
        chances = np.empty((n, self.rows.shape[1] - self.n_border), dtype=np.float32)
        where = self.rows, self.columns, self.extents, configuration, view, shift, self.n_border
        for_chunks(lambda a, b: kernel.windows(from_rows, *where, *self.pulls, a, b, inputs, chances), n)
        return torch.from_numpy(inputs), torch.from_numpy(chances)


def _views(energy: LatticeEnergy, rows: Ints, columns: Ints) -> list[tuple[Ints, Ints]]:
    """Return rows and columns of the same sites under every reflection and transposition that is a symmetry."""
    lattice = energy.lattice
    square = len(set(lattice.extents)) == len(set(lattice.boundary)) == len(set(energy.couplings.tolist())) == 1
    last_row, last_column = lattice.extents[0] - 1, lattice.extents[1] - 1
    views = []
    for flip, turn, transpose in product((False, True), (False, True), (False, True) if square else (False,)):
        r, c = last_row - rows if flip else rows, last_column - columns if turn else columns
        views.append((c, r) if transpose else (r, c))
    return views

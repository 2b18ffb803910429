"""Observables of the rows where halves of a lattice meet, which explain what their information scatters by."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np

from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.experiment.temperatures import Watched
from nmcmc.types import Floats, Spins


def controls_of_halves(energy: LatticeEnergy) -> Watched:
    """Return H, |M|, M², and products of spins and of sums over the first and last rows of both halves.

    log Z of a half given the other is nearly a quadratic form in the spins of the other's two border rows. Spins of
    one row, of neighbouring rows and of the two ends of a half are taken 0, 1, 2, 4, … sites apart. In a field there
    are the sums of the rows besides.
    """
    length, *others = energy.lattice.extents
    width, cut = others[-1] if others else 1, length // 2
    borders = sorted({0, cut - 1, cut, length - 1})
    pairs = {"row": [(k, k) for k in borders], "seam": [(cut - 1, cut), (length - 1, 0)]}
    pairs["ends"] = [(0, cut - 1), (cut, length - 1)]

    def rows(spins: Spins) -> Spins:
        return spins.reshape(len(spins), length, -1, width)

    def apart(kind: str, distance: int) -> Callable[[Spins], Floats]:
        def product(spins: Spins) -> Floats:
            x = rows(spins)
            both = [(x[:, i] * np.roll(x[:, j], distance, axis=-1)).sum(axis=(1, 2)) for i, j in pairs[kind]]
            total: Floats = np.sum(both, axis=0).astype(np.float64)
            return total

        return product

    def sums(*chosen: int) -> Callable[[Spins], Floats]:
        def product(spins: Spins) -> Floats:
            each = rows(spins)[:, list(chosen)].sum(axis=(2, 3))
            total: Floats = each.prod(axis=1).astype(np.float64)
            return total

        return product

    distances = [2**k for k in range(width.bit_length() - 1)]
    kinds = [(kind, d) for kind in pairs for d in ([] if kind == "row" else [0]) + distances]
    products = [*combinations_with_replacement(borders, 2), *([(k,) for k in borders] if energy.has_field else [])]
    return {
        "energy": energy,
        "abs_magnetization": lambda spins: np.abs(energy.magnetization(spins)),
        "m2": lambda spins: energy.magnetization(spins) ** 2,
        **{f"{kind}, {d} apart": apart(kind, d) for kind, d in kinds},
        **{f"sums of rows {chosen}": sums(*chosen) for chosen in products},
    }

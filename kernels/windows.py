"""Windows: the spins of random blocks, cut out of stored configurations, moved and turned by symmetries."""

import math

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def windows(spins, rows, columns, extents, configuration, view, shift, n_border, start, neighbour, pull, fields, first,
            last, out, chance):  # fmt: skip
    """Write the spins of windows, and for those of their lines the probability of +1 given all other spins.

    Parameters
    ----------
    spins (n_configurations, n_spins) int8.
    rows, columns (n_views, n_window) : sites of a block as seen in each view; extents (2,) of the lattice.
    configuration, view (n,), shift (n, 2) : what each window is of, and how far it is moved, less than the extents.
    n_border : the sites before are border, those from here on line.
    start, neighbour, pull : compressed rows of 2βJ; fields (n_spins,) : 2βh.
    first, last : the windows that this call writes.
    out (n, n_window), chance (n, n_window − n_border) float32 : results.
    """
    n_rows, n_columns = extents
    for i in range(first, last):
        row, v = spins[configuration[i]], view[i]
        for j in range(rows.shape[1]):
            r, c = rows[v, j] + shift[i, 0], columns[v, j] + shift[i, 1]
            site = (r - n_rows if r >= n_rows else r) * n_columns + (c - n_columns if c >= n_columns else c)
            out[i, j] = row[site]
            if j >= n_border:
                logit = fields[site]
                for k in range(start[site], start[site + 1]):
                    logit += pull[k] * row[neighbour[k]]
                chance[i, j - n_border] = np.float32(1.0 / (1.0 + math.exp(-logit)))

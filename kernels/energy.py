"""Energies, local fields and magnetisation of batches of configurations."""

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def edge_sum(spins, edges, couplings, fields, offset, out):
    """Write offset − Σ_edges J s s − Σ h s of each row of spins (batch, n_spins) int8 to out (batch,)."""
    for b in range(spins.shape[0]):
        bond = 0.0
        for e in range(edges.shape[0]):
            bond += couplings[e] * (spins[b, edges[e, 0]] * spins[b, edges[e, 1]])
        site = 0.0
        for i in range(spins.shape[1]):
            site += fields[i] * spins[b, i]
        out[b] = offset - bond - site


@nb.njit(cache=True, nogil=True)
def local_fields(spins, start, neighbour, coupling, fields, out):
    """Write Σ_j J_ij s_j + h_i of each row of spins (batch, n_spins) int8 to out (batch, n_spins)."""
    for b in range(spins.shape[0]):
        for i in range(spins.shape[1]):
            total = fields[i]
            for k in range(start[i], start[i + 1]):
                total += coupling[k] * spins[b, neighbour[k]]
            out[b, i] = total


@nb.njit(cache=True, nogil=True)
def _row_product(a, b):
    total = np.int32(0)
    for i in range(a.shape[0]):
        total += np.int32(a[i]) * np.int32(b[i])
    return total


@nb.njit(cache=True, nogil=True)
def bond_sums(spins, periodic, out):
    """Write Σ s_i s_(i+e) along each axis of spins (batch, L0, L1, L2) int8 to out (batch, 3) int64.

    An axis of extent 1 has no bonds. Exact integers: the energy of a uniform lattice follows without rounding.
    """
    n0, n1, n2 = spins.shape[1], spins.shape[2], spins.shape[3]
    for b in range(spins.shape[0]):
        along0, along1, along2 = 0, 0, 0
        for i in range(n0):
            for j in range(n1):
                row = spins[b, i, j]
                if i + 1 < n0 or (periodic[0] and n0 > 1):
                    along0 += _row_product(row, spins[b, (i + 1) % n0, j])
                if j + 1 < n1 or (periodic[1] and n1 > 1):
                    along1 += _row_product(row, spins[b, i, (j + 1) % n1])
                along2 += _row_product(row[:-1], row[1:])
                if periodic[2] and n2 > 1:
                    along2 += row[n2 - 1] * row[0]
        out[b, 0], out[b, 1], out[b, 2] = along0, along1, along2


@nb.njit(cache=True, nogil=True)
def magnetization(spins, out):
    """Write Σ s_i of each row of spins (batch, n_spins) int8 to out (batch,) int64."""
    for b in range(spins.shape[0]):
        total = np.int32(0)
        for i in range(spins.shape[1]):
            total += np.int32(spins[b, i])
        out[b] = total

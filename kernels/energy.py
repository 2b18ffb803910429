"""Energies, local fields and magnetisation of batches of configurations."""

import numba as nb
import numpy as np

from .simd import splat
from .simd_bits import bit_count, load_bytes, word_sum

_0, _SIGNS = np.uint64(0), np.uint64(0x8080808080808080)


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
def product_sum(spins, i, j, n):
    """Return Σ_k s_(i+k) s_(j+k) over k < n of one configuration (n_spins,) int8: n − 2 × the unequal ones."""
    unequal = splat(_0)
    whole = n // 64 * 64
    for k in range(0, whole, 64):
        unequal = unequal + bit_count((load_bytes(spins, i + k) ^ load_bytes(spins, j + k)) & _SIGNS)
    total = whole - 2 * np.int64(word_sum(unequal))
    for k in range(whole, n):
        total += spins[i + k] * spins[j + k]
    return total


@nb.njit(cache=True, nogil=True)
def bond_sums(spins, periodic, out):
    """Write Σ s_i s_(i+e) along each axis of spins (batch, L0, L1, L2) int8 to out (batch, 3) int64.

    An axis of extent 1 has no bonds. Exact integers: the energy of a uniform lattice follows without rounding.
    """
    n0, n1, n2 = spins.shape[1], spins.shape[2], spins.shape[3]
    size, plane = n0 * n1 * n2, n1 * n2
    for b in range(spins.shape[0]):
        s = spins[b].ravel()
        along0 = product_sum(s, 0, plane, size - plane)
        if periodic[0] and n0 > 1:
            along0 += product_sum(s, size - plane, 0, plane)
        along1, along2 = 0, product_sum(s, 0, 1, size - 1)
        for first in range(0, size, plane):
            along1 += product_sum(s, first, first + n2, plane - n2)
            if periodic[1] and n1 > 1:
                along1 += product_sum(s, first + plane - n2, first, n2)
        for first in range(n2, size, n2):
            along2 -= s[first - 1] * s[first]
        if periodic[2] and n2 > 1:
            for first in range(0, size, n2):
                along2 += s[first] * s[first + n2 - 1]
        out[b, 0], out[b, 1], out[b, 2] = along0, along1, along2


@nb.njit(cache=True, nogil=True)
def magnetization(spins, out):
    """Write Σ s_i of each row of spins (batch, n_spins) int8 to out (batch,) int64."""
    for b in range(spins.shape[0]):
        total = np.int32(0)
        for i in range(spins.shape[1]):
            total += np.int32(spins[b, i])
        out[b] = total

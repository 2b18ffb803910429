"""Energies, local fields and magnetisation of batches of configurations."""

import numba as nb
import numpy as np

from .simd import prefetch, splat
from .simd_bits import bit_count, load_bytes, sign_word, word_bit_count, word_sum

_0, _1, _63, _SIGNS = np.uint64(0), np.uint64(1), np.uint64(63), np.uint64(0x8080808080808080)
AHEAD = 2**14
"""Bytes that are fetched ahead, be there any or not: a processor's own guesses end at every row and configuration."""


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
def edge_products(spins, edges, out):
    """Write Σ_edges s s of each row of spins (batch, n_spins) int8 to out (batch,) int64; edges (n, 2) uint32."""
    for b in range(spins.shape[0]):
        row, total = spins[b], np.int32(0)
        for e in range(edges.shape[0]):
            total += np.int32(row[edges[e, 0]]) * np.int32(row[edges[e, 1]])
        out[b] = total


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
def _product_sums(spins, i, j, k, n):
    """Return the two sums of ``product_sum`` from i with j and from i with k, reading i but once."""
    memory = spins.reshape(1, -1)
    unequal_j, unequal_k = splat(_0), splat(_0)
    whole = n // 64 * 64
    for m in range(0, whole, 64):
        prefetch(memory, 0, i + m + AHEAD)
        s = load_bytes(spins, i + m)
        unequal_j = unequal_j + bit_count((s ^ load_bytes(spins, j + m)) & _SIGNS)
        unequal_k = unequal_k + bit_count((s ^ load_bytes(spins, k + m)) & _SIGNS)
    with_j = whole - 2 * np.int64(word_sum(unequal_j)) + product_sum(spins, i + whole, j + whole, n - whole)
    return with_j, whole - 2 * np.int64(word_sum(unequal_k)) + product_sum(spins, i + whole, k + whole, n - whole)


@nb.njit(cache=True, nogil=True)
def _plane_sums(s, first, n1, n2, wrap1, wrap2):
    """Return Σ s s along both axes of the n1 × n2 spins from ``first`` on; wrap is 1 for a periodic axis, else 0.

    Along rows the pairs of successive spins are summed first, then those of one row's end with the next row's start
    exchanged for those that close a row.
    """
    last = first + (n1 - 1) * n2
    along1, along2 = _product_sums(s, first, first + n2, first + 1, last - first)
    along2 += product_sum(s, last, last + 1, n2 - 1)
    along1 += wrap1 * product_sum(s, last, first, n2)
    before = np.int64(0)
    for row in range(first, last + n2, n2):
        end = np.int64(s[row + n2 - 1])
        along2 += s[row] * (wrap2 * end - before)
        before = end
    return along1, along2


@nb.njit(cache=True, nogil=True)
def _plane_sums_by_words(s, first, n1, n2, wrap1, wrap2, above):
    """Return the same for rows of whole words of 64 signs; above (n2 / 64,) uint64 holds the row before."""
    memory, last = s.reshape(1, -1), n2 - 64
    unequal1, unequal2 = np.int64(0), np.int64(0)
    for row in range(n1):
        at = first + row * n2
        before = sign_word(s, at + last) >> _63 if wrap2 else sign_word(s, at) & _1
        for w in range(len(above)):
            prefetch(memory, 0, at + 64 * w + AHEAD)
            here = sign_word(s, at + 64 * w)
            unequal2 += word_bit_count(here ^ (here << _1 | before))
            if row > 0:
                unequal1 += word_bit_count(here ^ above[w])
            before, above[w] = here >> _63, here
    for w in range(len(above) if wrap1 else 0):
        unequal1 += word_bit_count(sign_word(s, first + 64 * w) ^ above[w])
    return (n1 - 1 + wrap1) * n2 - 2 * unequal1, n1 * (n2 - 1 + wrap2) - 2 * unequal2


@nb.njit(cache=True, nogil=True)
def bond_sums(spins, periodic, out):
    """Write Σ s_i s_(i+e) along each axis of spins (batch, L0, L1, L2) int8 to out (batch, 3) int64.

    An axis of extent 1 has no bonds. Exact integers: the energy of a uniform lattice follows without rounding.
    """
    n0, n1, n2 = spins.shape[1], spins.shape[2], spins.shape[3]
    size, plane = n0 * n1 * n2, n1 * n2
    wrap1, wrap2 = np.int64(periodic[1] and n1 > 1), np.int64(periodic[2] and n2 > 1)
    s, above = spins.ravel(), np.empty(n2 // 64, dtype=np.uint64)
    for b in range(spins.shape[0]):
        begin, end = b * size, (b + 1) * size
        out[b, 0] = product_sum(s, begin, begin + plane, size - plane)
        if periodic[0] and n0 > 1:
            out[b, 0] += product_sum(s, end - plane, begin, plane)
        out[b, 1], out[b, 2] = 0, 0
        for first in range(begin, end, plane):
            if n2 % 64 == 0:
                along1, along2 = _plane_sums_by_words(s, first, n1, n2, wrap1, wrap2, above)
            else:
                along1, along2 = _plane_sums(s, first, n1, n2, wrap1, wrap2)
            out[b, 1] += along1
            out[b, 2] += along2


@nb.njit(cache=True, nogil=True)
def magnetization(spins, out):
    """Write Σ s_i of each row of spins (batch, n_spins) int8 to out (batch,) int64."""
    for b in range(spins.shape[0]):
        total = np.int32(0)
        for i in range(spins.shape[1]):
            total += np.int32(spins[b, i])
        out[b] = total

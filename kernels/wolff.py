"""Wolff clusters: any couplings, and a branch-free loop for lattices with uniform ferromagnetic couplings."""

import numba as nb
import numpy as np

from .rng import advance, below, uniform

_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_0, _1 = np.uint64(0), np.uint64(1)


@nb.njit(cache=True, nogil=True)
def lattice_clusters(spins, streams, neighbour, thresholds, clusters, out, sizes):
    """Make out.shape[1] steps of ``clusters`` clusters of each chain on a lattice, J ≥ 0 along each axis.

    spins (chains, n_spins) int8 and streams (chains, 4) are advanced in place. neighbour (2·axes·n_spins,) uint32
    lists forward and backward neighbour along each axis, n_spins beyond an open edge; thresholds is a tuple of one
    uint64 per axis, the bond probability times 2³². Writes every step's configuration to out (chains, steps, n_spins)
    and the total size of its clusters to sizes (chains, steps).

    Whether a neighbour joins cannot be predicted, and mispredicted branches would cost more than all else. Hence no
    branch: a table of thresholds by axis and spin is zero where the spin is not aligned, every neighbour is written
    behind the queue's end, and that end moves by 0 or 1.
    """
    n_spins, n_axes = spins.shape[1], len(thresholds)
    queue = np.empty(n_spins + 1, dtype=np.uint32)
    bits = np.empty(n_spins + 1, dtype=np.uint8)  # (s + 1)/2, and 2 beyond an open edge
    bits[n_spins] = 2
    table = np.zeros(4 * n_axes, dtype=np.uint64)
    for chain in range(spins.shape[0]):
        stream = streams[chain]
        for site in range(n_spins):
            bits[site] = spins[chain, site] > 0
        for step in range(out.shape[1]):
            total = _0
            for _ in range(clusters):
                seed = below(stream, n_spins)
                a, b, c, counter = stream[0], stream[1], stream[2], stream[3]
                for axis in range(n_axes):
                    table[4 * axis + bits[seed]] = thresholds[axis]
                    table[4 * axis + 1 - bits[seed]] = 0
                bits[seed] ^= 1
                queue[0] = seed
                head, tail = _0, _1
                while head < tail:
                    first = np.uint64(queue[head]) * np.uint64(2 * n_axes)
                    head += _1
                    for k in range(2 * n_axes):
                        if k % 2 == 0:
                            word, a, b, c, counter = advance(a, b, c, counter)
                        random = word >> _HALF if k % 2 == 0 else word & _LOW
                        site = neighbour[first + np.uint64(k)]
                        bit = bits[site]
                        joins = random < table[np.uint64(4 * (k // 2)) + np.uint64(bit)]
                        queue[tail] = site
                        bits[site] = bit ^ np.uint8(joins)
                        tail += np.uint64(joins)
                stream[0], stream[1], stream[2], stream[3] = a, b, c, counter
                total += tail
            for site in range(n_spins):
                out[chain, step, site] = 2 * np.int8(bits[site]) - 1
            sizes[chain, step] = total
        spins[chain] = out[chain, out.shape[1] - 1]


@nb.njit(cache=True, nogil=True)
def clusters_of_any_couplings(spins, streams, start, neighbour, coupling, probability, clusters, out, sizes):
    """Make out.shape[1] steps of ``clusters`` clusters of each chain, for couplings of any sign.

    start, neighbour, coupling are compressed rows, probability the 1 − exp(−2β|J|) of each entry; the rest as in
    ``lattice_clusters``. With frustration a flipped spin can look unvisited, so membership is kept apart.
    """
    n_spins = spins.shape[1]
    queue = np.empty(n_spins, dtype=np.int64)
    member = np.zeros(n_spins, dtype=np.bool_)
    for chain in range(spins.shape[0]):
        s, stream = spins[chain], streams[chain]
        for step in range(out.shape[1]):
            total = 0
            for _ in range(clusters):
                queue[0] = np.int64(below(stream, n_spins))
                member[queue[0]] = True
                head, tail = 0, 1
                while head < tail:
                    site = queue[head]
                    head += 1
                    for k in range(start[site], start[site + 1]):
                        j = neighbour[k]
                        satisfied = not member[j] and coupling[k] * s[site] * s[j] > 0
                        if satisfied and uniform(stream) < probability[k]:
                            member[j] = True
                            queue[tail] = j
                            tail += 1
                for k in range(tail):
                    s[queue[k]] = -s[queue[k]]
                    member[queue[k]] = False
                total += tail
            out[chain, step] = s
            sizes[chain, step] = total

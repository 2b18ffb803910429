"""Swendsen–Wang clusters: of any couplings, by union-find over the edges, and of lattices with uniform J ≥ 0."""

import numba as nb
import numpy as np

from .lanes import STATE, fill_words, seed_lanes
from .rng import next_word, uniform

_TOP, _WORD, _1 = np.uint64(63), np.uint64(6), np.uint64(1)


@nb.njit(cache=True, nogil=True)
def _root(parent, site):
    while parent[site] != site:
        parent[site] = parent[parent[site]]
        site = parent[site]
    return site


@nb.njit(cache=True, nogil=True)
def swendsen_wang_steps(spins, streams, edges, couplings, probability, out, n_clusters):
    """Make out.shape[1] steps of each chain: join satisfied edges with their probability, flip clusters by coin.

    spins (chains, n_spins) int8 and streams (chains, 4) are advanced in place; edges (n_edges, 2), couplings and
    probability = 1 − exp(−2β|J|) (n_edges,). Writes every step's configuration to out (chains, steps, n_spins) and its
    number of clusters to n_clusters (chains, steps). A cluster's root is its lowest site: it is met first.
    """
    n_spins = spins.shape[1]
    parent = np.empty(n_spins, dtype=np.int64)
    flip = np.empty(n_spins, dtype=np.bool_)
    for chain in range(spins.shape[0]):
        s, stream = spins[chain], streams[chain]
        for step in range(out.shape[1]):
            for site in range(n_spins):
                parent[site] = site
            for e in range(edges.shape[0]):
                i, j = edges[e, 0], edges[e, 1]
                if couplings[e] * s[i] * s[j] > 0 and uniform(stream) < probability[e]:
                    i, j = _root(parent, i), _root(parent, j)
                    parent[max(i, j)] = min(i, j)
            count = 0
            for site in range(n_spins):
                root = _root(parent, site)
                if root == site:
                    flip[site] = next_word(stream) >> _TOP == 1
                    count += 1
                if flip[root]:
                    s[site] = -s[site]
            out[chain, step] = s
            n_clusters[chain, step] = count


@nb.njit(cache=True, nogil=True)
def unite(parent, x, y):
    """Join two trees of parent (n,) uint32, lowest roots (Rem; Patwary, Blair, Manne, LNCS 6049, 411 (2010))."""
    above_x, above_y = parent[x], parent[y]
    while above_x != above_y:
        if above_x < above_y:
            x, y = y, x
            above_x, above_y = above_y, above_x
        parent[x] = above_y
        if x == above_x:
            return
        x = above_x
        above_x = parent[x]


@nb.njit(cache=True, nogil=True)
def _begin_runs(row, random, threshold, begins, run, parent, n_runs):
    """Number the runs of a row, sites joined along it, from n_runs on in run (n,); return the number of runs so far."""
    n = row.shape[0]
    begins[0] = 1
    for j in range(1, n):
        begins[j] = (row[j] != row[j - 1]) | (random[j] >= threshold)
    first = n_runs
    for j in range(n):
        n_runs += begins[j]
        run[j] = n_runs - 1
    for k in range(first, n_runs):
        parent[k] = k
    return n_runs


@nb.njit(cache=True, nogil=True)
def _join_rows(row, other, run, other_run, random, threshold, bond, queue, parent):
    """Unite the runs of two rows that active bonds between the rows join; the same two runs but once in succession."""
    n = row.shape[0]
    for j in range(n):
        bond[j] = (row[j] == other[j]) & (random[j] < threshold)
    n_bonds = np.uint64(bond[0])
    queue[0] = 0
    for j in range(1, n):
        queue[n_bonds] = j
        again = bond[j - 1] & (run[j] == run[j - 1]) & (other_run[j] == other_run[j - 1])
        n_bonds += np.uint64(bond[j] & ~again)
    for k in range(n_bonds):
        j = queue[k]
        unite(parent, run[j], other_run[j])


@nb.njit(cache=True, nogil=True)
def _draw_signs(parent, coins, n_runs, sign):
    """Write a fair ±1 for each cluster to all of its runs in sign (n_runs,) int8; return the number of clusters."""
    count = 0
    for k in range(n_runs):
        word = np.uint64(k)
        coin = np.int8(2 * np.int8((coins[word >> _WORD] >> (word & _TOP)) & _1) - 1)
        root = parent[k] == k
        sign[k] = coin if root else sign[parent[k]]
        count += root
    return count


@nb.njit(cache=True, nogil=True)
def lattice_clusters(spins, streams, partners, thresholds, along, out, n_clusters):
    """Make out.shape[1] steps of each chain on a lattice, J ≥ 0 uniform along each axis.

    spins (chains, rows, sites of the last axis) int8 and streams (chains, 4) are advanced in place. partners
    (rows, pairs) int64 lists earlier rows that a row has bonds with, −1 for none, thresholds (pairs,) uint64 their bond
    probabilities times 2³²; along (2,) uint64 is that of bonds along the last axis, and of the bond that closes it, 0
    if it is open. Writes every step's configuration to out (chains, steps, rows, sites) and its number of clusters to
    n_clusters (chains, steps).

    Neither bonds nor runs can be predicted, so they are found without branches: only joined runs enter union-find.
    """
    n_rows, n = spins.shape[1], spins.shape[2]
    run, parent = np.empty((n_rows, n), dtype=np.uint32), np.empty(n_rows * n, dtype=np.uint32)
    sign, coins = np.empty(n_rows * n, dtype=np.int8), np.empty(n_rows * n // 64 + 9, dtype=np.uint64)
    begins, bond, queue = np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty(n + 1, np.uint32)
    state, words = np.empty(STATE, dtype=np.uint64), np.empty(n // 2 + 9, dtype=np.uint64)
    random = words.view(np.uint32)
    for chain in range(spins.shape[0]):
        s = spins[chain]
        for step in range(out.shape[1]):
            seed_lanes(streams[chain], state)
            n_runs = 0
            for i in range(n_rows):
                fill_words(state, words, (n + 1) // 2)
                n_runs = _begin_runs(s[i], random, along[0], begins, run[i], parent, n_runs)
                if (s[i, 0] == s[i, n - 1]) & (random[0] < along[1]):
                    unite(parent, run[i, 0], run[i, n - 1])
                for k in range(partners.shape[1]):
                    other = partners[i, k]
                    if other >= 0:
                        fill_words(state, words, (n + 1) // 2)
                        _join_rows(s[i], s[other], run[i], run[other], random, thresholds[k], bond, queue, parent)
            fill_words(state, coins, (n_runs + 63) // 64)
            n_clusters[chain, step] = _draw_signs(parent, coins, n_runs, sign)
            for i in range(n_rows):
                for j in range(n):
                    s[i, j] *= sign[run[i, j]]
            out[chain, step] = s

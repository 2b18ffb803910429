"""Swendsen–Wang clusters of any pairwise system without fields, by union-find over the edges."""

import numba as nb
import numpy as np

from .rng import next_word, uniform

_TOP = np.uint64(63)


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

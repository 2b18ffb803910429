"""Boltzmann sums over all configurations of a small system in Gray-code order."""

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def _start(high, n_low, start, neighbour, coupling, fields, spins, local):
    """Set spins (n,) to −1 except for the bits of ``high``, and local (n,) to their fields; return (−H, Σs)."""
    n = spins.shape[0]
    for i in range(n):
        spins[i] = 2 * ((high >> (i - n_low)) & 1) - 1 if i >= n_low else -1
    weight, total = 0.0, 0
    for i in range(n):
        local[i] = fields[i]
        for k in range(start[i], start[i + 1]):
            local[i] += coupling[k] * spins[neighbour[k]]
        weight += 0.5 * spins[i] * (local[i] + fields[i])
        total += spins[i]
    return weight, total


@nb.njit(cache=True, nogil=True)
def block_sums(first, n_low, start, neighbour, coupling, fields, beta, out):
    """Sum over the 2^n_low settings of the low spins for each setting first, first + 1, … of the high ones.

    Row r of out (n_blocks, 8) receives the block's lowest energy e0 and, with w = exp(−β(H − e0)), e = H − e0 and
    M = Σs, the sums of w, we, we², wM, w|M|, wM², wM⁴. Each step of the Gray code flips one spin.
    """
    n = fields.shape[0]
    spins = np.empty(n, dtype=np.int64)
    local = np.empty(n)
    energies = np.empty(1 << n_low)
    totals = np.empty(1 << n_low, dtype=np.int64)
    for r in range(out.shape[0]):
        minus_energy, total = _start(first + r, n_low, start, neighbour, coupling, fields, spins, local)
        energies[0], totals[0] = -minus_energy, total
        for step in range(1, 1 << n_low):
            flip = 0
            while not (step >> flip) & 1:
                flip += 1
            minus_energy -= 2 * spins[flip] * local[flip]
            spins[flip] = -spins[flip]
            total += 2 * spins[flip]
            for k in range(start[flip], start[flip + 1]):
                local[neighbour[k]] += 2 * coupling[k] * spins[flip]
            energies[step], totals[step] = -minus_energy, total
        _sum_block(energies, totals, beta, out[r])


@nb.njit(cache=True, nogil=True)
def _sum_block(energies, totals, beta, out):
    lowest = energies.min()
    out[:] = 0.0
    out[0] = lowest
    for k in range(energies.shape[0]):
        excess, square = energies[k] - lowest, float(totals[k] * totals[k])
        weight = np.exp(-beta * excess)
        out[1] += weight
        out[2] += weight * excess
        out[3] += weight * excess * excess
        out[4] += weight * totals[k]
        out[5] += weight * abs(totals[k])
        out[6] += weight * square
        out[7] += weight * square * square

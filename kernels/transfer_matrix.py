"""Site-by-site transfer matrix with moments: log weights, energy and magnetisation given the frontier's spins.

``states`` (2^width, 7) holds for each frontier (bit j set: spin +1 in column j) the log of its summed weight, then the
mean and variance of the energy and the mean of M, M², M³, M⁴ over the spins already summed, with M their total.
"""

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def _mix(states, a, b, shift, beta, s, out):
    """Write the sum of row a with energy +shift and row b with −shift to out (7,), then add spin s to M."""
    if states[a, 0] == -np.inf and states[b, 0] == -np.inf:
        out[:] = 0.0
        out[0] = -np.inf
        return
    difference = states[b, 0] - states[a, 0] + 2 * beta * shift
    ratio = np.exp(-abs(difference))
    larger = states[b, 0] + beta * shift if difference > 0 else states[a, 0] - beta * shift
    p = 1 / (1 + ratio) if difference > 0 else ratio / (1 + ratio)
    q = ratio / (1 + ratio) if difference > 0 else 1 / (1 + ratio)
    gap = states[b, 1] - states[a, 1] - 2 * shift
    out[0] = larger + np.log1p(ratio)
    out[1] = q * (states[a, 1] + shift) + p * (states[b, 1] - shift)
    out[2] = q * states[a, 2] + p * states[b, 2] + p * q * gap * gap
    m1, m2 = q * states[a, 3] + p * states[b, 3], q * states[a, 4] + p * states[b, 4]
    m3, m4 = q * states[a, 5] + p * states[b, 5], q * states[a, 6] + p * states[b, 6]
    out[3] = m1 + s
    out[4] = m2 + 2 * s * m1 + 1
    out[5] = m3 + 3 * s * m2 + 3 * m1 + s
    out[6] = m4 + 4 * s * m3 + 6 * m2 + 4 * s * m1 + 1


@nb.njit(cache=True, nogil=True)
def _add_site(states, j, along, left, wrap, field, beta, scratch):
    """Replace the spin of column j by its successor along the strip, summing over the old one."""
    width_bit, last_bit = 1 << j, states.shape[0] >> 1
    for low in range(states.shape[0]):
        if low & width_bit:
            continue
        high = low | width_bit
        _mix(states, low, high, -along, beta, -1, scratch[0])
        _mix(states, low, high, along, beta, 1, scratch[1])
        for up in range(2):
            s, row = 2 * up - 1, high if up else low
            energy = -field * s
            if j > 0:
                energy -= left * s * (1 if row & (width_bit >> 1) else -1)
            if width_bit == last_bit:
                energy -= wrap * s * (1 if row & 1 else -1)
            scratch[up, 0] -= beta * energy
            scratch[up, 1] += energy
            states[row] = scratch[up]


@nb.njit(cache=True, nogil=True)
def sweep(across, along, fields, beta, states):
    """Carry states (2^width, 7) in place through all rows of the strip.

    across, along, fields (length, width): couplings to the site on the left (column 0: to the last column) and in the
    row before, and fields.
    """
    length, width = fields.shape
    scratch = np.empty((2, 7))
    for i in range(length):
        for j in range(width):
            wrap = across[i, 0] if width > 1 else 0.0
            _add_site(states, j, along[i, j], across[i, j], wrap, fields[i, j], beta, scratch)


@nb.njit(cache=True, nogil=True)
def closed_sweeps(first, across, along, fields, beta, out):
    """Write row r of the states that a sweep makes from frontier r alone to out[r − first], r = first, …"""
    states = np.empty((1 << fields.shape[1], 7))
    for k in range(out.shape[0]):
        states[:] = 0.0
        states[:, 0] = -np.inf
        states[first + k, 0] = 0.0
        sweep(across, along, fields, beta, states)
        out[k] = states[first + k]

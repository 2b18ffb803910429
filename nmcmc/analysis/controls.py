"""Control variates: what other observables explain of one that is dear, with their means from a longer run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nmcmc.analysis.quantity import Quantity
from nmcmc.types import Floats

RIDGES = (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 1e12)
"""Ridges that are tried, in units of the variance of a control; the last one is as good as no controls."""

_ROUNDING = 64 * float(np.finfo(np.float64).eps)


def controlled(
    values: Floats, controls: Floats, means: Sequence[Quantity], weights: Floats | None = None
) -> tuple[Floats, Quantity]:
    """Return v − c·(g − ḡ) and c·(ḡ − ⟨g⟩): values of the same mean that fluctuate less, and the noise of ḡ.

    The mean of the values plus the second result, whose value is 0, is an estimate of ⟨v⟩ with all its noise. The
    slopes c are a ridge regression of v on g, of one half of the states for the other half, so that no state takes part
    in its own. The ridge is the one that leaves the least scatter, up to c = 0: controls of which one half has seen
    too little, such as rare excitations of a cold system, do no harm. Half of independent draws (n,) is every second
    one, half of the chains (n_chains, n_draws) is every second chain.

    Parameters
    ----------
    values : v, (n,) or (n_chains, n_draws). controls : g, (n_controls, *shape of v).
    means : ⟨g⟩ from other states, one for each, with sources of their own. weights : of the states, for the slopes.

    Raises
    ------
    ValueError : for fewer than two chains or 4 states for each control, or another number of means.

    References
    ----------
    J. M. Hammersley and D. C. Handscomb, Monte Carlo Methods (1964), chapter 5.
    """
    controls = np.asarray(controls, dtype=np.float64)
    if controls.shape != (len(means), *values.shape) or len(values) < 2 or values.size < 4 * len(means):
        raise ValueError(
            f"there are {len(means)} means for controls of shape {controls.shape} and values of shape {values.shape}; "
            "give one mean and one row of controls for each, two chains or more, and 4 states for each control"
        )
    centred = controls - np.array([mean.value for mean in means]).reshape(-1, *(1,) * values.ndim)
    share = np.ones_like(values) if weights is None else weights
    flat = centred.reshape(len(means), -1)
    scale = flat.std(axis=1)
    scale[scale <= _ROUNDING * np.abs(flat).max(axis=1)] = 1.0  # one that never varies explains nothing
    scaled = centred / scale.reshape(-1, *(1,) * values.ndim)
    halves = [_Half(values[k::2].ravel(), scaled[:, k::2].reshape(len(means), -1), share[k::2].ravel()) for k in (0, 1)]
    ridge = min(RIDGES, key=lambda r: sum(halves[k].scatter(halves[1 - k].slopes(r)) for k in (0, 1)))
    slopes = [half.slopes(ridge) for half in halves]
    better = values.copy()
    for k in range(2):
        better[k::2] -= np.tensordot(slopes[1 - k], scaled[:, k::2], axes=1)
    mean_slopes = (0.5 * (slopes[0] + slopes[1]) / scale).tolist()
    noise = sum((c * (g - g.value) for c, g in zip(mean_slopes, means, strict=True)), Quantity(0.0))
    return better, noise


@dataclass(frozen=True)
class _Half:
    """Values (n,), scaled controls (k, n) and weights (n,) of half of the states."""

    values: Floats
    controls: Floats
    weights: Floats

    @cached_property
    def _decomposed(self) -> tuple[Floats, Floats, Floats]:
        """Return V, the singular values and U^T v of the weighted controls about their means."""
        share = self.weights / self.weights.sum()
        root = np.sqrt(share)
        columns = (self.controls - (self.controls @ share)[:, None]) * root
        u, s, vt = np.linalg.svd(columns.T, full_matrices=False)
        return vt.T, s, u.T @ ((self.values - self.values @ share) * root)

    def slopes(self, ridge: float) -> Floats:
        """Return the c that minimise ⟨(v − c·g)²⟩ + ridge c², (k,)."""
        v, s, projected = self._decomposed
        c: Floats = v @ (s * projected / (s**2 + ridge))
        return c

    def scatter(self, slopes: Floats) -> float:
        """Return the variance that slopes leave in this half."""
        rest = self.values - slopes @ self.controls
        mean = np.average(rest, weights=self.weights)
        return float(np.average((rest - mean) ** 2, weights=self.weights))

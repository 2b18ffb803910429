"""Control variates: what other observables explain of one that is dear, with their means from a longer run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmcmc.analysis.quantity import Quantity
from nmcmc.types import Floats


def controlled(
    values: Floats, controls: Floats, means: Sequence[Quantity], weights: Floats | None = None
) -> tuple[Floats, Quantity]:
    """Return v − c·(g − ḡ) and c·(ḡ − ⟨g⟩): values of the same mean that fluctuate less, and the noise of ḡ.

    The mean of the values plus the second result, whose value is 0, is an estimate of ⟨v⟩ with all its noise. The
    slopes c are least squares of v on g, of one half of the states for the other half, which leaves no bias. Half of
    independent draws (n,) is every second one, half of the chains (n_chains, n_draws) is every second chain.

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
    root = np.sqrt(np.ones_like(values) if weights is None else weights)
    slopes = np.stack([_slopes(values[k::2], centred[:, k::2], root[k::2]) for k in range(2)])
    better = values.copy()
    for k in range(2):
        better[k::2] -= np.tensordot(slopes[1 - k], centred[:, k::2], axes=1)
    noise = sum((c * (g - g.value) for c, g in zip(slopes.mean(axis=0).tolist(), means, strict=True)), Quantity(0.0))
    return better, noise


def _slopes(values: Floats, centred: Floats, root: Floats) -> Floats:
    columns = np.concatenate([np.ones((1, values.size)), centred.reshape(len(centred), -1)]) * root.ravel()
    scale = np.linalg.norm(columns, axis=1)
    scale[scale == 0] = 1.0
    found: Floats = np.linalg.lstsq((columns / scale[:, None]).T, values.ravel() * root.ravel(), rcond=1e-8)[0]
    slopes: Floats = (found / scale)[1:]
    return slopes

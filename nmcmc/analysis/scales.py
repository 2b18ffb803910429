"""What an update costs in sweeps, and how the estimate of τ_int settles as chains grow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmcmc.analysis.autocorrelation import checked_series, estimate_mean
from nmcmc.types import Floats, Ints

LEAST_DRAWS = 16


@dataclass(frozen=True)
class TauGrowth:
    """τ_int from the first n_draws draws of every chain: arrays (n_lengths,); NaN where nothing varies yet."""

    n_draws: Ints
    tau_int: Floats
    tau_int_error: Floats


def tau_against_length(series: Floats) -> TauGrowth:
    """Return τ_int of the first n, n/2, n/4, … ≥ 16 draws of chains (n_chains, n_draws), short ones first.

    A chain that is long enough has estimates that agree within their errors over the last few lengths. If they still
    grow, there is a slower mode than the chain can see.

    Raises
    ------
    ValueError, FloatingPointError : as `autocorrelation.checked_series`.
    """
    series = checked_series(series)
    lengths = [series.shape[1]]
    while lengths[-1] // 2 >= LEAST_DRAWS:
        lengths.append(lengths[-1] // 2)
    lengths.reverse()
    found = [estimate_mean(series[:, :length]) for length in lengths]
    return TauGrowth(
        np.array(lengths), np.array([e.tau_int for e in found]), np.array([e.tau_int_error for e in found])
    )


def sweeps_per_update(stats: Mapping[str, npt.NDArray[Any]], n_spins: int) -> float:
    """Return how many times an update visits every spin: flipped spins of Wolff clusters over N, else 1.

    A neural proposal draws every spin once and a Swendsen–Wang update puts every spin into a cluster; local updates are
    taken to make one sweep.
    """
    sizes = stats.get("cluster_size")
    return 1.0 if sizes is None else float(np.mean(sizes)) / n_spins

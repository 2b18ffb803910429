"""The error of one quantity by every rule that there is: what depends on the rule is not known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nmcmc.analysis.autocorrelation import equal_series, estimate_function, linear_part
from nmcmc.analysis.burn_in import burn_in
from nmcmc.analysis.modes import LEAST_DRAWS, split_rhat
from nmcmc.analysis.resampling import binned_mean, jackknife_function
from nmcmc.analysis.windows import AutomaticWindow, SokalWindow, TailWindow, Window
from nmcmc.types import Estimate, Floats


@dataclass(frozen=True)
class Rules:
    """What the rules take: S of the automatic window, τ_exp of the tail, c of Sokal's window.

    Raises
    ------
    ValueError : if one of them is not positive and finite.
    """

    s: float = 1.5
    tau_exp: float = 0.5
    c: float = 5.0

    def __post_init__(self) -> None:
        AutomaticWindow(self.s), TailWindow(self.tau_exp), SokalWindow(self.c)


def cross_checks(
    function: Callable[..., float], series_list: Sequence[Floats], rules: Rules | None = None
) -> dict[str, Estimate]:
    """Return f(⟨a⟩, ⟨b⟩, …) by name of the rule for its error: gamma, tail, sokal, binning, jackknife.

    "gamma", "tail" and "sokal" are `estimate_function` with `AutomaticWindow`, `TailWindow` and `SokalWindow`.
    "binning" is the error of the mean of the linearised fluctuation by bins, and the only value without correction of
    its bias; "jackknife" leaves out bins of f itself. For a plain mean binning and jackknife are one and the same.

    Parameters
    ----------
    function, series_list : as in `estimate_function`.
    rules : what the windows take.

    Raises
    ------
    ValueError, FloatingPointError : as `estimate_function`.
    """
    rules = Rules() if rules is None else rules
    windows: dict[str, Window] = {
        "gamma": AutomaticWindow(rules.s),
        "tail": TailWindow(rules.tau_exp),
        "sokal": SokalWindow(rules.c),
    }
    found = {name: estimate_function(function, series_list, window) for name, window in windows.items()}
    part = linear_part(function, equal_series(series_list))
    binned = replace(binned_mean(part.fluctuation), value=part.value) if part.finite else part.nothing()
    return found | {"binning": binned, "jackknife": jackknife_function(function, series_list)}


def mixing(function: Callable[..., float], series_list: Sequence[Floats]) -> dict[str, Estimate]:
    """Return burn_in and split_rhat of the linearised fluctuation of f(⟨a⟩, ⟨b⟩, …); nothing where there is none.

    Raises
    ------
    ValueError, FloatingPointError : as `estimate_function`.
    """
    part = linear_part(function, equal_series(series_list))
    if not part.finite or not np.any(part.fluctuation):
        return {}
    found = {"burn_in": burn_in(part.fluctuation)}
    return found | ({"split_rhat": split_rhat(part.fluctuation)} if part.fluctuation.shape[1] >= LEAST_DRAWS else {})


def slowest(estimates: Sequence[Estimate]) -> float:
    """Return the largest τ_int, at least ½: no observable of a reversible chain has one much larger than τ_exp."""
    return max([0.5, *(e.tau_int for e in estimates if math.isfinite(e.tau_int))])

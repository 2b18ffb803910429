"""The error of every observable of a stored chain by several rules side by side, and whether the chain has mixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmcmc.analysis.autocorrelation import estimate_function
from nmcmc.analysis.compare import to_json
from nmcmc.analysis.cross_checks import Rules, cross_checks, mixing, slowest
from nmcmc.analysis.observables import RECORDED, beyond_lattice, formulas, moments
from nmcmc.analysis.scales import sweeps_per_update
from nmcmc.analysis.spectrum import predicted_tau_exp
from nmcmc.analysis.windows import AutomaticWindow
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.experiment.summary import finite, formula_extents
from nmcmc.types import Chain, Estimate, Floats

Quantities = Mapping[str, tuple[Callable[..., float], Sequence[Floats]]]
"""Name → a function of means, and the series of which they are."""


@dataclass(frozen=True)
class ErrorOptions:
    """S of the automatic window, and the decay time τ_exp of the slowest mode in updates, None for `slowest_mode`.

    Raises
    ------
    ValueError : if one of them is not positive and finite.
    """

    s: float = 1.5
    tau_exp: float | None = None

    def __post_init__(self) -> None:
        Rules(self.s, Rules.tau_exp if self.tau_exp is None else self.tau_exp)


def error_numbers(
    chain: Chain, target: Boltzmann, options: ErrorOptions, seconds_per_update: float | None = None
) -> dict[str, Any]:
    """Return `cross_checks` and `mixing` of every observable and every other series of a chain, and what rules took.

    τ_int is given in updates, sweeps and, where it is known what an update took, in seconds.
    """
    quantities, tau_exp, origin = quantities_of(chain, target), options.tau_exp, "given"
    if tau_exp is None:
        tau_exp, origin = slowest_mode(chain, quantities, options.s)
    rules = Rules(options.s, tau_exp)
    units = {"sweeps": sweeps_per_update(chain.stats, target.n_spins), "seconds": seconds_per_update}
    found = {}
    for name, (function, series) in quantities.items():
        checks = cross_checks(function, series, rules)
        if name == "correlation_length" and (extents := formula_extents(target)):
            checks = {rule: beyond_lattice(each, extents) for rule, each in checks.items()}
        found[name] = {rule: _row(each, units) for rule, each in checks.items()}
        found[name] |= {key: to_json(each) for key, each in mixing(function, series).items()}
    taken = {"s": rules.s, "tau_exp": rules.tau_exp, "tau_exp_from": origin, "sokal_c": rules.c}
    return {"errors": found, "error_rules": taken | {f"{unit}_per_update": worth for unit, worth in units.items()}}


def quantities_of(chain: Chain, target: Boltzmann) -> Quantities:
    """Return what is estimated: the quantities of `observables.derive`, and means of whatever else was recorded."""
    series = chain.series
    recorded = moments(series["energy"] / target.n_spins, series["magnetization"], series.get("structure_factor"))
    table = {
        name: (function, [recorded[moment] for moment in names])
        for name, (function, names) in formulas(target.n_spins, target.beta, formula_extents(target)).items()
        if all(moment in recorded for moment in names)
    }
    others = [name for name in series if name not in (*RECORDED, *table)]
    return table | {name: (lambda mean: mean, [series[name]]) for name in others}


def slowest_mode(chain: Chain, quantities: Quantities, s: float) -> tuple[float, str]:
    """Return τ_exp in updates and where it is from: the largest τ_int, or for a neural chain its largest weight's.

    Both are lower bounds of the true one: of modes that no observable sees and no draw has met nobody knows.
    """
    window = AutomaticWindow(s)
    found = slowest([estimate_function(function, series, window) for function, series in quantities.values()])
    weights = chain.stats.get("proposal_log_weight")
    if weights is not None:
        predicted = predicted_tau_exp(np.ascontiguousarray(weights).ravel()).value
        if predicted > found:
            return predicted, "largest weight"
    return found, "largest tau_int"


def _row(estimate: Estimate, units: Mapping[str, float | None]) -> dict[str, Any]:
    row: dict[str, Any] = {**to_json(estimate), "window": estimate.window}
    for unit, worth in units.items():
        row[f"tau_{unit}"] = None if worth is None else finite(worth * estimate.tau_int)
        row[f"tau_{unit}_error"] = None if worth is None else finite(worth * estimate.tau_int_error)
    return row

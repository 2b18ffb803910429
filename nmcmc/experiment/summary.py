"""Numbers for people and programs: one dictionary of the same keys whatever made them, unknown values null."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from nmcmc.analysis import importance
from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.compare import to_json
from nmcmc.analysis.observables import derive
from nmcmc.analysis.spectrum import predicted_acceptance, predicted_tau_int
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.exact.known import exact_values
from nmcmc.experiment.build import lattice_energy, torus_extents
from nmcmc.types import Chain, Estimate, Floats

KEYS = (
    "command",
    "lattice",
    "boundary",
    "beta",
    "n_samples",
    "n_draws",
    "ess_fraction",
    "kl",
    "var_log_weight",
    "log_z",
    "free_energy_per_spin",
    "entropy_per_spin",
    "acceptance_rate",
    "predicted_acceptance",
    "predicted_tau_int",
    "observables",
    "mode_drop",
    "seconds",
    "seed",
    "versions",
)


def summarize(command: str, target: Boltzmann, **known: Any) -> dict[str, Any]:
    """Return the dictionary of a command: the given values by name, null for every other key of `KEYS`."""
    lattice = lattice_energy(target).lattice
    summary: dict[str, Any] = dict.fromkeys(KEYS)
    summary |= {"command": command, "lattice": str(lattice), "boundary": ",".join(lattice.boundary)}
    summary |= {"beta": target.beta, "versions": versions()}
    return summary | known


def versions() -> dict[str, str]:
    """Return the versions of nmcmc and of what its numbers depend on."""
    return {name: version(name) for name in ("nmcmc", "torch", "numpy", "numba", "h5py")}


def chain_estimates(chain: Chain, target: Boltzmann) -> dict[str, Estimate]:
    """Return the estimates of all observables of a chain."""
    energy = lattice_energy(target)
    return derive(chain.series, energy.n_spins, target.beta, torus_extents(energy.lattice))


def with_exact(estimates: Mapping[str, Estimate], exact: Mapping[str, float]) -> dict[str, Any]:
    """Return estimates as JSON values, each with its exact value or null."""
    return {name: {**to_json(estimate), "exact": exact.get(name)} for name, estimate in estimates.items()}


def chain_numbers(chain: Chain, target: Boltzmann) -> dict[str, Any]:
    """Return what a chain alone tells: n_samples, observables with exact values, acceptance_rate."""
    numbers: dict[str, Any] = {
        "n_samples": chain.n_chains * chain.n_draws,
        "observables": with_exact(chain_estimates(chain, target), exact_values(lattice_energy(target), target.beta)),
    }
    if "accepted" in chain.stats:
        numbers["acceptance_rate"] = to_json(acceptance_rate(chain))
    return numbers


def acceptance_rate(chain: Chain) -> Estimate:
    """Return the acceptance rate of a chain of proposals: the mean of min(1, ratio) where the ratios are recorded."""
    stats = chain.stats
    if {"log_weight", "proposal_log_weight"} <= set(stats):
        before = np.asarray(stats["log_weight"])[:, :-1]
        ratio = np.asarray(stats["proposal_log_weight"])[:, 1:] - before
        return estimate_mean(np.exp(np.minimum(ratio, 0.0)))
    return estimate_mean(np.asarray(stats["accepted"], dtype=np.float64))


def weight_numbers(weights: Floats, target: Boltzmann) -> dict[str, Any]:
    """Return what the log weights (n,) of fresh draws tell: the sampler's quality, log Z, free energy, predictions."""
    exact = exact_values(lattice_energy(target), target.beta)
    log_z = exact.get("log_z")
    numbers: dict[str, Any] = {
        "n_draws": len(weights),
        "ess_fraction": to_json(importance.ess_fraction(weights)),
        "kl": None if log_z is None else to_json(importance.kl(weights, log_z)),
        "var_log_weight": to_json(importance.var_log_weight(weights)),
        "log_z": {**to_json(importance.log_z(weights)), "exact": log_z},
        "predicted_acceptance": to_json(predicted_acceptance(weights)),
    }
    if target.beta > 0:
        free = importance.free_energy_per_spin(weights, target.n_spins, target.beta)
        numbers["free_energy_per_spin"] = {**to_json(free), "exact": exact.get("free_energy_per_spin")}
    return numbers


def draw_numbers(draws: Mapping[str, Floats], target: Boltzmann) -> dict[str, Any]:
    """Return what fresh draws of a sampler tell: `weight_numbers`, the entropy and predicted τ_int."""
    weights = draws["log_weight"]
    entropy = importance.entropy_per_spin(draws["energy"], weights, target.n_spins, target.beta)
    exact = exact_values(lattice_energy(target), target.beta).get("entropy_per_spin")
    return {
        **weight_numbers(weights, target),
        "predicted_tau_int": _predicted_tau(draws),
        "entropy_per_spin": {**to_json(entropy), "exact": exact},
    }


def _predicted_tau(draws: Mapping[str, Floats]) -> dict[str, float | None]:
    series = {"energy_per_spin": draws["energy"], "abs_magnetization": np.abs(draws["magnetization"])}
    return {
        name: predicted_tau_int(values, draws["log_weight"]) if np.ptp(values) > 0 else None
        for name, values in series.items()
    }


def unreliable(summary: Any, name: str = "") -> Iterator[str]:
    """Yield "name: why" for every estimate inside a summary that says that it cannot be believed."""
    if isinstance(summary, Mapping):
        if summary.get("reliable") is False:
            yield f"{name}: {summary.get('why')}"
        for key, value in summary.items():
            yield from unreliable(value, f"{name}.{key}" if name else str(key))

"""Numbers for people and programs: one dictionary of the same keys whatever made them, unknown values null."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from nmcmc.analysis import importance
from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.burn_in import burn_in
from nmcmc.analysis.compare import Row, to_json
from nmcmc.analysis.modes import LEAST_DRAWS, share_up, signs_up, split_rhat
from nmcmc.analysis.observables import RECORDED, derive
from nmcmc.analysis.scales import sweeps_per_update
from nmcmc.analysis.spectrum import predict, predicted_acceptance, predicted_tau_exp
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.energies.mean_field import CurieWeissEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.known import exact_values
from nmcmc.experiment.build import pairwise_energy, torus_extents
from nmcmc.experiment.configurations import Configurations
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.divergence import kl_of_levels
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.types import Chain, Estimate, Floats, Sampler

KEYS = (
    "command",
    "system",
    "n_spins",
    "lattice",
    "boundary",
    "coupling",
    "field",
    "beta",
    "seed",
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
    "predicted_tau_exp",
    "pareto_k",
    "tau_sweeps",
    "tau_seconds",
    "burn_in",
    "split_rhat",
    "share_up",
    "mode_drop",
    "observables",
    "seconds",
    "versions",
)
LARGEST_DEVIATION = 5.0
"""Combined σ beyond which two results are taken to disagree."""
MOST_NAMES = 12
"""Names that share a cause; more are counted."""
LEAST_STEPS = 4
"""Fewer steps of a chain have no autocorrelation function."""
_ROUNDING, _EXACT_ROUNDING = 1e-12, 1e-9


def summarize(command: str, target: Boltzmann, **known: Any) -> dict[str, Any]:
    """Return the dictionary of a command: the given values by name, null for every other key of `KEYS`."""
    energy = pairwise_energy(target)
    summary: dict[str, Any] = dict.fromkeys(KEYS)
    summary |= {"command": command, "n_spins": energy.n_spins, "beta": target.beta, "versions": versions()}
    return summary | _system(energy) | known


def _system(energy: PairwiseEnergy) -> dict[str, Any]:
    """Return what a system is, where a few words say it."""
    if isinstance(energy, CurieWeissEnergy):
        return {"system": "curie-weiss", "coupling": f"{energy.coupling:g}", "field": energy.field}
    if not isinstance(energy, LatticeEnergy):
        return {"system": "pairwise"}
    couplings, lattice = energy.axis_couplings, energy.lattice
    return {
        "system": "lattice",
        "lattice": str(lattice),
        "boundary": ",".join(lattice.boundary),
        "coupling": None if couplings is None else ",".join(f"{j:g}" for j in couplings),
        "field": float(energy.fields[0]) if energy.is_uniform else None,
    }


def versions() -> dict[str, str]:
    """Return the versions of nmcmc and of what its numbers depend on."""
    return {name: version(name) for name in ("nmcmc", "torch", "numpy", "numba", "h5py")}


def known_exactly(target: Boltzmann) -> dict[str, float]:
    """Return what is exactly known of a target, name → value; without a field ⟨m⟩ is 0 by symmetry."""
    energy = pairwise_energy(target)
    return exact_values(energy, target.beta) | ({} if energy.has_field else {"magnetization": 0.0})


def chain_estimates(chain: Chain, target: Boltzmann) -> dict[str, Estimate]:
    """Return the estimates of all observables of a chain: what its energies and m give, and means of all else."""
    others = {name: estimate_mean(series) for name, series in chain.series.items() if name not in RECORDED}
    return derive(chain.series, target.n_spins, target.beta, formula_extents(target)) | others


def formula_extents(target: Boltzmann) -> tuple[int, ...] | None:
    """Return the extents of a torus without a field, else None: in a field the correlation length would measure ⟨m⟩."""
    return None if pairwise_energy(target).has_field else torus_extents(target)


def with_exact(estimates: Mapping[str, Estimate], exact: Mapping[str, float]) -> dict[str, Any]:
    """Return estimates as JSON values, each with its exact value or null."""
    return {name: {**to_json(estimate), "exact": exact.get(name)} for name, estimate in estimates.items()}


def chain_numbers(chain: Chain, target: Boltzmann) -> dict[str, Any]:
    """Return what a chain alone tells: observables with exact values, acceptance_rate, whether it mixes."""
    estimates = chain_estimates(chain, target)
    numbers: dict[str, Any] = {
        "n_samples": chain.n_chains * chain.n_draws,
        "observables": with_exact(estimates, known_exactly(target)),
    }
    if "accepted" in chain.stats:
        numbers["acceptance_rate"] = to_json(acceptance_rate(chain))
    numbers["tau_sweeps"] = tau_times(numbers["observables"], sweeps_per_update(chain.stats, target.n_spins))
    return numbers | mixing_numbers(chain, target)


def tau_times(observables: Mapping[str, Any], factor: float | None) -> dict[str, Any] | None:
    """Return τ_int of energy and |m| in a unit of which an update is worth ``factor``; null where that is not known."""
    if factor is None:
        return None
    taus = {}
    for name in ("energy_per_spin", "abs_magnetization"):
        tau, error = (observables[name][key] for key in ("tau_int", "tau_int_error"))
        taus[name] = None if tau is None or error is None else {"value": factor * tau, "error": factor * error}
    return taus


def mixing_numbers(chain: Chain, target: Boltzmann) -> dict[str, Any]:
    """Return whether the chains have forgotten their starts and seen the same states: the worst of energy and m."""
    series = [chain.series["energy"], chain.series["magnetization"]]
    numbers = {"burn_in": to_json(max((burn_in(each) for each in series), key=lambda e: e.value))}
    if chain.n_draws >= LEAST_DRAWS:
        numbers["split_rhat"] = to_json(max((split_rhat(each) for each in series), key=lambda e: e.value))
    if not pairwise_energy(target).has_field and np.any(series[1]):
        numbers["share_up"] = {**to_json(share_up(series[1])), "exact": 0.5}
    return numbers


def acceptance_rate(chain: Chain) -> Estimate:
    """Return the acceptance rate of a chain of proposals: the mean of min(1, ratio) where the ratios are recorded."""
    stats = chain.stats
    if not {"log_weight", "proposal_log_weight"} <= set(stats):
        return estimate_mean(np.asarray(stats["accepted"], dtype=np.float64))
    before = np.asarray(stats["log_weight"])[:, :-1]
    ratio = np.asarray(stats["proposal_log_weight"])[:, 1:] - before
    if ratio.shape[1] < LEAST_STEPS:
        why = f"only {ratio.shape[1]} steps of each chain; an acceptance rate with an error needs {LEAST_STEPS}"
        rate = float(np.mean(np.exp(np.minimum(ratio, 0.0)))) if ratio.size else math.nan
        return Estimate(rate, math.inf, n=ratio.size, reliable=False, why=why)
    if np.all(np.abs(ratio) < _ROUNDING * np.maximum(1.0, np.abs(before))):
        return Estimate(1.0, _ROUNDING, n=ratio.size)  # an exact sampler: all weights are equal
    return estimate_mean(np.exp(np.minimum(ratio, 0.0)))


def weight_numbers(weights: Floats, target: Boltzmann) -> dict[str, Any]:
    """Return what the log weights (n,) of fresh draws tell: the sampler's quality, log Z, free energy, predictions."""
    exact = known_exactly(target)
    log_z = exact.get("log_z")
    numbers: dict[str, Any] = {
        "n_draws": len(weights),
        "ess_fraction": to_json(importance.ess_fraction(weights)),
        "kl": None if log_z is None else to_json(importance.kl(weights, log_z)),
        "var_log_weight": to_json(importance.var_log_weight(weights)),
        "log_z": {**to_json(importance.log_z(weights)), "exact": log_z},
        "pareto_k": to_json(importance.weight_tail(weights)),
        "predicted_acceptance": to_json(predicted_acceptance(weights)),
        "predicted_tau_exp": to_json(predicted_tau_exp(weights)),
    }
    if target.beta > 0:
        free = importance.free_energy_per_spin(weights, target.n_spins, target.beta)
        numbers["free_energy_per_spin"] = {**to_json(free), "exact": exact.get("free_energy_per_spin")}
    return numbers


def draw_numbers(draws: Mapping[str, Floats], target: Boltzmann) -> dict[str, Any]:
    """Return what fresh draws of a sampler tell: `weight_numbers`, weighted observables, entropy, predicted τ_int."""
    weights, exact = draws["log_weight"], known_exactly(target)
    weighted = importance.derive_importance(
        draws["energy"], draws["magnetization"], weights, target.n_spins, target.beta
    )
    entropy = importance.entropy_per_spin(draws["energy"], weights, target.n_spins, target.beta)
    predictions = predict(draws["energy"], draws["magnetization"], weights, target.n_spins, target.beta)
    symmetry: dict[str, Any] = {}
    if not pairwise_energy(target).has_field and np.any(draws["magnetization"]):
        up = importance.importance_mean(signs_up(draws["magnetization"]), weights)
        symmetry["share_up"] = {**to_json(up), "exact": 0.5}
    return {
        **weight_numbers(weights, target),
        **symmetry,
        "predicted_tau_int": {name: _predicted_tau(predictions.get(name)) for name in weighted},
        "entropy_per_spin": {**to_json(entropy), "exact": exact.get("entropy_per_spin")},
        "observables": with_exact(weighted, exact),
    }


def level_numbers(sampler: Sampler, target: Boltzmann, rng: Rng) -> dict[str, Any]:
    """Return the share of every net in KL(q‖p), with borders from configurations of the target, by its key.

    Raises
    ------
    ValueError : if the sampler is not a hierarchy.
    """
    if not isinstance(sampler, HierarchicalSampler):
        raise ValueError("only a hierarchical sampler by itself has levels; leave out --levels or --translations")
    configurations = Configurations(target, rng.child("data"))(0)
    return {key: to_json(kl) for key, kl in kl_of_levels(sampler, configurations, rng.child("draws")).items()}


def proposal_numbers(chain: Chain, target: Boltzmann) -> dict[str, Any]:
    """Return `weight_numbers` of the proposals of a neural chain; nothing for other chains."""
    proposals = chain.stats.get("proposal_log_weight")
    return {} if proposals is None else weight_numbers(np.ascontiguousarray(proposals).ravel(), target)


def _predicted_tau(tau: Estimate | None) -> dict[str, Any] | None:
    """Return τ_int and its verdict as a JSON value, null for what does not vary where there is weight."""
    if tau is None:
        return None
    return {"value": tau.value, "error": finite(tau.error), "reliable": tau.reliable, "why": tau.why}


def row_numbers(row: Row) -> dict[str, Any]:
    """Return a row of a comparison as JSON values."""
    values = {name: getattr(row, name) for name in ("exact", "deviation", "deviation_a", "deviation_b")}
    return {"a": row.a and to_json(row.a), "b": row.b and to_json(row.b)} | {k: finite(v) for k, v in values.items()}


def finite(value: float | None) -> float | None:
    """Return the value, or None if it is not finite: an error of zero says nothing about a deviation."""
    return value if value is not None and math.isfinite(value) else None


def deviation(entry: Mapping[str, Any]) -> float:
    """Return how many σ an estimate is off its exact value, beyond rounding; 0 if one of them is unknown."""
    value, error, exact = entry.get("value"), entry.get("error"), entry.get("exact")
    if value is None or error is None or exact is None:
        return 0.0
    excess = abs(value - exact) - _EXACT_ROUNDING * max(1.0, abs(exact))
    return 0.0 if excess <= 0 else excess / error if error > 0 else math.inf


def _distance(check: Mapping[str, Any]) -> str:
    """Say how far a failed check is off."""
    off = check["deviation"]
    if off is None:
        return "is not a number"
    return f"{off:+.1f} σ off the exact answer" if check["statistical"] else f"off by {off:.2g}"


def unreliable(summary: Any, name: str = "") -> Iterator[str]:
    """Yield a sentence for everything inside a summary that must not be believed."""
    if not isinstance(summary, Mapping):
        return
    if summary.get("reliable") is False:
        yield f"{name}: {summary.get('why')}"
    elif summary.get("passed") is False:
        yield f"{name}: {summary.get('why') or _distance(summary)}"
    elif (off := deviation(summary)) > LARGEST_DEVIATION:
        yield f"{name}: {off:.1f} σ off the exact value {summary['exact']:.9g}; a mode is missing, or more"
    worst = summary.get("worst_deviation")
    if worst is not None and worst > LARGEST_DEVIATION:
        yield f"the results disagree by {worst:.1f} combined σ; see the deviations"
    for key, value in summary.items():
        yield from unreliable(value, f"{name}.{key}" if name else str(key))


def remarks(summary: Any, name: str = "") -> Iterator[str]:
    """Yield a sentence for every estimate inside a summary that can be believed, but may not mean what one thinks."""
    if not isinstance(summary, Mapping):
        return
    if summary.get("reliable") is True and summary.get("why"):
        yield f"{name}: {summary['why']}"
    for key, value in summary.items():
        yield from remarks(value, f"{name}.{key}" if name else str(key))


def said_once(sentences: Iterable[str]) -> list[str]:
    """Return "name, name: why" for sentences "name: why", one for every why, in the order of the first ones.

    Of more than twelve names the first eleven are named, and the others counted.
    """
    names: dict[str, list[str]] = {}
    for sentence in sentences:
        name, colon, why = sentence.partition(": ")
        names.setdefault(why if colon else "", []).append(name)
    alone = names.pop("", [])
    return [f"{', '.join(_some(each))}: {why}" for why, each in names.items()] + alone


def _some(names: list[str]) -> list[str]:
    return names if len(names) <= MOST_NAMES else [*names[: MOST_NAMES - 1], f"{len(names) - MOST_NAMES + 1} more"]

"""The main job: train, draw, neural chain, Wolff chain, comparison, in one folder that holds everything."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nmcmc import plots
from nmcmc.analysis.compare import compare, to_json
from nmcmc.analysis.importance import mode_drop
from nmcmc.atomic import atomic, check_output
from nmcmc.config import ChainConfig, RunConfig, to_toml
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.exact.known import exact_values
from nmcmc.experiment.build import build_model, build_target, build_update, lattice_energy
from nmcmc.experiment.stages import (
    ChainResult,
    Options,
    Trained,
    chain_stage,
    draw_stage,
    refuse_leftovers,
    train_stage,
)
from nmcmc.experiment.summary import chain_estimates, chain_numbers, draw_numbers, summarize, unreliable
from nmcmc.random import Rng
from nmcmc.report import write_report
from nmcmc.samplers.store import AnySampler, save_sampler, to_bytes
from nmcmc.storage.files import write
from nmcmc.storage.record import Record, fingerprint
from nmcmc.storage.segments import SegmentStore
from nmcmc.types import Chain, Floats, Spins
from nmcmc.updates.independence import Independence

KEPT_CONFIGURATIONS = 4096
FILES = ("config.toml", "model.safetensors", "run.h5", "summary.json", "report.html")


@dataclass(frozen=True)
class Results:
    """Everything that the stages of a run have produced."""

    trained: Trained
    draws: dict[str, Floats]
    neural: ChainResult
    baseline: ChainResult
    weights_sha256: str


def run_command(config: RunConfig, out: Path, options: Options) -> dict[str, Any]:
    """Do the main job in the folder ``out`` and return its summary.

    Files: config.toml, model.safetensors, run.h5 (groups /neural and /wolff, or /heat-bath in a field), summary.json,
    report.html. Unfinished stages live in ``out/work``; with ``options.resume`` the run continues from there, and
    ends with the same numbers as an uninterrupted one.

    Raises
    ------
    FileExistsError : if the folder holds a run and neither overwrite nor resume is asked for.
    """
    work = out / "work"
    if options.resume and (out / "summary.json").exists():
        shutil.rmtree(work, ignore_errors=True)
        finished: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        return finished
    for name in FILES:
        check_output(out / name, options.overwrite or options.resume)
    refuse_leftovers(work, options)
    began = time.monotonic()
    with atomic(out / "config.toml") as temporary:
        temporary.write_text(to_toml(config), encoding="utf-8")
    results = _run_stages(config, work, options)
    summary = _summary(config, results)
    summary["seconds"]["total"] = time.monotonic() - began
    _write_files(config, out, results, summary)
    shutil.rmtree(work)
    return summary


def _run_stages(config: RunConfig, work: Path, options: Options) -> Results:
    rng, target = Rng(options.seed), build_target(config.system)
    baseline = "heat-bath" if lattice_energy(target).has_field else "wolff"
    update = build_update(baseline, target)
    trained = train_stage(config.system, config.sampler, config.training, options, work / "train.checkpoint")
    sampler = trained.sampler
    draws = draw_stage(sampler, target, config.n_evaluate, rng.child("evaluate"), options)
    weights = hashlib.sha256(to_bytes(sampler)).hexdigest()
    mark = fingerprint(build_model(target), options.seed, to_toml(config) + weights)

    def start(stream: Rng) -> Spins:
        spins: Spins = sampler.sample(config.chain.chains, stream.child("start")).spins.cpu().numpy()
        return spins

    chain = _kept(config.chain)
    neural = chain_stage(
        "neural chain",
        Independence(sampler, target),
        target,
        chain,
        rng.child("neural"),
        options,
        SegmentStore(work / "neural.segments", mark),
        start,
    )
    other = chain_stage(
        f"{baseline} chain",
        update,
        target,
        chain,
        rng.child(baseline),
        options,
        SegmentStore(work / f"{baseline}.segments", mark),
    )
    return Results(trained, draws, neural, other, weights)


def _kept(chain: ChainConfig) -> ChainConfig:
    """Return the chain settings with some thousand configurations kept, unless a thinning was asked for."""
    thin = chain.thin or max(1, chain.n_draws * chain.chains // KEPT_CONFIGURATIONS)
    return ChainConfig(chain.n_samples, chain.chains, chain.warmup, thin)


def _baseline_name(target: Boltzmann) -> str:
    return "heat-bath" if lattice_energy(target).has_field else "wolff"


def _summary(config: RunConfig, results: Results) -> dict[str, Any]:
    target, trained = results.trained.target, results.trained
    neural = chain_numbers(results.neural.chain, target)
    baseline = chain_numbers(results.baseline.chain, target)
    numbers = {**draw_numbers(results.draws, target), **neural}
    certificate = _mode_drop(trained.sampler, target, results.draws["log_weight"], results.baseline.chain)
    return summarize(
        "run",
        target,
        seed=config.seed,
        mode_drop=certificate,
        baseline=_baseline_name(target),
        wolff={"n_samples": baseline["n_samples"], "observables": baseline["observables"]},
        objective=trained.objective,
        n_parameters=sum(p.numel() for p in trained.sampler.parameters()),
        seconds={"train": trained.seconds, "sample": results.neural.seconds, "wolff": results.baseline.seconds},
        **numbers,
    )


def _mode_drop(sampler: AnySampler, target: Boltzmann, weights: Floats, chain: Chain) -> dict[str, Any] | None:
    """Return log of the share of p that the sampler covers, from configurations that the sampler did not propose."""
    if chain.spins is None or chain.spins.shape[1] < 4:
        return None
    spins = chain.spins.reshape(-1, target.n_spins)
    with torch.no_grad():
        log_prob = sampler.log_prob(torch.from_numpy(spins).to(sampler.device)).cpu().numpy()
    log_weight = (target.log_density(spins) - log_prob).reshape(chain.spins.shape[:2])
    return to_json(mode_drop(weights, log_weight))


def _write_files(config: RunConfig, out: Path, results: Results, summary: dict[str, Any]) -> None:
    target, trained, text = results.trained.target, results.trained, to_toml(config)
    notes = {"seed": config.seed, "objective": trained.objective, "steps": trained.steps}
    save_sampler(out / "model.safetensors", trained.sampler, notes)
    model = build_model(target)
    neural, other = results.neural, results.baseline
    records = {
        "neural": Record(
            neural.chain,
            model,
            config.seed,
            text,
            results.weights_sha256,
            trained.training or None,
            results.draws,
            neural.snapshot,
        ),
        _baseline_name(target): Record(other.chain, model, config.seed, text, snapshot=other.snapshot),
    }
    write(out / "run.h5", records, overwrite=True)
    lattice = lattice_energy(target).lattice
    title = f"nmcmc run: {lattice} Ising lattice at β = {target.beta:.6g}"
    write_report(out / "report.html", title, summary, _figures(results, target), overwrite=True)
    with atomic(out / "summary.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=1, allow_nan=False), encoding="utf-8")


def _figures(results: Results, target: Boltzmann) -> dict[str, bytes]:
    energy = lattice_energy(target)
    exact, label = exact_values(energy, target.beta), _baseline_name(target).replace("wolff", "Wolff")
    chains = {"neural chain": results.neural.chain, label: results.baseline.chain}
    estimates = [chain_estimates(chain, target) for chain in chains.values()]
    moving = {
        f"{name}, {symbol}": series
        for name, chain in chains.items()
        for symbol, series in (("E", chain.series["energy"]), ("|m|", np.abs(chain.series["magnetization"])))
        if np.ptp(series) > 0
    }
    free = exact.get("free_energy_per_spin")
    figures = {
        "log_weight_histogram": plots.log_weight_histogram(results.draws["log_weight"]),
        "observable_comparison": plots.observable_comparison(
            compare(estimates[0], estimates[1], exact), ("neural chain", label)
        ),
        "magnetization_histogram": plots.magnetization_histogram(
            {name: chain.series["magnetization"] for name, chain in chains.items()}, target.n_spins
        ),
    }
    if len(results.trained.training["step"]):
        figures["training_curve"] = plots.training_curve(
            results.trained.training, None if free is None else free * target.n_spins
        )
    if moving:
        figures["autocorrelation_functions"] = plots.autocorrelation_functions(moving)
    kept = results.neural.chain.spins
    if kept is not None and len(energy.lattice.extents) == 2:
        figures["configurations"] = plots.configurations(kept[:, -1], energy.lattice.extents)
    return {name: plots.png(figure) for name, figure in figures.items()}


def exit_code(summary: dict[str, Any]) -> int:
    """Return 3 if any estimate of a summary cannot be believed, else 0."""
    return 3 if any(unreliable(summary)) else 0

"""The single jobs of the command line: train, sample, baseline, evaluate, analyze, compare, exact."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nmcmc.analysis.compare import Row, compare, to_json, worst
from nmcmc.atomic import check_output
from nmcmc.config import ChainConfig, SamplerConfig, SystemConfig, TrainingConfig, to_toml
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.exact.known import exact_values
from nmcmc.experiment.build import build_model, build_target, build_update, lattice_energy, target_of
from nmcmc.experiment.stages import ChainResult, Options, chain_stage, draw_stage, refuse_leftovers, train_stage
from nmcmc.experiment.summary import chain_estimates, chain_numbers, draw_numbers, summarize, weight_numbers
from nmcmc.random import Rng
from nmcmc.samplers.store import load_sampler, save_sampler
from nmcmc.storage.files import groups, read, write
from nmcmc.storage.record import Record, fingerprint
from nmcmc.storage.segments import SegmentStore
from nmcmc.types import Spins
from nmcmc.updates.independence import Independence

TRAIN_EVALUATION = 20_000


def train_command(
    system: SystemConfig, net: SamplerConfig, training: TrainingConfig, out: Path, options: Options
) -> dict[str, Any]:
    """Train a sampler, write it to ``out``, and return its quality from fresh draws."""
    check_output(out, options.overwrite)
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    refuse_leftovers(checkpoint, options)
    trained = train_stage(system, net, training, options, checkpoint)
    draws = draw_stage(trained.sampler, trained.target, TRAIN_EVALUATION, Rng(options.seed).child("evaluate"), options)
    notes = {"seed": options.seed, "objective": trained.objective, "steps": int(trained.steps)}
    save_sampler(out, trained.sampler, notes)
    checkpoint.unlink(missing_ok=True)
    return summarize(
        "train",
        trained.target,
        seed=options.seed,
        seconds={"train": trained.seconds},
        steps=trained.steps,
        objective=trained.objective,
        n_parameters=sum(p.numel() for p in trained.sampler.parameters()),
        out=str(out),
        **draw_numbers(draws, trained.target),
    )


def sample_command(model: Path, chain: ChainConfig, out: Path, options: Options) -> dict[str, Any]:
    """Run the neural chain of a stored sampler, write it to ``out``, and return its estimates."""
    check_output(out, options.overwrite)
    sampler, target, _ = load_sampler(model, options.device)
    weights = hashlib.sha256(model.read_bytes()).hexdigest()

    def start(rng: Rng) -> Spins:
        spins: Spins = sampler.sample(chain.chains, rng.child("start")).spins.cpu().numpy()
        return spins

    update = Independence(sampler, target)
    result = _chain_to_file("sample", "neural chain", update, target, chain, out, options, weights, start)
    numbers = chain_numbers(result.chain, target)
    proposals = np.ascontiguousarray(result.chain.stats["proposal_log_weight"]).ravel()
    return summarize(
        "sample",
        target,
        seed=options.seed,
        seconds={"sample": result.seconds},
        model=str(model),
        out=str(out),
        **weight_numbers(proposals, target),
        **numbers,
    )


def baseline_command(
    name: str, system: SystemConfig, chain: ChainConfig, out: Path, options: Options
) -> dict[str, Any]:
    """Run a chain of a local or cluster update, write it to ``out``, and return its estimates."""
    check_output(out, options.overwrite)
    target = build_target(system)
    result = _chain_to_file(f"baseline {name}", name, build_update(name, target), target, chain, out, options)
    return summarize(
        f"baseline {name}",
        target,
        seed=options.seed,
        seconds={"sample": result.seconds},
        out=str(out),
        **chain_numbers(result.chain, target),
    )


def _chain_to_file(
    command: str,
    title: str,
    update: Any,
    target: Boltzmann,
    chain: ChainConfig,
    out: Path,
    options: Options,
    weights_sha256: str = "",
    start: Any = None,
) -> ChainResult:
    """Run a chain through segments beside ``out``, then write the one file and remove them."""
    model, config = build_model(target), f'command = "{command}"\nweights = "{weights_sha256}"\n{to_toml(chain)}'
    folder = out.with_name(f"{out.name}.segments")
    refuse_leftovers(folder, options)
    store = SegmentStore(folder, fingerprint(model, options.seed, config))
    rng = Rng(options.seed).child("chain")
    result = chain_stage(title, update, target, chain, rng, options, store, start)
    record = Record(result.chain, model, options.seed, config, weights_sha256, snapshot=result.snapshot)
    write(out, {"": record}, overwrite=options.overwrite)
    store.remove()
    return result


def evaluate_command(model: Path, n_samples: int, options: Options) -> dict[str, Any]:
    """Return the quality of a stored sampler from fresh draws."""
    if n_samples < 100:
        raise ValueError(f"n_samples is {n_samples}; at least 100 draws are needed, 10000 for a reliable ess_fraction")
    sampler, target, notes = load_sampler(model, options.device)
    draws = draw_stage(sampler, target, n_samples, Rng(options.seed).child("evaluate"), options)
    return summarize(
        "evaluate",
        target,
        seed=options.seed,
        model=str(model),
        notes=notes,
        n_samples=n_samples,
        **draw_numbers(draws, target),
    )


def analyze_command(path: Path) -> dict[str, Any]:
    """Return the estimates of every chain in a file: one summary, or one per group of a run."""
    found = {}
    for group in groups(path):
        record = read(path, group)
        target = target_of(record.model)
        numbers = chain_numbers(record.chain, target)
        if "proposal_log_weight" in record.chain.stats:
            proposals = np.ascontiguousarray(record.chain.stats["proposal_log_weight"]).ravel()
            numbers |= weight_numbers(proposals, target)
        found[group] = summarize("analyze", target, seed=record.seed, file=str(path), group=group, **numbers)
    if list(found) == [""]:
        return found[""]
    first = next(iter(found.values()))
    return {**first, **found, "group": None}


def compare_command(a: Path, b: Path) -> dict[str, Any]:
    """Return the observables of two chains side by side, in combined σ.

    Raises
    ------
    ValueError : if the chains are of different systems or temperatures.
    """
    records = [read(path, groups(path)[0]) for path in (a, b)]
    targets = [target_of(record.model) for record in records]
    models = [asdict(record.model) for record in records]
    for name in ("extents", "boundary", "beta", "couplings", "fields"):
        if not np.array_equal(models[0][name], models[1][name]):
            raise ValueError(f"{a} and {b} differ in {name}; compare chains of one system at one temperature")
    estimates = [chain_estimates(record.chain, target) for record, target in zip(records, targets, strict=True)]
    rows = compare(estimates[0], estimates[1], exact_values(lattice_energy(targets[0]), targets[0].beta))
    return summarize("compare", targets[0], a=str(a), b=str(b), rows=[_row(row) for row in rows], worst=worst(rows))


def _row(row: Row) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in ("name", "exact", "deviation", "deviation_a", "deviation_b")}
    return {**values, "a": row.a and to_json(row.a), "b": row.b and to_json(row.b)}


def exact_command(system: SystemConfig) -> dict[str, Any]:
    """Return everything exactly known of a system.

    Raises
    ------
    ValueError : if nothing is known at affordable cost.
    """
    target = build_target(system)
    known = exact_values(lattice_energy(target), target.beta)
    if not known:
        raise ValueError(
            f"no exact value is known for {system.lattice} ({system.boundary}, field {system.field}); known are up to "
            "24 spins, narrow lattices (width ≤ 16), and tori without field"
        )
    names = ("log_z", "free_energy_per_spin", "entropy_per_spin")
    top = {name: {"value": known[name], "error": 0.0} if name in known else None for name in names}
    rest = {name: {"value": v, "error": 0.0, "exact": v} for name, v in known.items() if name not in names}
    return summarize("exact", target, observables=rest, **top)

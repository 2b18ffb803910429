"""The single jobs of the command line: train, sample, baseline, evaluate, analyze, compare, exact."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from nmcmc.analysis.compare import compare, worst
from nmcmc.atomic import discard
from nmcmc.config import ChainConfig, SamplerConfig, SystemConfig, TrainingConfig, to_toml
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.experiment import summary as numbers
from nmcmc.experiment.build import build_model, build_target, build_update, target_of
from nmcmc.experiment.chains import ChainJob, baseline_job, chain_stage, draw_stage, neural_job
from nmcmc.experiment.errors import ErrorOptions, error_numbers
from nmcmc.experiment.growth import Growth
from nmcmc.experiment.models import Wanted, load_wanted, traits
from nmcmc.experiment.modes import mode_numbers
from nmcmc.experiment.options import Options, claim, leftovers_of
from nmcmc.experiment.summary import summarize
from nmcmc.experiment.train import TrainingJob, prepare, train_stage
from nmcmc.parallel import n_threads
from nmcmc.random import Rng
from nmcmc.samplers.store import AnySampler, load_sampler, save_sampler
from nmcmc.storage.files import groups, read, write
from nmcmc.storage.record import Record, fingerprint
from nmcmc.storage.segments import SegmentStore
from nmcmc.types import Chain, Estimate

TRAIN_EVALUATION = 20_000


def train_command(
    system: SystemConfig,
    net: SamplerConfig,
    training: TrainingConfig,
    out: Path,
    options: Options,
    growth: Growth | None = None,
) -> dict[str, Any]:
    """Train a sampler, write it to ``out``, and return its quality from fresh draws."""
    job = prepare(system, net, training, options, growth)
    checkpoint, seconds = leftovers_of(out, "checkpoint"), None
    if claim(out, checkpoint, options):
        sampler, notes = _finished_sampler(out, job)
    else:
        trained = train_stage(job, checkpoint)
        sampler, notes, seconds = trained.sampler, trained.notes, trained.seconds
        save_sampler(out, sampler, notes)
        if checkpoint.exists():
            discard(checkpoint)
    draws = draw_stage(sampler, job.target, TRAIN_EVALUATION, Rng(options.seed).child("evaluate"), options)
    return summarize(
        "train",
        job.target,
        seed=options.seed,
        seconds={"train": seconds},
        steps=notes["steps"],
        objective=notes["objective"],
        note=job.note,
        n_parameters=sum(p.numel() for p in sampler.parameters()),
        threads=n_threads(),
        grown_from=notes.get("grown_from"),
        out=str(out),
        **numbers.draw_numbers(draws, job.target),
    )


def _finished_sampler(out: Path, job: TrainingJob) -> tuple[AnySampler, dict[str, Any]]:
    sampler, _, notes = load_sampler(out, job.options.device)
    if notes.get("fingerprint") != job.fingerprint:
        raise ValueError(
            f"{out} was trained with other settings or couplings; give the same, another --out, or --overwrite"
        )
    return sampler, notes


def sample_command(wanted: Wanted, settings: ChainConfig, out: Path, options: Options) -> dict[str, Any]:
    """Run the neural chain of a stored sampler, write it to ``out``, and return its estimates."""
    sampler, target, weights = load_wanted(wanted, options.device)
    job = neural_job(sampler, target, settings, Rng(options.seed).child("chain"))
    chain, seconds, each = _chain_in_file("sample", job, out, options, weights, wanted.translations)
    return summarize(
        "sample",
        target,
        seed=options.seed,
        seconds={"sample": seconds},
        model=wanted.model,
        translations=wanted.translations,
        out=str(out),
        **numbers.proposal_numbers(chain, target),
        **_with_seconds(numbers.chain_numbers(chain, target), each),
    )


def baseline_command(
    name: str, system: SystemConfig, settings: ChainConfig, out: Path, options: Options
) -> dict[str, Any]:
    """Run a chain of a local or cluster update, write it to ``out``, and return its estimates."""
    target = build_target(system)
    job = baseline_job(name, build_update(name, target), target, settings, Rng(options.seed).child("chain"))
    chain, seconds, each = _chain_in_file(f"baseline {name}", job, out, options)
    return summarize(
        f"baseline {name}",
        target,
        seed=options.seed,
        seconds={"sample": seconds},
        out=str(out),
        **_with_seconds(numbers.chain_numbers(chain, target), each),
    )


def _with_seconds(found: dict[str, Any], seconds_per_update: float | None) -> dict[str, Any]:
    """Return the numbers of a chain with τ_int in seconds of one chain, of which several run side by side."""
    return found | {"tau_seconds": numbers.tau_times(found["observables"], seconds_per_update)}


def _chain_in_file(
    command: str, job: ChainJob, out: Path, options: Options, weights_sha256: str = "", translations: int = 1
) -> tuple[Chain, float | None, float | None]:
    """Run a chain through segments beside ``out``, write the one file; return it, its seconds, and those per update."""
    words = {"command": command, "weights_sha256": weights_sha256, "device": options.device}
    words |= {"translations": str(translations)} if translations > 1 else {}
    config = "".join(f'{name} = "{word}"\n' for name, word in words.items()) + to_toml(job.settings)
    model = build_model(job.target)
    mark = fingerprint(model, options.seed, config)
    folder = leftovers_of(out, "segments")
    if claim(out, folder, options):
        record = read(out)
        if fingerprint(record.model, record.seed, record.config_toml) != mark:
            raise ValueError(
                f"{out} holds a chain with other settings or couplings; give the same, another --out, or --overwrite"
            )
        return record.chain, None, record.seconds_per_update
    store = SegmentStore(folder, mark)
    result = chain_stage(job, store, options)
    record = Record(
        result.chain,
        model,
        options.seed,
        config,
        weights_sha256,
        snapshot=result.snapshot,
        seconds_per_update=result.seconds_per_update,
    )
    write(out, {"": record}, overwrite=True)
    store.remove()
    return result.chain, result.seconds, result.seconds_per_update


def evaluate_command(
    wanted: Wanted, n_samples: int, options: Options, levels: bool = False, modes: bool = False
) -> dict[str, Any]:
    """Return the quality of a stored sampler from fresh draws; if asked for, shares in KL and whether it misses modes.

    Raises
    ------
    ValueError : for too few draws, or the shares of a sampler that is not a hierarchy.
    """
    if n_samples < 100:
        raise ValueError(f"n_samples is {n_samples}; at least 100 draws are needed, 10000 for a reliable ess_fraction")
    sampler, target, _ = load_wanted(wanted, options.device)
    rng = Rng(options.seed)
    shares = numbers.level_numbers(sampler, target, rng.child("levels")) if levels else None
    draws = draw_stage(sampler, target, n_samples, rng.child("evaluate"), options)
    return summarize(
        "evaluate",
        target,
        seed=options.seed,
        model=wanted.model,
        translations=wanted.translations,
        n_samples=n_samples,
        kl_per_level=shares,
        **numbers.draw_numbers(draws, target),
        **({"modes": mode_numbers(sampler, target, draws["log_weight"], rng.child("modes"))} if modes else {}),
    )


def analyze_command(path: Path, errors: ErrorOptions | None = None) -> dict[str, Any]:
    """Return the estimates of a chain file; of a run's file those of its neural chain, and of its baseline.

    With ``errors`` every error also by other rules, side by side.
    """
    main, *others = _groups(path)
    records = {name: _read(path, name) for name in (main, *others[:1])}
    record = records[main]
    target = target_of(record.model)
    found = numbers.proposal_numbers(record.chain, target)
    if record.draws is not None:
        found |= numbers.draw_numbers(record.draws, target)
    chains = {name: _chain_numbers(each, target, errors) for name, each in records.items()}
    taus = {name: numbers.tau_times(chains[name]["observables"], r.seconds_per_update) for name, r in records.items()}
    found |= chains[main] | {"tau_seconds": taus if others else taus[main]}
    for name in others[:1]:
        found["baseline"] = {"name": name, **chains[name]}
    return summarize("analyze", target, seed=record.seed, file=str(path), **found)


def _read(path: Path, group: str) -> Record:
    """Return the record of a group, if its chain holds what estimates are made of."""
    record = read(path, group)
    missing = [name for name in ("energy", "magnetization") if name not in record.chain.series]
    if missing:
        raise ValueError(
            f"{path} has no series of {' and '.join(missing)}, only {', '.join(record.chain.series)}; "
            "record nmcmc.measurements(energy) in the chain"
        )
    return record


def _chain_numbers(record: Record, target: Boltzmann, errors: ErrorOptions | None) -> dict[str, Any]:
    found = numbers.chain_numbers(record.chain, target)
    if errors is None:
        return found
    return found | error_numbers(record.chain, target, errors, record.seconds_per_update)


def _groups(path: Path) -> list[str]:
    """Return the groups of a file that hold a chain, the neural one first."""
    return sorted(groups(path), key=lambda name: name != "neural")


def compare_command(a: Path, b: Path) -> dict[str, Any]:
    """Return the observables of two chains side by side, in combined σ.

    Of a run's file the neural chain is taken; a run's file with itself compares its neural chain with its baseline.

    Raises
    ------
    ValueError : if the chains are of different systems or temperatures, or one and the same.
    """
    first, second = _groups(a), _groups(b)
    same = a.samefile(b)
    if same and len(first) < 2:
        raise ValueError(f"{a} holds one chain only; give a second file to compare it with")
    records = _read(a, first[0]), _read(b, second[1 if same else 0])
    targets = [target_of(record.model) for record in records]
    first_traits, second_traits = (traits(target) for target in targets)
    for name in first_traits:
        if not np.array_equal(first_traits[name], second_traits[name]):
            raise ValueError(f"{a} and {b} differ in {name}; compare chains of one system at one temperature")
    estimates = [numbers.chain_estimates(r.chain, t) for r, t in zip(records, targets, strict=True)]
    rows = compare(estimates[0], estimates[1], numbers.known_exactly(targets[0]))
    return summarize(
        "compare",
        targets[0],
        a=str(a),
        b=str(b),
        worst_deviation=numbers.finite(worst(rows)),
        rows={row.name: numbers.row_numbers(row) for row in rows},
    )


def exact_command(system: SystemConfig) -> dict[str, Any]:
    """Return everything exactly known of a system.

    Raises
    ------
    ValueError : if nothing is known at affordable cost.
    """
    target = build_target(system)
    known = numbers.known_exactly(target)
    if set(known) <= {"magnetization"}:
        raise ValueError(
            f"no exact value is known for {_named(system)}; known are up to 24 spins, Curie–Weiss, narrow lattices of "
            "few spins (width ≤ 16), and tori without field at beta (|J1| + |J2|) ≤ 1000"
        )
    values = numbers.with_exact({k: Estimate(v, 0.0, math.nan, math.nan) for k, v in known.items()}, known)
    names = [name for name in ("log_z", "free_energy_per_spin", "entropy_per_spin") if name in values]
    return summarize("exact", target, **{name: values.pop(name) for name in names}, observables=values)


def _named(system: SystemConfig) -> str:
    if system.couplings_file:
        return system.couplings_file
    if system.n_spins:
        return f"{system.system} of {system.n_spins} spins"
    return f"{system.lattice} ({system.boundary}, field {system.field})"

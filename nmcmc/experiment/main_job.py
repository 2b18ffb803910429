"""The main job: train, draw, neural chain, Wolff chain, comparison, in one folder that holds everything."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmcmc.analysis.compare import Row, compare, worst
from nmcmc.atomic import atomic, check_output, discard, sweep
from nmcmc.config import ChainConfig, RunConfig, build, differences, read_toml, to_toml
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.experiment import summary as numbers
from nmcmc.experiment.build import baseline_of, build_model, build_update, lattice_of
from nmcmc.experiment.chains import ChainJob, ChainResult, baseline_job, chain_stage, draw_stage, neural_job
from nmcmc.experiment.figures import figures
from nmcmc.experiment.modes import mode_drop_certificate
from nmcmc.experiment.options import Options, claim
from nmcmc.experiment.train import Trained, TrainingJob, prepare, train_stage
from nmcmc.random import Rng
from nmcmc.report import write_report
from nmcmc.samplers.store import save_sampler, to_bytes
from nmcmc.storage.files import write
from nmcmc.storage.record import Record, fingerprint
from nmcmc.storage.segments import SegmentStore
from nmcmc.types import CorruptFileError, Floats

KEPT_CONFIGURATIONS = 4096
CONFIG, MODEL, DATA, SUMMARY, REPORT = FILES = (
    "config.toml",
    "model.safetensors",
    "run.h5",
    "summary.json",
    "report.html",
)
WORK = "nmcmc-unfinished"
LABELS = {"wolff": "Wolff", "heat-bath": "heat bath"}


@dataclass(frozen=True)
class Results:
    """Everything that the stages of a run have produced."""

    config: RunConfig
    trained: Trained
    draws: dict[str, Floats]
    neural: ChainResult
    baseline_name: str
    baseline: ChainResult

    @property
    def target(self) -> Boltzmann:
        """What was sampled."""
        return self.trained.job.target

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the model file."""
        return hashlib.sha256(to_bytes(self.trained.sampler, self.trained.notes)).hexdigest()

    def rows(self) -> list[Row]:
        """Return the comparison of both chains with each other and with what is exactly known."""
        neural, baseline = (numbers.chain_estimates(c.chain, self.target) for c in (self.neural, self.baseline))
        return compare(neural, baseline, numbers.known_exactly(self.target))


def kept_config(out: Path) -> Path:
    """Return where the settings of an interrupted or finished run are kept, for `RunConfig` to be read from."""
    return out / WORK / CONFIG if (out / WORK).exists() else out / CONFIG


def run_command(config: RunConfig, out: Path, options: Options) -> dict[str, Any]:
    """Do the main job in the folder ``out`` and return its summary.

    Files: config.toml, model.safetensors, run.h5 (groups /neural and /wolff, or /heat-bath in a field), summary.json,
    report.html. Unfinished stages live in ``out/nmcmc-unfinished``; with ``options.resume`` the run continues from
    there, and ends with the same numbers as an uninterrupted one.

    Raises
    ------
    FileExistsError : if the folder holds a run, and neither overwrite nor resume is asked for.
    ValueError : for settings that do not fit together, or that differ from those of the run to continue.
    """
    job = prepare(config.system, config.sampler, config.training, options)
    work, began = out / WORK, time.monotonic()
    goes_on = options.resume and work.exists()
    finished = options.resume and not goes_on and (out / SUMMARY).exists()
    if goes_on or finished:
        _require_same_settings(config, kept_config(out))
    if claim(out / SUMMARY, work, options):
        return _read_summary(out / SUMMARY)
    for name in FILES:
        check_output(out / name, options.overwrite or goes_on)
        sweep(out / name)
    with atomic(work / CONFIG) as temporary:
        temporary.write_text(to_toml(config), encoding="utf-8")
    results = _run_stages(config, job, work)
    summary = _summary(results, out, began)
    _write_files(results, out, summary)
    discard(work)
    return summary


def _require_same_settings(config: RunConfig, path: Path) -> None:
    if path.exists() and (changed := differences(config, build(RunConfig, read_toml(path)))):
        raise ValueError(
            f"the run of {path} has other settings (given, there): {'; '.join(changed)}; "
            "give the same to continue it, or --overwrite to replace it"
        )


def _read_summary(path: Path) -> dict[str, Any]:
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptFileError(f"{path} is damaged ({error}); --overwrite makes the run anew") from error
    return summary


def _run_stages(config: RunConfig, job: TrainingJob, work: Path) -> Results:
    options, target, rng = job.options, job.target, Rng(job.options.seed)
    name = baseline_of(target)
    settings = _with_configurations(config.chain)
    other = baseline_job(name, build_update(name, target), target, settings, rng.child(name))
    trained = train_stage(job, work / "train.checkpoint")
    draws = draw_stage(trained.sampler, target, config.n_evaluate, rng.child("evaluate"), options)
    neural = neural_job(trained.sampler, target, settings, rng.child("neural"))
    mark = fingerprint(build_model(target), options.seed, to_toml(config) + options.device)

    def chain(job: ChainJob, name: str) -> ChainResult:
        return chain_stage(job, SegmentStore(work / f"{name}.segments", mark), options)

    return Results(config, trained, draws, chain(neural, "neural"), name, chain(other, name))


def _with_configurations(chain: ChainConfig) -> ChainConfig:
    """Return the chain settings with some thousand configurations kept, unless a thinning was asked for."""
    thin = chain.thin or max(1, chain.n_draws * chain.chains // KEPT_CONFIGURATIONS)
    return ChainConfig(chain.n_samples, chain.chains, chain.warmup, thin)


def _summary(results: Results, out: Path, began: float) -> dict[str, Any]:
    target, trained = results.target, results.trained
    both = {"neural": results.neural, results.baseline_name: results.baseline}
    found = {name: numbers.chain_numbers(result.chain, target) for name, result in both.items()}
    neural, baseline = found.values()
    certificate = mode_drop_certificate(trained.sampler, target, results.draws["log_weight"], results.baseline.chain)
    return numbers.summarize(
        "run",
        target,
        seed=results.config.seed,
        **numbers.draw_numbers(results.draws, target) | neural,
        baseline={"name": results.baseline_name, **baseline},
        worst_deviation=numbers.finite(worst(results.rows())),
        mode_drop=certificate,
        tau_seconds={
            name: numbers.tau_times(found[name]["observables"], result.seconds_per_update)
            for name, result in both.items()
        },
        objective=trained.job.objective,
        steps=trained.steps,
        note=trained.job.note,
        n_parameters=sum(p.numel() for p in trained.sampler.parameters()),
        seconds={
            "train": trained.seconds,
            "sample": results.neural.seconds,
            "baseline": results.baseline.seconds,
            "total": time.monotonic() - began,
        },
        out=str(out),
        report=str(out / REPORT),
    )


def _write_files(results: Results, out: Path, summary: dict[str, Any]) -> None:
    trained, target = results.trained, results.target
    with atomic(out / CONFIG) as temporary:
        temporary.write_text(to_toml(results.config), encoding="utf-8")
    save_sampler(out / MODEL, trained.sampler, trained.notes)
    write(out / DATA, _records(results), overwrite=True)
    free = numbers.known_exactly(target).get("free_energy_per_spin")
    images = figures(
        target,
        trained.training,
        results.draws["log_weight"],
        {"neural chain": results.neural.chain, LABELS[results.baseline_name]: results.baseline.chain},
        results.rows(),
        None if free is None else free * target.n_spins,
    )
    lattice, file = lattice_of(target), Path(results.config.system.couplings_file).name
    system = f"{target.n_spins} spins{file and f' of {file}'}" if lattice is None else f"{lattice} Ising lattice"
    title = f"nmcmc run: {system} at β = {target.beta:.6g}"
    write_report(out / REPORT, title, summary, images, overwrite=True)
    with atomic(out / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary, indent=1, allow_nan=False), encoding="utf-8")


def _records(results: Results) -> dict[str, Record]:
    neural, other, curve = results.neural, results.baseline, results.trained.training
    model, seed, text = build_model(results.target), results.config.seed, to_toml(results.config)
    training, weights = curve if len(curve["step"]) else None, results.weights_sha256
    first = Record(neural.chain, model, seed, text, weights, training, results.draws, neural.snapshot)
    second = Record(other.chain, model, seed, text, snapshot=other.snapshot)
    return {
        "neural": replace(first, seconds_per_update=neural.seconds_per_update),
        results.baseline_name: replace(second, seconds_per_update=other.seconds_per_update),
    }

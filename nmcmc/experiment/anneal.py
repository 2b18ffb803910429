"""`nmcmc anneal`: the free energy along a schedule of β, in one run that trains at each β from the one before."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from tqdm import tqdm

from nmcmc.analysis.compare import to_json
from nmcmc.analysis.importance import variational_free_energy_per_spin
from nmcmc.atomic import atomic, discard, sweep
from nmcmc.config import CURIE_WEISS, AnnealConfig, SamplerConfig, SystemConfig, TrainingConfig, to_toml
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.mean_field import CurieWeissEnergy
from nmcmc.experiment.build import (
    build_objective,
    build_sampler,
    build_target,
    default_objective,
    pairwise_energy,
    starts_at_response,
)
from nmcmc.experiment.chains import draw_stage
from nmcmc.experiment.configurations import learning_set
from nmcmc.experiment.grid import betas_of
from nmcmc.experiment.options import Options, claim, leftovers_of, open_folder
from nmcmc.experiment.scan import brief, extremes, table
from nmcmc.experiment.summary import draw_numbers, summarize
from nmcmc.experiment.train import TRAINING_VERSION, largest_rate, refuse_steps, words_of
from nmcmc.parallel import n_threads
from nmcmc.random import Rng
from nmcmc.samplers.made import MADESampler, start_at_order
from nmcmc.samplers.response import Responding, follow_response
from nmcmc.samplers.store import AnySampler, at_beta, kind_of, load_sampler, save_sampler
from nmcmc.samplers.tap import TAPSampler, fitted, settled
from nmcmc.training.annealing import Annealing, brisk, published, train_round
from nmcmc.training.checkpoint import finished
from nmcmc.training.objectives import Objective
from nmcmc.types import CorruptFileError

COLUMNS = (
    "variational_free_energy_per_spin",
    "free_energy_per_spin",
    "log_z",
    "kl",
    "ess_fraction",
    "energy_per_spin",
    "entropy_per_spin",
)
JSON, TABLE, SAMPLERS = "anneal.json", "anneal.csv", "samplers"
BRISK_STEPS, BRISK_BATCH, PUBLISHED_BATCH, FIRST_SHARE = 150, 300, 2000, 5


@dataclass(frozen=True)
class AnnealJob:
    """A run along β with settings that fit together: where it starts, what it lowers, and how.

    Attributes
    ----------
    start : the untrained sampler at the first β. target : at the first β. name, objective : what is lowered.
    annealing : β and plans. at : (sampler, β) → the sampler that training at another β begins with.
    """

    start: AnySampler
    target: Boltzmann
    name: str
    objective: Objective
    annealing: Annealing
    at: Callable[[AnySampler, float], AnySampler]
    system: SystemConfig
    net: SamplerConfig
    config: AnnealConfig
    options: Options

    @property
    def fingerprint(self) -> str:
        """Shared by jobs with the same result only."""
        settings = [to_toml(self.system), to_toml(self.net), to_toml(self.config), str(self.options.seed)]
        settings += [self.options.device, f"training {TRAINING_VERSION}"]
        return hashlib.sha256("\n".join(settings).encode()).hexdigest()

    @property
    def fits(self) -> bool:
        """Whether ``at`` fits the sampler to configurations of each β, so that there are no steps."""
        return isinstance(self.start, TAPSampler) and self.config.schedule == "brisk"

    @property
    def trains(self) -> bool:
        """Whether there is anything to train."""
        return not self.fits and any(p.requires_grad for p in self.start.parameters())

    @property
    def rng(self) -> Rng:
        """The random numbers of the run."""
        return Rng(self.options.seed).child("anneal")

    @property
    def n_steps(self) -> int:
        """Steps at all β together."""
        return self.annealing.first.steps + (len(self.annealing.betas) - 1) * self.annealing.others.steps

    @property
    def command(self) -> str:
        """The command line that does this job again, but for its ``--out``."""
        words = words_of(self.system, self.net, self.config)
        return shlex.join(["nmcmc", "anneal", *words, f"--seed={self.options.seed}"])


def prepare_anneal(system: SystemConfig, net: SamplerConfig, config: AnnealConfig, options: Options) -> AnnealJob:
    """Return the job that the settings describe; nothing is trained or written.

    In the brisk schedule, weights that start from theory move along β as the theory does: those of replica layers and
    of one layer by linear response, those of Curie–Weiss nets as if untrained; those of TAP are fitted anew, without
    steps. MADE on Curie–Weiss starts at its two phases.

    Raises
    ------
    ValueError : for settings that do not fit together, or β = 0, where there is no free energy.
    """
    betas = betas_of(config.betas)
    if not betas[0] > 0:
        raise ValueError(f"betas are {config.betas!r}; the free energy −log Z/beta needs beta > 0")
    target = build_target(replace(system, beta=betas[0]))
    start = build_sampler(net, pairwise_energy(target), betas[0], Rng(options.seed).child("anneal", "init"))
    if isinstance(start, MADESampler) and isinstance(target.energy, CurieWeissEnergy):
        start_at_order(start)
    if isinstance(start, TAPSampler) and config.schedule == "brisk":
        given = [name for name in ("steps", "learning_rate", "batch") if getattr(config, name)]
        refuse_steps(given, "give --schedule published")
    elif isinstance(start, TAPSampler):
        start = settled(start, Rng(options.seed).child("anneal", "settle"))
    batch = config.batch or (BRISK_BATCH if config.schedule == "brisk" else PUBLISHED_BATCH)
    training = TrainingConfig(objective="reverse-kl" if isinstance(start, TAPSampler) else "", batch=batch)
    name = default_objective(training, start)
    objective = build_objective(training, start, target, Rng(options.seed).child("anneal"))
    return AnnealJob(
        start.to(options.device),
        target,
        name,
        objective,
        _annealing(config, betas, largest_rate(start, name)),
        _moved(start, Rng(options.seed).child("anneal", "data")) if config.schedule == "brisk" else at_beta,
        system,
        net,
        config,
        options,
    )


def _moved(start: AnySampler, rng: Rng) -> Callable[[AnySampler, float], AnySampler]:
    """Return how the weights of such a sampler are taken to another β."""
    if isinstance(start, TAPSampler):
        return partial(_fitted_at, rng=rng)
    if starts_at_response(start):
        return lambda sampler, beta: follow_response(cast("Responding", sampler), beta)
    return _as_untrained if kind_of(start) in CURIE_WEISS else at_beta


def _fitted_at(sampler: AnySampler, beta: float, rng: Rng) -> AnySampler:
    """Return the TAP network of maximum likelihood at another β."""
    configurations = learning_set(Boltzmann(sampler.energy, beta), rng.child(repr(beta)))
    return fitted(cast("TAPSampler", at_beta(sampler, beta)), configurations)


@torch.no_grad()
def _as_untrained(sampler: AnySampler, beta: float) -> AnySampler:
    """Return the sampler at another β, its weights moved by as much as those of one that was not trained."""
    kind: Any = type(sampler)
    before, after = (kind(sampler.energy, b, **sampler.options).to(sampler.device) for b in (sampler.beta, beta))
    moved = at_beta(sampler, beta)
    for parameter, old, new in zip(moved.parameters(), before.parameters(), after.parameters(), strict=True):
        parameter.add_(new - old)
    return moved


def _annealing(config: AnnealConfig, betas: tuple[float, ...], rate: float) -> Annealing:
    """Return plans as in the settings, or as in the schedule where those are 0."""
    if config.schedule == "brisk":
        return brisk(betas, config.steps or BRISK_STEPS, config.learning_rate or rate, gentle=True)
    usual = published()
    steps, rate = config.steps or usual.others.steps, config.learning_rate or usual.others.learning_rate
    others = replace(usual.others, steps=steps, learning_rate=rate)
    return replace(usual, betas=betas, first=replace(others, steps=FIRST_SHARE * others.steps), others=others)


def anneal_command(job: AnnealJob, out: Path) -> dict[str, Any]:
    """Train along β, and return the numbers of every β, which the folder ``out`` then holds with the samplers.

    Files: anneal.json, anneal.csv, samplers/BETA.safetensors. What an interrupted run has done is in the folder
    anneal.json.checkpoint: samplers as they will be, and a checkpoint for each β.

    Raises
    ------
    FileExistsError, OSError : if there is output that may not be replaced, or it cannot be written.
    CorruptFileError, ValueError : if what is there is damaged or belongs to a job with other settings.
    FloatingPointError, RuntimeError : if training breaks down.
    """
    folder = leftovers_of(out / JSON, "checkpoint")
    if _claimed(out, folder, job.options):
        return _told_again(out / JSON, job)
    found = _summary(job, out, *_stages(job, folder))
    with atomic(out / TABLE) as temporary:
        temporary.write_text(table(list(found["anneal"].values()), COLUMNS), encoding="utf-8")
    with atomic(out / JSON) as temporary:
        temporary.write_text(json.dumps(found, indent=1, allow_nan=False), encoding="utf-8")
    if (out / SAMPLERS).exists():
        discard(out / SAMPLERS)
    (folder / SAMPLERS).rename(out / SAMPLERS)
    discard(folder)
    return found


def _summary(job: AnnealJob, out: Path, rows: dict[str, dict[str, Any]], seconds: float) -> dict[str, Any]:
    return summarize(
        "anneal",
        job.target,
        beta=None,
        betas=list(job.annealing.betas),
        seed=job.options.seed,
        sampler=job.net.sampler,
        schedule=job.config.schedule,
        steps=job.annealing.others.steps if job.trains else 0,
        objective="forward-kl" if job.fits else job.name if job.trains else None,
        seconds={"train": seconds},
        n_parameters=sum(p.numel() for p in job.start.parameters()),
        threads=n_threads(),
        n_draws=job.config.n_samples,
        out=str(out),
        fingerprint=job.fingerprint,
        **extremes(rows),
        anneal=rows,
    )


def _claimed(out: Path, folder: Path, options: Options) -> bool:
    """Return whether the job is finished, as `claim`; its other files must not be replaced unasked either."""
    if claim(out / JSON, folder, options):
        return True
    free = options.overwrite or folder.exists()
    if (out / TABLE).is_dir() or not _replaceable(out / SAMPLERS):
        raise FileExistsError(
            f"{out} has a folder {TABLE}, or other things than samplers in {SAMPLERS}; move them away, or give another "
            "--out"
        )
    for path in (out / TABLE, out / SAMPLERS):
        if free:
            sweep(path)
        elif path.exists():
            raise FileExistsError(f"{path} already exists; give another --out, or --overwrite to replace it")
    return False


def _replaceable(samplers: Path) -> bool:
    """Return whether there is no such folder, or one that holds nothing but samplers named by their β."""
    if samplers.is_symlink() or samplers.is_file():
        return False
    return not samplers.exists() or all(p.is_file() and _is_beta(p) for p in samplers.iterdir())


def _is_beta(path: Path) -> bool:
    try:
        return path.suffix == ".safetensors" and 0 < float(path.stem) < math.inf and repr(float(path.stem)) == path.stem
    except ValueError:
        return False


def _told_again(path: Path, job: AnnealJob) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptFileError(f"{path} is damaged ({error}); give --overwrite to make it anew") from error
    if found.get("fingerprint") != job.fingerprint:
        raise ValueError(f"{path} is of other settings or couplings; give the same, another --out, or --overwrite")
    return found


def _stages(job: AnnealJob, folder: Path) -> tuple[dict[str, dict[str, Any]], float]:
    """Return a row for every β, by β as text, and the seconds of training; β that are finished have a file each."""
    files = {beta: folder / SAMPLERS / f"{beta!r}.safetensors" for beta in job.annealing.betas}
    checkpoints = [folder / f"{beta!r}.checkpoint" for beta in files]
    open_folder(folder, {folder / SAMPLERS, *checkpoints})
    open_folder(folder / SAMPLERS, files.values())
    rows, seconds, done, sampler = dict[str, dict[str, Any]](), 0.0, 0, job.start
    with job.options.bar(job.n_steps, f"annealing ({'fits' if job.fits else job.name})", "step") as bar:
        for k, (beta, path) in enumerate(files.items()):
            if not path.exists():
                began = time.monotonic()
                moved = job.at(sampler, beta)
                seconds += time.monotonic() - began if job.fits else 0.0
                _stage(job, k, moved, path, checkpoints[k], bar)
            sampler, _, notes = load_sampler(path, job.options.device)
            if notes.get("fingerprint") != job.fingerprint:
                raise ValueError(
                    f"{path} belongs to a run with other settings or couplings; give the same, or another output"
                )
            ended, rows[repr(beta)] = finished(checkpoints[k], job.fingerprint), notes["row"]
            seconds += ended.seconds if ended else 0.0
            done += (job.annealing.others if k else job.annealing.first).steps
            _show(bar, done, beta, notes["row"]["ess_fraction"]["value"])
    return rows, seconds


def _stage(job: AnnealJob, k: int, sampler: AnySampler, path: Path, checkpoint: Path, bar: tqdm[Any]) -> None:
    """Train a sampler at the k-th β in place, measure it, and write it with its numbers to a file."""
    target, before = job.target.at(sampler.beta), int(bar.n)
    if job.trains:
        train_round(
            sampler,
            target,
            job.objective,
            job.annealing,
            job.rng.child("steps"),
            (k,),
            checkpoint=checkpoint,
            fingerprint=job.fingerprint,
            progress=lambda done, record: _show(bar, before + done, sampler.beta),
        )
    notes = {"seed": job.options.seed, "command": job.command, "fingerprint": job.fingerprint}
    save_sampler(path, sampler, notes | {"row": measured(job, sampler, target)})


def measured(job: AnnealJob, sampler: AnySampler, target: Boltzmann) -> dict[str, Any]:
    """Return what fresh draws tell of a sampler at its β: {"beta": β, name: {value, error, exact, reliable, why} …}."""
    rng, silent = job.rng.child("draws", repr(target.beta)), replace(job.options, quiet=True)
    draws = draw_stage(sampler, target, job.config.n_samples, rng, silent)
    found = draw_numbers(draws, target)
    found |= found.pop("observables")
    bound = variational_free_energy_per_spin(draws["log_weight"], target.n_spins, target.beta)
    found["variational_free_energy_per_spin"] = to_json(bound)
    return {"beta": target.beta} | {name: brief(found[name]) for name in COLUMNS if found.get(name) is not None}


def _show(bar: tqdm[Any], done: float, beta: float, ess: float | None = None) -> None:
    bar.update(done - bar.n)
    bar.set_postfix({"beta": f"{beta:g}"} | ({} if ess is None else {"ess": f"{ess:.3f}"}), refresh=False)

"""Training as a job: settings that fit together, then a trained sampler, also after an interruption."""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from tqdm import tqdm

from nmcmc.config import SamplerConfig, SystemConfig, TrainingConfig, flat_fields, to_toml, value_of
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.experiment.build import (
    build_objective,
    build_sampler,
    build_target,
    default_objective,
    pairwise_energy,
    starts_at_response,
)
from nmcmc.experiment.configurations import N_SETS, learning_set
from nmcmc.experiment.growth import Growth
from nmcmc.experiment.levels import LEVEL_STEPS, train_levels
from nmcmc.experiment.options import Options
from nmcmc.parallel import n_threads
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.store import AnySampler
from nmcmc.samplers.tap import TAPSampler, fitted, settled
from nmcmc.training.annealing import spread
from nmcmc.training.checkpoint import planned_steps
from nmcmc.training.loop import RECORD_NAMES, Plan, steps_within, train
from nmcmc.types import Floats

TRAINING_VERSION = 5
"""To be raised when the same settings come to give other weights; a job that another version began is refused."""
DEFAULT_SECONDS, DEFAULT_RATE = 60.0, 0.01
SMALL_SPINS, LARGE_RATE, STARTING_SHARE = 32 * 32, 0.002, 0.4
"""Block-local training of lattices of more spins than this has a smaller rate, and its nets start one after another
within this share of the steps: with all of them at once, parts of the distribution are lost for good."""
DENSE_SPINS, TAP_RATE = 50, 0.03
"""Nets that start at linear response, with weights for all pairs of more spins than this, have rates that fall as 1/N²;
and as the standard deviation of ln w where that is below 1, as for TAP: Adam would soon undo such a start."""


@dataclass(frozen=True)
class TrainingJob:
    """A sampler to be trained, its target and its settings, which fit together.

    ``objective`` is None if there is nothing to train. ``fingerprint`` is shared by jobs with the same result only.
    ``grown_from`` holds the SHA-256 of the model that a net was taken from, by the net's key.
    """

    sampler: AnySampler
    target: Boltzmann
    system: SystemConfig
    net: SamplerConfig
    training: TrainingConfig
    objective: str | None
    options: Options
    fingerprint: str
    growth: Growth
    grown_from: Mapping[str, str]

    @property
    def anew(self) -> Callable[[], TrainingJob]:
        """What makes the job again from its settings, also in another process."""
        return partial(prepare, self.system, self.net, self.training, self.options, self.growth)

    @property
    def note(self) -> str | None:
        """What the user should know."""
        if self.objective is not None:
            return None
        if self.grown_from:
            return "every net was taken over from another model: there is nothing to train"
        if self.net.sampler == "cw-n":
            return "the network is exact: there is nothing to train, and all draws have the same weight"
        return "the lattice is one exactly summed block: there is nothing to train, and every draw is exact"

    def command(self, steps: int) -> str:
        """Return the command line that does this job again in as many steps, but for its ``--out``.

        Defaults are left out, and so are the folders of models to grow from: they are of one machine only.
        """
        words = ["nmcmc", "train"]
        words += words_of(self.system, self.net, replace(self.training, steps=steps, seconds=0.0))
        words += [f"--grow-from={Path(model).name}" for model in self.growth.models]
        words += ["--allow-beta-mismatch"] if self.growth.allow_beta_mismatch else []
        return shlex.join([*words, f"--seed={self.options.seed}"])


def words_of(*configs: Any) -> list[str]:
    """Return the settings of configs as options of a command line; defaults and the folder of a file are left out."""
    words = []
    for config in configs:
        values, usual = {name: value_of(config, name) for name in flat_fields(type(config))}, type(config)()
        if values.get("couplings_file"):
            values["couplings_file"] = Path(values["couplings_file"]).name
        words += [f"--{n.replace('_', '-')}={value}" for n, value in values.items() if value != value_of(usual, n)]
    return words


@dataclass(frozen=True)
class Trained:
    """A trained sampler with its training curve (empty if there was nothing to train) and the seconds it took."""

    sampler: AnySampler
    job: TrainingJob
    training: dict[str, Floats]
    steps: int
    seconds: float

    @property
    def notes(self) -> dict[str, Any]:
        """What is kept with the weights."""
        job = self.job
        return {
            "seed": job.options.seed,
            "objective": job.objective,
            "steps": self.steps,
            "fingerprint": job.fingerprint,
            "command": job.command(self.steps),
        } | ({"grown_from": dict(job.grown_from)} if job.grown_from else {})


def prepare(
    system: SystemConfig, net: SamplerConfig, training: TrainingConfig, options: Options, growth: Growth | None = None
) -> TrainingJob:
    """Return the job that the settings describe; nothing is trained or written.

    Raises
    ------
    ValueError : for settings that do not fit together, or models to grow from that have nothing to give.
    """
    target = build_target(system)
    rng = Rng(options.seed).child("train", "init")
    sampler = build_sampler(net, pairwise_energy(target), target.beta, rng).to(options.device)
    objective = default_objective(training, sampler)
    if objective == "by-level":
        training = replace(training, steps=training.steps or LEVEL_STEPS)
    if isinstance(sampler, TAPSampler) and objective == "forward-kl":
        given = [name for name in ("steps", "seconds", "learning_rate") if getattr(training, name)]
        refuse_steps(given + ["anneal_from"] * (training.anneal_from >= 0), "train with objective 'reverse-kl'")
    elif isinstance(sampler, TAPSampler):
        sampler = settled(sampler, rng)
    growth = growth or Growth()
    grown_from = growth.into(sampler)
    trainable = any(p.requires_grad for p in sampler.parameters())
    settings = [to_toml(system), to_toml(net), to_toml(training), str(options.seed), options.device]
    settings += [f"training {TRAINING_VERSION}"]
    settings += [f"{key} {origin} {growth.allow_beta_mismatch}" for key, origin in grown_from.items()]
    mark = hashlib.sha256("\n".join(settings).encode()).hexdigest()
    goal = objective if trainable else None
    return TrainingJob(sampler, target, system, net, training, goal, options, mark, growth, grown_from)


def refuse_steps(given: list[str], instead: str) -> None:
    """Raise ValueError if settings of steps are given for TAP where it is fitted, which has none."""
    if given:
        raise ValueError(
            f"{', '.join(given)} given, but 'tap' is fitted by Newton's method, not step by step; "
            f"leave out, or {instead}"
        )


def train_stage(job: TrainingJob, checkpoint: Path) -> Trained:
    """Train the sampler of a job in place, from the checkpoint on if there is one.

    Raises
    ------
    CorruptFileError, ValueError : if the checkpoint is damaged or belongs to a job with other settings.
    FloatingPointError, RuntimeError : if training breaks down.
    """
    if job.objective is None:
        return Trained(job.sampler, job, {name: np.empty(0) for name in RECORD_NAMES}, 0, 0.0)
    if job.objective == "by-level":
        seconds = train_levels(job, checkpoint, n_threads())
        return Trained(job.sampler, job, {name: np.empty(0) for name in RECORD_NAMES}, job.training.steps, seconds)
    sampler, target, options, rng = job.sampler, job.target, job.options, Rng(job.options.seed).child("train")
    if isinstance(sampler, TAPSampler) and job.objective == "forward-kl":
        return _fit(job, sampler, rng.child("data"))
    plan = _plan(job, planned_steps(checkpoint, job.fingerprint), rng)
    objective = build_objective(job.training, sampler, target, rng, _stagger(job, plan.steps))
    with options.bar(plan.steps, f"training ({job.objective})", "step") as bar:
        records = train(
            sampler,
            target,
            objective,
            plan,
            rng.child("steps"),
            checkpoint=checkpoint,
            fingerprint=job.fingerprint,
            progress=lambda done, record: _show(bar, done, record),
        )
    return Trained(sampler, job, records, plan.steps, float(records["seconds"][-1]))


def _plan(job: TrainingJob, planned: int, rng: Rng) -> Plan:
    """Return how to train; the steps as planned before (0 if never), as given, or as fit into the time."""
    plan = Plan(
        steps=planned or job.training.steps or 1,
        learning_rate=job.training.learning_rate or _usual_rate(job, rng.child("spread")),
        beta_start=_beta_start(job),
    )
    if planned or job.training.steps:
        return plan
    objective = build_objective(job.training, job.sampler, job.target, rng)
    seconds = job.training.seconds or DEFAULT_SECONDS
    return replace(plan, steps=steps_within(seconds, job.sampler, job.target, objective, plan, rng))


def _fit(job: TrainingJob, sampler: TAPSampler, rng: Rng) -> Trained:
    """Return the TAP network of maximum likelihood: no steps, and nothing to continue."""
    began = time.monotonic()
    with job.options.bar(N_SETS + 1, "fitting (forward-kl)", "set") as bar:
        found = fitted(sampler, learning_set(job.target, rng, bar.update))
        bar.update()
    return Trained(found, job, {name: np.empty(0) for name in RECORD_NAMES}, 0, time.monotonic() - began)


def _usual_rate(job: TrainingJob, rng: Rng) -> float:
    """Return the learning rate where none is given; the sampler of the job is not trained yet."""
    rate = largest_rate(job.sampler, job.objective)
    if starts_at_response(job.sampler) or isinstance(job.sampler, TAPSampler):
        return rate * min(1.0, spread(job.sampler, job.target, rng))
    return rate


def largest_rate(sampler: AnySampler, objective: str | None) -> float:
    """Return the peak of the learning rate where none is given and the sampler is not close yet."""
    if starts_at_response(sampler):
        return DEFAULT_RATE * min(1.0, (DENSE_SPINS / sampler.n_spins) ** 2)
    if isinstance(sampler, TAPSampler):
        return TAP_RATE
    return LARGE_RATE if _staggers(sampler, objective) else DEFAULT_RATE


def _staggers(sampler: AnySampler, objective: str | None) -> bool:
    return objective == "block-local" and sampler.n_spins > SMALL_SPINS


def _stagger(job: TrainingJob, steps: int) -> int:
    """Return the steps between the starts of two nets, 0 if all start at once."""
    if not _staggers(job.sampler, job.objective):
        return 0
    return round(STARTING_SHARE * steps / len(cast("HierarchicalSampler", job.sampler).trained_keys))


def _beta_start(job: TrainingJob) -> float | None:
    """Return where the annealing of β starts: nets of many layers that learn by reverse KL need it, others if asked."""
    if job.net.sampler == "hierarchical" or job.objective != "reverse-kl":
        return None
    if job.training.anneal_from >= 0:
        return job.training.anneal_from
    return job.target.beta / 2 if job.net.sampler in ("made", "sparse", "pixelcnn") else None


def _show(bar: tqdm[Any], done: int, record: dict[str, float]) -> None:
    bar.update(done - bar.n)
    if record:
        bar.set_postfix(
            ess=f"{record['ess_fraction']:.3f}", F=f"{record['variational_free_energy']:.3f}", refresh=False
        )
